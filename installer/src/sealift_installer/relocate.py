"""The verb: give a tree the prefix that it stands in, after the prefix was moved.

The tree is compared with its index first, the old prefix taken out. Then it is made anew beside
itself: what names the prefix is written with the new one, everything else is another name of the
same file. One rename puts it in its place, as an install does.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sealift_installer.check import kept_index
from sealift_installer.compare import compare
from sealift_installer.durable import write_durably
from sealift_installer.errors import Drift, UsageError, host_errors, printable
from sealift_installer.flush import flush_tree
from sealift_installer.lifecycle import Change, Changed, Run, held, not_installed, with_tree
from sealift_installer.prefix import remove_tree
from sealift_installer.preflight import check_paths
from sealift_installer.publish import is_pending, standing
from sealift_installer.records import Record
from sealift_installer.relocation import check_prefix, recover, render
from sealift_installer.report import Progress
from sealift_installer.smoke import smoke_test
from sealift_schemas.index import Entry, Template
from sealift_schemas.lean import replace

_MODES = {"644": 0o644, "755": 0o755}


def relocate(change: Change, progress: Progress | None = None) -> Changed:
    """Put the present prefix into a tree that names a former one, and into its links.

    Raises:
        UsageError: it is not installed, or names the present prefix already.
        Drift: it is not what was sealed.
        HostError: the disk does not let us, or the interpreter does not start afterwards.
    """
    with held(change, progress) as run:
        record = run.records.get(change.name)
        if record is None or standing(run.prefix, record.kind, record.name) is None:
            raise not_installed(change.name)
        tree = run.prefix.destination(record.kind, record.name)
        if record.path == str(tree):
            raise UsageError(
                f"{record.name} names the prefix that it stands in: {printable(record.path)}"
            )
        check_prefix(str(tree))
        entries = kept_index(run.prefix, record)
        check_paths(entries, tree)
        run.progress.step(record.name, "check")
        _check_sealed(record, tree, entries)
        return _relocate(run, record, tree, entries)


def _relocate(run: Run, record: Record, tree: Path, entries: Sequence[Entry]) -> Changed:
    moved = replace(record, path=str(tree))
    staging = run.prefix.new_staging(record.kind, record.name)
    try:
        run.progress.step(record.name, "relocate")
        with host_errors("cannot write the relocated tree"):
            count = _stage(tree, staging, entries, (record.path, moved.path))
        if record.kind == "interpreter" and record.interpreter is not None:
            smoke_test(staging / record.interpreter, staging, record.name, tree)
        detail = f"from {record.path}"
        publication = run.publication("relocate", moved, printable(detail))
        publication = replace(publication, staging=staging.name)
        run.publish(with_tree(publication, inode=staging.stat().st_ino))
    finally:
        if not is_pending(run.prefix, record.name):
            shutil.rmtree(staging, ignore_errors=True)
    return Changed("relocate", moved, f"{detail}, {count} files")


def _check_sealed(record: Record, tree: Path, entries: Sequence[Entry]) -> None:
    found = compare(tree, entries, record.path)
    if found.drift:
        first = found.drift[0]
        raise Drift(
            f"{record.name} is not what was sealed, so it cannot be relocated: "
            f"{first.what} {printable(first.path)}, {printable(first.detail)}",
            hint=f"unseal check {record.name} shows all of it; install its bundle again",
        )


def _stage(tree: Path, staging: Path, entries: Sequence[Entry], prefixes: tuple[str, str]) -> int:
    """Make the tree anew at `staging`; return how many files got the second of the prefixes."""
    shutil.copytree(tree, staging, symlinks=True, copy_function=_another_name)
    count = 0
    for entry in entries:
        template = entry.template
        if entry.path is None or template is None or not template.places:
            continue
        path = staging / entry.path
        data = path.read_bytes()
        path.unlink()  # it is another name of the file that stands in the tree
        write_durably(path, _rendered(data, template, prefixes), mode=_MODES[entry.mode or "644"])
        count += 1
    rendered = {entry.path for entry in entries if entry.template is not None}
    for entry in entries:
        if entry.type == "hardlink" and entry.path is not None and entry.link_target in rendered:
            remove_tree(staging / entry.path)
            _another_name(str(staging / entry.link_target), str(staging / entry.path))
    directory = os.open(staging, os.O_RDONLY)
    try:
        flush_tree(directory)
    finally:
        os.close(directory)
    return count


def _rendered(data: bytes, template: Template, prefixes: tuple[str, str]) -> bytes:
    former, present = prefixes
    recovered = recover(data, template.places, former)
    if recovered is None or hashlib.sha256(recovered).hexdigest() != template.sha256:
        raise Drift("a file was changed while it was relocated", hint="run the command again")
    return render(recovered, template.places, present)


def _another_name(source: str, destination: str) -> str:
    """Give a file a second name; where the file system has none, copy it."""
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, destination, follow_symlinks=False)
    return destination
