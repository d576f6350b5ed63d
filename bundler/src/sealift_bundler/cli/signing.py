"""sign and seal: signatures on a bundle, on whichever machine the key is."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from sealift_bundler.cli.bundles import BundlePath, RootFileOption, say_verified, trusted_root
from sealift_bundler.cli.common import (
    Json,
    PassphraseFd,
    PassphraseFile,
    Quiet,
    SiteOption,
    open_site,
    passphrase_source,
    reporter,
    say,
    say_json,
    tell,
)


def sign(  # noqa: PLR0913 - the options of the command
    bundle: BundlePath,
    *,
    key: Annotated[
        list[str], typer.Option(metavar="KEY", help="A name, a path, pkcs11: or exec:. Repeatable.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the signatures there; the bundle is only read. See seal."
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Add a signature to a bundle. Look at it with `inspect` first: you vouch for it."""
    from sealift_bundler.sign.bundle import sign_bundle
    from sealift_bundler.sign.leftovers import remove_leftovers
    from sealift_bundler.sign.references import open_signer
    from sealift_bundler.site import find_site

    ask = passphrase_source(passphrase_file, passphrase_fd)
    place = find_site(Path.cwd()) or Path.cwd()
    names = sign_bundle(bundle, [open_signer(name, place, ask) for name in key], output)
    more = "" if output is None else f" --add {output}"
    signed = bundle if output is None else output
    report = reporter(quiet=quiet)
    _say_removed(remove_leftovers(signed), report)
    report(f"signed {signed}; in the site: sealift seal {bundle}{more}")
    if as_json:
        say_json({"bundle": str(bundle), "signatures": str(signed), "signers": list(names)})
        return
    for name in names:
        say(name)


def seal(
    bundle: BundlePath,
    *,
    add: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Add the signatures that `sign --output` wrote there. Repeatable."
        ),
    ] = None,
    root: RootFileOption = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a signed bundle as targets will, and its documents against their schemas."""
    from sealift_bundler.roots import newest_root
    from sealift_bundler.seal import seal_bundle
    from sealift_bundler.sign.bundle import add_signatures, check_signed
    from sealift_bundler.sign.leftovers import remove_leftovers

    trusted = trusted_root(root, site)
    if add:
        add_signatures(bundle, add, trusted)
    check_signed(bundle, trusted)
    _say_removed(remove_leftovers(bundle), reporter(quiet=quiet))
    verified = seal_bundle(bundle, trusted)
    if root is None:
        newest = newest_root(open_site(site).roots).version
        carried = verified.authenticated.root.root.version
        if newest > carried:
            tell(
                f"warning: the bundle carries root version {carried}, and the site has {newest}; "
                "build it again to bring the newer one to the targets"
            )
    say_verified("sealed", bundle, verified, as_json=as_json, quiet=quiet)


def _say_removed(names: Sequence[str], report: Callable[[str], None]) -> None:
    for name in names:
        report(f"removed {name}, which a signer had left who was stopped")
