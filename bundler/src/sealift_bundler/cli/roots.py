"""root init, rotate, sign, merge, show: the list of trusted keys, signed by several people."""

from pathlib import Path
from typing import Annotated

import typer

from sealift_bundler.cli.common import (
    Json,
    PassphraseFd,
    PassphraseFile,
    Quiet,
    SiteOption,
    open_site,
    passphrase_source,
    reporter,
)
from sealift_bundler.cli.program import Program
from sealift_bundler.cli.root_reports import name_signers, say_draft, settle, show_roots
from sealift_bundler.cli.rotation import (
    NeverExpires,
    changes_of,
    days_from,
)
from sealift_installer.errors import UsageError

root_app = Program(no_args_is_help=True, help="Make, sign and show the list of trusted keys.")

Threshold = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[ROLE=]N",
        help="How many keys of a role must sign. N alone: of `root` and of `release`. "
        "Default: 1; in a rotation, as before.",
    ),
]
Scheme = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SCHEME",
        help="A scheme whose signatures count: p256, p384, ed25519. "
        "Default: all; in a rotation, as before.",
    ),
]
ExpiresDays = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=36500,
        metavar="DAYS",
        help="How long it is valid. Default: for ever; a rotation keeps the date.",
    ),
]
SigningKey = Annotated[
    list[str],
    typer.Option(metavar="KEY", help="Sign with this key: a name, a path, pkcs11: or exec:."),
]
KEY_HELP = """\
A key for every role that has none of its own: a name, a path (of the public half alone, where \
somebody else has the key), pkcs11: or exec:. With ROLE= before it, for the role root, release or \
builder."""


@root_app.command("init")
def root_init(  # noqa: PLR0913 - the options of the command
    *,
    key: Annotated[list[str], typer.Option(metavar="[ROLE=]KEY", help=KEY_HELP)],
    threshold: Threshold = None,
    scheme: Scheme = None,
    expires_days: ExpiresDays = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the first root. Print the SHA-256 for the targets, once enough keys have signed it."""
    from sealift_bundler.membership import members_by_role, read_schemes, read_thresholds
    from sealift_bundler.root_drafts import create_draft, refuse_second
    from sealift_bundler.root_plan import RootPlan, first_root
    from sealift_bundler.site import present_time
    from sealift_schemas.root import SCHEMES

    here = open_site(site)
    refuse_second(here.roots)
    ask = passphrase_source(passphrase_file, passphrase_fd)
    members = members_by_role(key, here.directory, ask)
    thresholds = read_thresholds(threshold or ())
    created = present_time()
    plan = RootPlan(
        stream=here.spec.stream,
        created=created,
        roles={
            role: ([member.public for member in found], thresholds.get(role, 1))
            for role, found in members.items()
        },
        schemes=read_schemes(scheme or ()) or SCHEMES,
        expires=None if expires_days is None else days_from(created, expires_days),
    )
    root = first_root(plan)
    opened = [member.open(ask) for member in members["root"]]
    draft = create_draft(here.roots, root, [signer for signer in opened if signer is not None])
    name_signers(here, members)
    settle(here, draft, as_json=as_json, quiet=quiet)


@root_app.command("rotate")
def root_rotate(  # noqa: PLR0913 - the options of the command
    *,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="[ROLE=]KEY", help="Add a key to a role, or to all three."),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[ROLE=]KEY", help="Remove a key (a name or a key id) from a role, or from all."
        ),
    ] = None,
    replace: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Put a new key wherever the old one stands."),
    ] = None,
    threshold: Threshold = None,
    epoch: Annotated[
        list[str] | None,
        typer.Option(metavar="[STREAM=]N", help="Raise the epoch of a stream: `next`, or to N."),
    ] = None,
    min_sequence: Annotated[
        list[str] | None,
        typer.Option(metavar="[STREAM=]N", help="Withdraw all bundles of a stream before N."),
    ] = None,
    withdraw: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BUNDLE", help="Withdraw a bundle: its directory, or its manifest's SHA-256."
        ),
    ] = None,
    restore: Annotated[
        list[str] | None,
        typer.Option(metavar="SHA256", help="Let a withdrawn manifest be installed again."),
    ] = None,
    scheme: Scheme = None,
    expires_days: ExpiresDays = None,
    never_expires: NeverExpires = False,
    key: SigningKey = [],  # noqa: B006 - typer reads it and does not change it
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draft the next root. It counts once enough keys of the root before and of its own sign it."""
    from sealift_bundler.cli.rotation import Rotation
    from sealift_bundler.root_drafts import create_draft
    from sealift_bundler.root_plan import next_root
    from sealift_bundler.root_view import KeyNames, change_lines
    from sealift_bundler.roots import newest_root
    from sealift_bundler.sign.references import open_signer
    from sealift_bundler.site import KEYS_NAME

    here = open_site(site)
    ask = passphrase_source(passphrase_file, passphrase_fd)
    newest = newest_root(here.roots).root
    wishes = Rotation(
        add=add or (),
        remove=remove or (),
        replace=replace or (),
        threshold=threshold or (),
        epoch=epoch or (),
        min_sequence=min_sequence or (),
        withdraw=withdraw or (),
        restore=restore or (),
        scheme=scheme or (),
        expires_days=expires_days,
        never_expires=never_expires,
    )
    root = next_root(newest, changes_of(wishes, here, newest, ask))
    draft = create_draft(here.roots, root, [open_signer(name, here.directory, ask) for name in key])
    report = reporter(quiet=quiet)
    report(f"root version {root.version} changes:")
    for line in change_lines(draft, KeyNames.read(here.directory / KEYS_NAME)):
        report(f"  {line}")
    settle(here, draft, as_json=as_json, quiet=quiet)


@root_app.command("sign")
def root_sign(  # noqa: PLR0913 - the options of the command
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A draft. Default: that of the site.")
    ] = None,
    *,
    key: SigningKey,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the signed copy there; the draft stays as it is."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Sign a draft of a root: in the site, or a copy of it on another machine."""
    from sealift_bundler.root_draft_file import find_draft, read_draft
    from sealift_bundler.root_drafts import sign_draft
    from sealift_bundler.root_view import KeyNames, signing_lines
    from sealift_bundler.sign.references import open_signer
    from sealift_bundler.site import KEYS_NAME, find_site

    place = find_site(Path.cwd())
    here = None if place is None else open_site(place)
    path = file or (None if here is None else find_draft(here.roots))
    if path is None:
        raise UsageError(
            "there is no draft of a root here", hint="name its file, or make one: root rotate"
        )
    directory = place or Path.cwd()
    report = reporter(quiet=quiet)
    draft = read_draft(path)
    for line in signing_lines(draft, KeyNames.read(directory / KEYS_NAME)):
        report(line)
    ask = passphrase_source(passphrase_file, passphrase_fd)
    signers = [open_signer(name, directory, ask) for name in key]
    signed = sign_draft(draft, signers, output)
    if here is not None and signed.path.absolute().parent == here.roots.absolute():
        settle(here, signed, as_json=as_json, quiet=quiet)
    else:
        report(f"signed {signed.path}; in the site: sealift root merge FILE")
        say_draft(signed, directory / KEYS_NAME, as_json=as_json, quiet=quiet)


@root_app.command("merge")
def root_merge(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Copies of the site's draft.")
    ],
    *,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Add the signatures that copies of the draft got on other machines."""
    from sealift_bundler.root_draft_file import find_draft
    from sealift_bundler.root_drafts import merge_drafts

    here = open_site(site)
    path = find_draft(here.roots)
    if path is None:
        raise UsageError(f"there is no draft of a root: {here.roots}")
    settle(here, merge_drafts(path, files), as_json=as_json, quiet=quiet)


@root_app.command("show")
def root_show(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A root or a draft elsewhere.")
    ] = None,
    *,
    site: SiteOption = None,
    as_json: Json = False,
) -> None:
    """Show every root version and the draft: keys, thresholds, SHA-256, and who has signed."""
    from sealift_bundler import roots
    from sealift_bundler.root_draft_file import find_draft
    from sealift_bundler.root_view import KeyNames
    from sealift_bundler.site import KEYS_NAME

    if file is None:
        here = open_site(site)
        names = KeyNames.read(here.directory / KEYS_NAME)
        draft = find_draft(here.roots)
        published = (
            () if draft and not roots.list_roots(here.roots) else roots.read_roots(here.roots)
        )
        show_roots(published, published, draft, names, as_json=as_json)
        return
    names = KeyNames.read(Path.cwd() / KEYS_NAME)
    match = roots.FILE.fullmatch(file.name)
    if match is None:
        show_roots((), (), file, names, as_json=as_json)
        return
    # It is trusted as far as the versions before it lead to it, which lie beside it.
    chain = roots.read_roots(file.absolute().parent)[: int(match[1])]
    show_roots(chain, chain[-1:], None, names, as_json=as_json)
