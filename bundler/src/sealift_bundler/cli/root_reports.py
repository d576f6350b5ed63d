"""What the commands of roots do at their end: publish or not, and tell."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sealift_bundler.cli.common import reporter, say, say_json

if TYPE_CHECKING:
    from sealift_bundler.membership import Member
    from sealift_bundler.root_draft_file import Draft
    from sealift_bundler.root_view import KeyNames
    from sealift_bundler.roots import RootFile
    from sealift_bundler.site import Site


def name_signers(here: "Site", members: "dict[str, list[Member]]") -> None:
    """Write into the spec who signs: the release keys and the builders that can sign here."""
    from sealift_bundler import specfile
    from sealift_bundler.signing_table import relative_reference

    def here_alone(found: "Sequence[Member]") -> list[str]:
        return [
            member.reference
            if member.private is None
            else relative_reference(member.private, here.directory)
            for member in found
            if member.private is not None or member.signer is not None
        ]

    releasing, building = here_alone(members["release"]), here_alone(members["builder"])
    specfile.add_keys(here.spec_path, releasing)
    if not set(building) <= set(releasing):
        specfile.add_keys(here.spec_path, building, "builders")


def show_roots(
    chain: "Sequence[RootFile]",
    shown: "Sequence[RootFile]",
    draft: "Path | None",
    names: "KeyNames",
    *,
    as_json: bool,
) -> None:
    """Print the versions `shown` of `chain`, which begins with the first, and a draft.

    Raises:
        Untrusted: a version is not signed as it must be: its hash is then not to be shown.
        Damaged, HostError: one is malformed or cannot be read.
    """
    from sealift_bundler.root_draft_file import read_draft
    from sealift_bundler.root_publish import signers_of, walk_chain
    from sealift_bundler.root_view import (
        describe_draft,
        describe_version,
        draft_lines,
        version_lines,
    )

    if chain:
        walk_chain(chain)
    versions = list(zip(shown, signers_of(shown), strict=True))
    drafts = [] if draft is None else [read_draft(draft)]
    if as_json:
        values = [describe_version(file, signers, names) for file, signers in versions]
        say_json([*values, *(describe_draft(one, names) for one in drafts)])
        return
    lines = [line for file, signers in versions for line in version_lines(file, signers, names)]
    lines += [line for one in drafts for line in draft_lines(one, names)]
    say("\n".join(lines))


def settle(here: "Site", draft: "Draft", *, as_json: bool, quiet: bool) -> None:
    """Publish a draft of the site whose thresholds stand, or say whose signatures are missing."""
    from sealift_bundler.root_publish import publish
    from sealift_bundler.root_view import group_digits
    from sealift_bundler.signing_table import follow_root
    from sealift_bundler.site import KEYS_NAME

    report = reporter(quiet=quiet)
    root = publish(here.roots, draft)
    if root is None:
        report(f"drafted {draft.path}; it counts for nothing yet")
        say_draft(draft, here.directory / KEYS_NAME, as_json=as_json, quiet=quiet)
        report("next: sealift root sign --key KEY; elsewhere with a copy, and then root merge")
        return
    for line in [] if draft.previous is None else follow_root(here, draft.previous, root.root):
        report(line)
    path = here.roots / root.name
    report(f"made {path}")
    if root.version == 1:
        report("Take this SHA-256 to the targets by another way than the bundles:")
    else:
        report("Targets follow to it with the next bundle. New ones take this SHA-256:")
    for line in group_digits(root.sha256):
        report(f"  {line}")
    if as_json:
        say_json(
            {
                "version": root.version,
                "state": "published",
                "path": str(path),
                "sha256": root.sha256,
            }
        )
    else:
        say(root.sha256)


def say_draft(draft: "Draft", keys: Path, *, as_json: bool, quiet: bool) -> None:
    """Say who has signed a draft, and whose signatures are missing."""
    from sealift_bundler.root_view import KeyNames, describe_draft, missing_lines

    names = KeyNames.read(keys)
    if as_json:
        say_json(describe_draft(draft, names))
    elif not quiet:
        for line in missing_lines(draft, names):
            reporter(quiet=quiet)(line)
