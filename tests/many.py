"""A site that asks for many small archives of a server, and builds in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from loopback import LoopbackServer
from workshop import Workshop, digest

# The peak is that of this program alone: `ru_maxrss` begins with what its parent had when it forked.
MEASURE = """
import json, re, sys, time
from pathlib import Path
from sealift_bundler.cli.main import main
try:
    main()
except SystemExit as end:
    code = end.code
peak = re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())
measured = {"code": code, "peak": int(peak[1]) * 1024, "cpu": time.process_time()}
Path(sys.argv[-1] + ".json").write_text(json.dumps(measured))
"""


@dataclass
class ManyArchives:
    """A site that asks for `count` archives of a server."""

    workshop: Workshop
    server: LoopbackServer
    count: int
    more: str = ""
    tables: dict[int, str] = field(default_factory=dict)

    def table(self, number, version="1.0"):
        """Serve an archive, and return what the spec says about it."""
        path = self.workshop.serve(
            f"tool{number}-{version}.tar.gz",
            {
                f"tool{number}/bin/tool": f"{number} {version}".encode(),
                f"tool{number}/data": os.urandom(2000),
            },
        )
        return (
            f'[[url]]\nurl = "{self.server.url}/{path.name}"\nname = "tool{number}"\n'
            f'version = "{version}"\nsha256 = "{digest(path)}"\n'
        )

    def write(self, *newer):
        """Write the spec; the archives whose numbers are given have a newer version."""
        text = self.workshop.spec.read_text().partition("[[url]]")[0]
        for number in range(self.count):
            self.tables.setdefault(number, self.table(number))
        self.tables.update({number: self.table(number, "2.0") for number in newer})
        self.workshop.spec.write_text(text + "".join(self.tables.values()) + self.more)

    @property
    def environment(self):
        """What a build sees, whatever proxy this machine has."""
        return {**os.environ, **self.workshop.environment, "no_proxy": "127.0.0.1"}

    def build(self, name):
        """Build in a process of its own; return its peak memory in bytes, and its CPU seconds."""
        output = self.workshop.folder / name
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, "build", "--quiet", "--output", output],
            cwd=self.workshop.site,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        measured = json.loads(Path(f"{output}.json").read_text())
        assert measured["code"] == 0, done.stderr
        return measured["peak"], measured["cpu"]
