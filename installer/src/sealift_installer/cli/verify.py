"""`unseal verify BUNDLE`."""

import argparse

from sealift_installer.cli.options import Commands, add_bundle, add_command, add_terms
from sealift_installer.cli.output import open_bundle, show


def describe(commands: Commands, text: str) -> None:
    """Add the command."""
    command = add_command(commands, "verify", _verify, text)
    add_bundle(command)
    add_terms(command)


def _verify(options: argparse.Namespace) -> int:
    from sealift_installer.evidence import check_evidence
    from sealift_installer.text import bundle_line, size
    from sealift_installer.text_evidence import evidence_line
    from sealift_installer.verify import verify_files

    authenticated = open_bundle(options)
    evidence = check_evidence(authenticated)
    report = verify_files(authenticated)
    show(
        options,
        {
            "manifest": authenticated.manifest_sha256,
            "stream": authenticated.manifest.stream,
            "epoch": authenticated.manifest.epoch,
            "sequence": authenticated.manifest.sequence,
            "root_version": authenticated.root.root.version,
            "signers": list(authenticated.signers),
            "files": report.files,
            "size": report.size,
            "archives": report.archives,
            "evidence": evidence.to_json(),
            "warnings": list(authenticated.warnings),
        },
        [
            bundle_line(
                authenticated.manifest, authenticated.signers, authenticated.root.root.version
            ),
            evidence_line(evidence),
            f"good: {report.files} files, {size(report.size)}, {report.archives} archives",
        ],
    )
    return 0
