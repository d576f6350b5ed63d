"""The evidence with stock tools: the blocks of the page, word for word, and libraries not ours."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from road import needs_archives, sha256
from sealift_schemas.envelope import Envelope
from sealift_schemas.provenance import Provenance
from workshop import TOOL_FILES, Workshop, pack

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "how-to" / "check-the-evidence.md"
TOOLS = ("openssl", "jq", "sha256sum", "base64", "diff")
needs_tools = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}"
)


def blocks(kind: str, page: Path = PAGE) -> list[str]:
    text = page.read_text("utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def walk(bundle: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """Run the page's shell blocks in the bundle, in one shell."""
    scratch = bundle.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return subprocess.run(
        ["sh", "-euc", "\n".join(blocks("sh"))],
        cwd=bundle,
        env={**os.environ, "KEY": str(key), "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle, and the public key of its builder."""
    workshop = Workshop(tmp_path_factory.mktemp("evidence")).found()
    files = {**TOOL_FILES, "tool-1.0/LICENSE": b"Free.\n"}
    files["tool-1.0/package.json"] = b'{"name": "tool", "version": "1.0"}'
    workshop.tool.write_bytes(pack(files))
    workshop.add_tool()
    workshop.add_python()
    return workshop.build(), workshop.site / "keys" / "release.pub.pem"


@pytest.fixture
def bundle(made: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the bundle, to be changed."""
    return Path(shutil.copytree(made[0], tmp_path / "bundle"))


@needs_tools
def test_the_page_is_followed_on_a_good_bundle(made):
    before = sorted(made[0].rglob("*"))
    done = walk(*made)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1:5] == [
        "Verified OK",
        "Verified OK",
        "https://slsa.dev/provenance/v1",
        "https://slsa.dev/verification_summary/v1",
    ]
    # The comments of the block say what it prints.
    assert [line[2:] for line in blocks("sh")[2].splitlines() if line[0] == "#"] == lines[3:5]
    rest = "\n".join(lines[5:])
    assert '"stream": "site"' in rest
    assert "cpython-3.13.3-linux-x86_64-gnu\tcatalog\t-" in rest
    assert "PASSED\nSLSA_BUILD_LEVEL_UNEVALUATED\nSEALIFT_DIGEST_MATCHED" in rest
    assert "archive:tool-1.0-linux-x86_64-gnu\ttool\t1.0" in rest
    assert f"tool\ttool-1.0/LICENSE\tlicenses/{sha256_of(b'Free.' + bytes([10]))}.txt" in rest
    # Nothing was written to the bundle.
    assert sorted(made[0].rglob("*")) == before


def sha256_of(data: bytes) -> str:
    done = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True)
    return done.stdout.split()[0].decode()


@needs_tools
@pytest.mark.parametrize("name", ["provenance", "vsa"])
def test_a_changed_statement_ends_the_page(made, bundle, name):
    path = bundle / f"evidence/{name}.dsse.json"
    envelope = Envelope.read(path.read_bytes(), what="envelope", limit=1 << 30)
    payload = envelope.payload.replace(b'"sealift": "0', b'"sealift": "1')
    assert payload != envelope.payload
    changed = Envelope(payload, envelope.payload_type, envelope.signatures)
    path.write_bytes(changed.encode())
    done = walk(bundle, made[1])
    assert done.returncode != 0
    assert "Verification failure" in done.stdout + done.stderr


@needs_tools
def test_an_exchanged_archive_ends_the_page(made, bundle):
    archive = next((bundle / "archives").iterdir())
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")
    done = walk(bundle, made[1])
    assert done.returncode != 0
    assert done.stdout.count("Verified OK") == 2
    assert archive.name in done.stdout + done.stderr


@needs_tools
def test_evidence_of_another_bundle_ends_the_page(made, bundle):
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["predicate"]["archives"].pop()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    done = walk(bundle, made[1])
    assert done.returncode != 0
    shown = done.stdout.splitlines()
    # The subject that is too much, as diff has it.
    assert re.fullmatch(r"[0-9]a[0-9]|[0-9]d[0-9]", shown[5])
    assert re.fullmatch(r"> [0-9a-f]{64}", shown[6])


@needs_tools
def test_the_steps_of_the_bundles_own_paper(made, tmp_path):
    text = (made[0] / "VERIFY.txt").read_text("ascii")
    steps = dict(re.findall(r"(?ms)^([A-E])\. (.*?)(?=^[A-E]\. |\Z)", text))
    commands = {name: re.findall(r"(?m)^ {4}(\S.*)$", step) for name, step in steps.items()}
    for name, kind in (("provenance", "provenance"), ("vsa", "verification_summary")):
        lines = [*commands["A"], *commands["B"], *commands["E"]]
        assert lines[0] == "ENVELOPE=manifest.dsse.json"
        lines[0] = f"ENVELOPE=evidence/{name}.dsse.json"
        identity = 'ID=$(openssl pkey -pubin -in "$KEY" -outform DER | sha256sum | cut -c1-64)'
        done = subprocess.run(
            ["sh", "-euc", "\n".join([identity, *lines])],
            cwd=made[0],
            env={**os.environ, "KEY": str(made[1]), "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1:] == ["Verified OK", f"https://slsa.dev/{kind}/v1"]


def test_the_libraries_of_the_page_accept_the_statements(made):
    (code,) = blocks("python")
    given = f"KEY_PEM = {made[1].read_text()!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", given + code],
        cwd=made[0],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "https://slsa.dev/provenance/v1 2",
        "https://slsa.dev/verification_summary/v1 2",
    ]


def test_the_libraries_of_the_page_refuse_another_key(made, tmp_path):
    (code,) = blocks("python")
    other = subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"],
        capture_output=True,
        check=True,
    )
    public = subprocess.run(
        ["openssl", "ec", "-pubout"], input=other.stdout, capture_output=True, check=True
    )
    done = subprocess.run(
        [sys.executable, "-c", f"KEY_PEM = {public.stdout.decode()!r}\n{code}"],
        cwd=made[0],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Accepted signatures do not match threshold" in done.stderr


def test_the_example_of_the_build_type_is_one():
    (example,) = blocks("json", DOCS / "reference" / "build-type.md")
    provenance = Provenance.read(example.encode(), limit=1 << 20)
    assert provenance.encode() == example.encode()


@needs_archives
def test_a_real_interpreter_tells_what_is_inside(tmp_path):
    archives = Path(os.environ["SEALIFT_TEST_ARCHIVES"])
    path = next(archives.glob("cpython-*install_only_stripped.tar.zst"))
    workshop = Workshop(tmp_path).found()
    workshop.publish(url=path.as_uri(), sha256=sha256(path), minor=11, patch=2, build="1")
    assert workshop.sealift("add", "cpython@3.11", "--platform", "linux-x86_64-gnu") == 0
    bundle = workshop.build()
    (python,) = json.loads((bundle / "evidence/sbom.cdx.json").read_bytes())["components"]
    inside = {one["name"]: one.get("version") for one in python["components"]}
    assert {"openssl", "sqlite", "zlib", "pip", "setuptools", "expat", "ncurses"} <= inside.keys()
    assert re.fullmatch(r"3\.[0-9]+\.[0-9]+", inside["openssl"])
    assert python["licenses"] == [{"expression": "Python-2.0", "acknowledgement": "concluded"}]
    wheels = [one for one in python["components"] if "file_name" in one.get("purl", "")]
    assert {one["name"] for one in wheels} == {"pip", "setuptools"}
    assert all(one["hashes"] for one in wheels)
