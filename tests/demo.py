"""The main job, end to end, as a user would do it: `make demo`.

A site is made, a real interpreter (the one that runs this) and a real tool from the package index
are bundled and signed, and installed by the unseal that travelled in the bundle, in a network
namespace without interfaces where the system allows one. Then both are run from their new place.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from sealift_schemas.index import Entry, read_lines
from sealift_schemas.manifest import Archive, Manifest

HERE = Path(__file__).resolve().parents[1]
PLACE = HERE / ".demo"
PROGRAMS = HERE / ".venv" / "bin"
LIMIT = 1 << 30
MIB = 1024 * 1024
# -r: without privileges, -n: an empty network namespace.
NO_NETWORK = ("unshare", "-rn")


class Demo:
    """Runs the commands, shows them, and keeps how long each step took (seconds)."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float]] = []
        self.isolated = _namespaces_work()

    def run(
        self, title: str, command: Sequence[str | Path], *, cwd: Path, offline: bool = False
    ) -> str:
        """Run one command of a step and return what it printed.

        Raises:
            SystemExit: it failed; its output has been shown.
        """
        words = [str(word) for word in command]
        print(f"  $ {_shortened(words)}", flush=True)
        wrapper = list(NO_NETWORK) if offline and self.isolated else []
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        started = time.perf_counter()
        done = subprocess.run(
            [*wrapper, *words],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.steps.append((title, time.perf_counter() - started))
        if done.returncode != 0:
            print(done.stdout + done.stderr)
            sys.exit(f"make demo: the step failed with exit code {done.returncode}: {title}")
        return done.stdout


def main() -> None:
    """Run the demo and show what it made."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    demo = Demo()
    digest = build_bundle(demo)
    install_bundle(demo, digest)
    run_installed(demo)
    show(demo)


def build_bundle(demo: Demo) -> str:
    """Do the connected side's work; return the SHA-256 of the first root, as on paper."""
    sealift = PROGRAMS / "sealift"
    site = PLACE / "site"
    print("On the connected machine")
    demo.run("init", [sealift, "init", "site"], cwd=PLACE)
    demo.run("key", [sealift, "key", "new", "release", "--no-passphrase"], cwd=site)
    demo.run("root", [sealift, "root", "init", "--key", "release"], cwd=site)
    demo.run("add", [sealift, "add", f"installed:{sys.executable}"], cwd=site)
    demo.run("add", [sealift, "add", f"pypi:ruff=={version('ruff')}"], cwd=site)
    demo.run("lock: capture, resolve, fetch", [sealift, "lock"], cwd=site)
    demo.run(
        "build: inspect, write, sign, seal", [sealift, "build", "--output", "../bundle"], cwd=site
    )
    return hashlib.sha256((site / "root" / "1.root.dsse.json").read_bytes()).hexdigest()


def install_bundle(demo: Demo, digest: str) -> None:
    """Do the target's work, with the unseal that travelled in the bundle."""
    bundle, target = PLACE / "bundle", PLACE / "target"
    where = "in a network namespace without interfaces" if demo.isolated else "with the network up"
    print(f"On the target ({where})")
    if not demo.isolated:
        print("  unshare -rn does not work on this system, so nothing here is cut off.")
    demo.run("unseal: environment", [sys.executable, "-m", "venv", target / "unseal"], cwd=PLACE)
    wheels = ["--no-index", "--require-hashes", "--find-links", bundle / "unseal" / "wheels"]
    pip = [target / "unseal" / "bin" / "pip", "--isolated", "--disable-pip-version-check"]
    requirements = ["-r", bundle / "unseal" / "requirements.txt"]
    demo.run(
        "unseal: wheels", [*pip, "install", "-q", *wheels, *requirements], cwd=PLACE, offline=True
    )
    unseal = target / "unseal" / "bin" / "unseal"
    root = bundle / "trust" / "root" / "1.root.dsse.json"
    prefix = ["--prefix", target / "prefix"]
    demo.run(
        "trust", [unseal, "trust", "import", root, "--sha256", digest, *prefix],
        cwd=PLACE, offline=True,
    )  # fmt: skip
    demo.run(
        "install: verify, extract, relocate, start", [unseal, "install", bundle, "--link", *prefix],
        cwd=PLACE, offline=True,
    )  # fmt: skip


def run_installed(demo: Demo) -> None:
    """Start what was installed, from its new place."""
    prefix = PLACE / "target" / "prefix"
    print("Run from the new place")
    names = sorted(path.name for path in (prefix / "bin").iterdir())
    python = next(name for name in names if name.startswith("python3."))
    code = "import sys, ssl, sysconfig; print(sys.version.split()[0], sys.prefix); print('include:', sysconfig.get_path('include'))"
    for command in ([prefix / "bin" / python, "-c", code], [prefix / "bin" / "ruff", "--version"]):
        printed = demo.run("run", command, cwd=PLACE, offline=True)
        print("    " + printed.strip().replace(f"{HERE}/", "").replace("\n", "\n    "))


def show(demo: Demo) -> None:
    """Print sizes, signer, relocation and times."""
    bundle = PLACE / "bundle"
    manifest = Manifest.read((bundle / "manifest.json").read_bytes(), limit=LIMIT)
    total = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    print(f"\nBundle: {total / MIB:.1f} MiB in {len(manifest.files)} files, "
          f"stream {manifest.stream}, sequence {manifest.sequence}")  # fmt: skip
    for signature in sorted(bundle.glob("SHA256SUMS.*.sig")):
        print(f"Signer: key {signature.name.split('.')[1]}...")
    for archive in manifest.archives:
        show_archive(archive, bundle)
    print("\nTime")
    for title, seconds in demo.steps:
        print(f"  {seconds:6.2f} s  {title}")


def show_archive(archive: Archive, bundle: Path) -> None:
    """Print one archive: sizes and what relocation does with it."""
    data = (bundle / archive.index).read_bytes()
    entries: list[Entry] = list(read_lines(data, what=archive.index, limit=LIMIT))
    rewritten = [entry for entry in entries if entry.template is not None and entry.member]
    relocated = [entry for entry in rewritten if entry.template and entry.template.places]
    places = sum(len(entry.template.places) for entry in relocated if entry.template)
    kept = sum(entry.kept is not None for entry in entries)
    print(f"\n{archive.name}: {archive.size / MIB:.1f} MiB packed, "
          f"{archive.unpacked / MIB:.1f} MiB in {archive.members} members")  # fmt: skip
    print(f"  relocated: {len(relocated)} files, the prefix in {places} places")
    print(f"  rewritten without a prefix: {len(rewritten) - len(relocated)} files; "
          f"naming the old prefix on purpose: {kept} files")  # fmt: skip
    for entry in relocated:
        print(f"    {entry.path}")


def _namespaces_work() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NO_NETWORK, "true"], capture_output=True, check=False).returncode == 0


def _shortened(words: list[str]) -> str:
    names = {str(PLACE): ".", str(PROGRAMS): ".venv/bin", sys.executable: "python"}
    shown = [words[0].rsplit("/", 1)[-1], *words[1:]]
    for long, short in names.items():
        shown = [word.replace(long, short) for word in shown]
    return " ".join(f'"{word}"' if " " in word else word for word in shown)


if __name__ == "__main__":
    main()
