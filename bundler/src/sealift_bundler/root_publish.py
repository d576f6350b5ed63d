"""Publishing a root: its draft is complete, and the installer's own code follows the chain to it."""

from collections.abc import Sequence
from pathlib import Path

from sealift_bundler.root_draft_file import Draft, check_signatures, draft_path
from sealift_bundler.root_drafts import hold
from sealift_bundler.roots import RootFile, read_roots
from sealift_bundler.schema import check_documents
from sealift_installer.durable import write_durably
from sealift_installer.errors import UsageError, host_errors
from sealift_installer.limits import LIMITS
from sealift_installer.trust.roots import TrustedRoot, follow, read_first_root
from sealift_schemas.envelope import Envelope


def publish(directory: Path, draft: Draft) -> RootFile | None:
    """Publish `draft` in `directory` if the thresholds stand; return what was published, or None.

    The installer's own code walks the chain to it from version 1 before it is written.

    Raises:
        Untrusted: a version of the chain is not signed as it must be.
        UsageError: the versions have a gap, or it is published already.
        Damaged, HostError: one cannot be read, or the version not be written.
    """
    with hold(directory):
        if not draft.complete:
            return None
        check_signatures(draft, draft.envelope.signatures, strangers=False)
        data = draft.envelope.encode()
        file = RootFile(draft.root.version, data, draft.root)
        if (directory / file.name).exists():
            raise UsageError(
                f"it is published already: {directory / file.name}",
                hint="a published version never changes; this draft can be deleted",
            )
        chain = read_roots(directory) if file.version > 1 else ()
        walk_chain((*chain, file))
        check_documents("envelope", [(file.name, data)])
        check_documents("root", [(file.name, draft.envelope.payload)])
        with host_errors("cannot publish the root"):
            write_durably(directory / file.name, data)
            draft_path(directory, file.version).unlink(missing_ok=True)
    return file


def walk_chain(files: Sequence[RootFile]) -> tuple[TrustedRoot, ...]:
    """Return each version as a target trusts it that was given version 1.

    Raises:
        Untrusted: one is not signed as it must be.
        Damaged: one is malformed.
    """
    trusted = [read_first_root(files[0].data, files[0].sha256)]
    for file in files[1:]:
        trusted.append(follow(trusted[-1], file.data))
    return tuple(trusted)


def signers_of(files: Sequence[RootFile]) -> list[tuple[str, ...]]:
    """Return whose signatures each version has, by key id."""
    return [
        tuple(
            one.keyid
            for one in Envelope.read(file.data, what=file.name, limit=LIMITS.root).signatures
        )
        for file in files
    ]
