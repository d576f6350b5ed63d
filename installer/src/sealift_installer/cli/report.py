"""`unseal report [BUNDLE]`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sealift_installer.cli.options import Commands, add_command, add_terms, path
from sealift_installer.cli.output import open_bundle, prefix_of, show

if TYPE_CHECKING:
    from sealift_installer.page.model import BundleReport, TargetReport


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    command = add_command(commands, "report", _report, text)
    command.add_argument(
        "bundle",
        metavar="BUNDLE",
        type=path,
        nargs="?",
        help="a bundle to describe too, after all of it was verified",
    )
    command.add_argument(
        "--output", metavar="FILE", type=path, help="where to (default: HOST.report.html)"
    )
    add_terms(command)


def _report(options: argparse.Namespace) -> int:
    from sealift_installer.page.document import target_page
    from sealift_installer.page.output import write_page
    from sealift_installer.receipts import TOOL
    from sealift_installer.text import size

    bundle = None if options.bundle is None else _bundle(options)
    target = _target(options)
    page = target_page(target, bundle, TOOL)
    file: Path = options.output or Path(_file_name(target.head.host))
    write_page(file, page, options.bundle)
    value = {"file": str(file), "size": len(page), "receipts": target.head.receipts}
    show(options, value, [f"{file}  {size(len(page))}"])
    return 0


def _bundle(options: argparse.Namespace) -> "BundleReport":
    from sealift_installer.evidence import check_evidence
    from sealift_installer.page.model import describe_bundle
    from sealift_installer.sbom import read_components
    from sealift_installer.verify import verify_files

    authenticated = open_bundle(options)
    evidence = check_evidence(authenticated)
    report = verify_files(authenticated)
    return describe_bundle(authenticated, evidence, read_components(authenticated), report)


def _target(options: argparse.Namespace) -> "TargetReport":
    from sealift_installer.account import utc_now
    from sealift_installer.page.model import Installed, TargetReport
    from sealift_installer.prefix import Prefix
    from sealift_installer.records import Records
    from sealift_installer.trail import read_trail
    from sealift_installer.trust.state import StateStore

    prefix = Prefix(prefix_of(options))
    trail = read_trail(StateStore(prefix.state))
    records = Records(prefix.state).all()
    return TargetReport(
        head=trail.head(str(prefix.path), utc_now()),
        receipts=trail.receipts,
        installed=tuple(Installed(record, Path(record.path).is_dir()) for record in records),
    )


def _file_name(host: str) -> str:
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in host)
    return f"{kept.strip('-') or 'host'}.report.html"
