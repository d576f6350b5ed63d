"""The pages about policies: their examples are policies, and their commands work."""

import hashlib
import re
from pathlib import Path

import pytest

from machine import SPACE, Machine, succeeds
from road import PROGRAMS
from sealift_schemas.policy import FIELDS, Policy

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to/site-policy-on-a-target.md").read_text()
REFERENCE = (DOCS / "reference/policy.md").read_text()


def test_the_example_of_the_reference_has_every_field() -> None:
    example = re.search(r"```json\n(.*?)```", REFERENCE, re.DOTALL)
    assert example is not None
    policy = Policy.read(example[1].encode(), what="example")
    assert tuple(policy.to_json()) == FIELDS


@pytest.mark.skipif(not succeeds(*SPACE, "true"), reason="no mount namespace can be had here")
def test_the_commands_of_the_how_to_work(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    root = machine.site.path / "trust/root/1.root.dsse.json"
    blocks = re.findall(r"```sh\n(.*?)```", HOW_TO, re.DOTALL)
    assert len(blocks) == 3
    words = {
        "HEX_FROM_PAPER": hashlib.sha256(root.read_bytes()).hexdigest(),
        "PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    write, trust, lost = (f"cd {machine.site.path}\n{block}" for block in blocks)
    lost = lost.replace(" 1.root.dsse.json", " trust/root/1.root.dsse.json")
    done = machine.shell(write, **words)
    assert done.returncode == 0, done.stderr
    assert "policy in force: /etc/sealift/policy.json\n  release: at least 2 signers" in done.stdout
    done = machine.shell(trust, **words)
    assert done.returncode == 0, done.stderr
    done = machine.unseal("install", machine.site.path, "--prefix", tmp_path / "prefix")
    assert done.returncode == 5
    assert done.stderr in HOW_TO
    done = machine.shell(lost, **words)
    assert done.returncode == 0, done.stderr
    assert "root version 1 is trusted from now on by this host" in done.stdout
