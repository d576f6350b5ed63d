"""`unseal verify BUNDLE`."""

import argparse
from typing import TYPE_CHECKING, Any

from sealift_installer.cli.options import Commands, add_bundle, add_command, add_terms
from sealift_installer.cli.output import open_bundle, show

if TYPE_CHECKING:
    from sealift_installer.authenticate import Authenticated


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    command = add_command(commands, "verify", _verify, text)
    add_bundle(command)
    command.add_argument(
        "--signatures",
        action="store_true",
        help="check who sealed it and that no file is missing or added, and read none of them",
    )
    add_terms(command)


def _verify(options: argparse.Namespace) -> int:
    from sealift_installer.text import bundle_line

    authenticated = open_bundle(options)
    found, lines = (_listed if options.signatures else _read)(authenticated)
    manifest, root = authenticated.manifest, authenticated.root.root
    show(
        options,
        {
            "manifest": authenticated.manifest_sha256,
            "stream": manifest.stream,
            "epoch": manifest.epoch,
            "sequence": manifest.sequence,
            "root_version": root.version,
            "signers": list(authenticated.signers),
            "read": not options.signatures,
            **found,
            "warnings": list(authenticated.warnings),
        },
        [bundle_line(manifest, authenticated.signers, root.version), *lines],
    )
    return 0


def _read(authenticated: "Authenticated") -> tuple[dict[str, Any], list[str]]:
    """Read every byte; return what is found, and lines that say so."""
    from sealift_installer.evidence import check_evidence
    from sealift_installer.text import size
    from sealift_installer.text_evidence import evidence_line
    from sealift_installer.verify import verify_files

    evidence = check_evidence(authenticated)
    report = verify_files(authenticated, whole=False)
    return {
        "files": report.files,
        "size": report.size,
        "archives": report.archives,
        "evidence": evidence.to_json(),
    }, [
        evidence_line(evidence),
        f"good: {report.files} files, {size(report.size)}, {report.archives} archives",
    ]


def _listed(authenticated: "Authenticated") -> tuple[dict[str, Any], list[str]]:
    """Take the manifest's word for the files, whose sizes were compared."""
    from sealift_installer.text import size

    files, archives = authenticated.manifest.files, authenticated.manifest.archives
    total = sum(file.size for file in files)
    counts = f"{len(files)} files, {size(total)}, {len(archives)} archives"
    found = {"files": len(files), "size": total, "archives": len(archives)}
    return found, [f"signatures are good; not read: {counts}"]
