import shutil
import subprocess

import pytest

from elf_builder import build_elf
from sealift_bundler.relocation.elf import Unpatchable, read_elf
from sealift_bundler.relocation.elf_extend import add_run_path

STRINGS = b"\0libc.so.6\0"
PATH = "$ORIGIN/../lib"


def test_a_program_finds_its_library_from_another_place(tmp_path):
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("needs gcc")
    folder = tmp_path / "a place"
    for name in ("bin", "lib"):
        (folder / name).mkdir(parents=True)
    (tmp_path / "x.c").write_text("int answer(void) { return 42; }\n")
    (tmp_path / "main.c").write_text("int answer(void); int main(void) { return answer(); }\n")
    library, program = folder / "lib/libx.so", folder / "bin/main"
    command = [gcc, "-shared", "-fPIC", "-o", library, tmp_path / "x.c", "-Wl,-soname,libx.so"]
    subprocess.run(command, check=True)
    subprocess.run([gcc, "-o", program, tmp_path / "main.c", library], check=True)
    assert subprocess.run([program], check=False, capture_output=True).returncode == 127
    before = program.read_bytes()
    after = add_run_path(before, PATH)
    assert len(after) == len(before)
    program.write_bytes(after)
    assert subprocess.run([program], check=False).returncode == 42
    facts = read_elf(after)
    assert facts is not None
    assert facts.run_path == (PATH,)
    # It is found by the run path, from wherever the whole is.
    moved = folder.rename(tmp_path / "another place")
    assert subprocess.run([moved / "bin/main"], check=False).returncode == 42


def test_a_table_without_a_spare_entry_is_told():
    with pytest.raises(Unpatchable, match="its dynamic table has no spare entry"):
        add_run_path(build_elf(STRINGS, [("NEEDED", 1)]), PATH)


def test_strings_without_padding_are_told():
    data = build_elf(STRINGS, [("NEEDED", 1)], spare=1)
    with pytest.raises(Unpatchable, match="there is no padding behind its strings"):
        add_run_path(data, PATH)


def test_padding_is_taken_within_the_page_alone():
    data = build_elf(STRINGS, [("NEEDED", 1)], spare=1) + bytes(64)
    facts = read_elf(add_run_path(data, PATH))
    assert facts is not None
    assert facts.run_path == (PATH,)
    assert facts.needed == ("libc.so.6",)
    with pytest.raises(Unpatchable, match="the padding behind its strings is too short"):
        add_run_path(data + bytes(8192), "x" * 4096)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n"])
def test_what_is_malformed_is_told(data):
    with pytest.raises(Unpatchable, match="it is malformed"):
        add_run_path(data, PATH)
