"""init and key: a site and its keys."""

from pathlib import Path
from typing import Annotated

import typer

from sealift_bundler.cli.common import (
    Json,
    PassphraseFd,
    PassphraseFile,
    Quiet,
    SiteOption,
    new_passphrase,
    open_site,
    passphrase_source,
    reporter,
    say,
    say_json,
)
from sealift_bundler.cli.program import Program

key_app = Program(no_args_is_help=True, help="Make and show signing keys.")


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A directory, made if need be.")
    ] = Path(),
    *,
    quiet: Quiet = False,
) -> None:
    """Make a site: sealift.toml, which says what is wanted, and .gitignore."""
    from sealift_bundler.site import create_site

    path = create_site(directory)
    reporter(quiet=quiet)(f"made {path}; next: sealift key new NAME")


@key_app.command("new")
def key_new(  # noqa: PLR0913 - the options of the command
    name: Annotated[str, typer.Argument(metavar="NAME", help="A plain name, as `release`.")],
    *,
    scheme: Annotated[str, typer.Option(metavar="SCHEME", help="p256, p384 or ed25519.")] = "p256",
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Leave the private key unencrypted.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a key: keys/NAME.key.pem (mode 0600) and keys/NAME.pub.pem."""
    from sealift_bundler.keys import SHORT_NAMES, create_key, keyid
    from sealift_bundler.site import find_key
    from sealift_installer.errors import UsageError, printable

    if scheme not in SHORT_NAMES:
        raise UsageError(
            f"unknown scheme: {printable(scheme)}", hint="one of " + ", ".join(SHORT_NAMES)
        )
    if no_passphrase and not (passphrase_file is None and passphrase_fd is None):
        raise UsageError("--no-passphrase leaves nothing to --passphrase-file and --passphrase-fd")
    place = _place(site)
    files = find_key(name, place)
    step = _next_step(place, name, files.public)
    passphrase = None if no_passphrase else new_passphrase(passphrase_file, passphrase_fd)
    public = create_key(files, scheme, passphrase)
    report = reporter(quiet=quiet)
    report(f"made {files.private} and {files.public}; {step}")
    _say_key(keyid(public), public.scheme, files.public, as_json=as_json)


@key_app.command("show")
def key_show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A name, a path, pkcs11: or exec:.")],
    *,
    pem: Annotated[
        bool, typer.Option("--pem", help="Print the public key itself, for a NAME.pub.pem.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    site: SiteOption = None,
    as_json: Json = False,
) -> None:
    """Show a key's id: the SHA-256 of its public half, to be compared with paper."""
    from sealift_bundler.keys import keyid, public_pem
    from sealift_bundler.membership import find_member

    ask = passphrase_source(passphrase_file, passphrase_fd)
    place = _place(site)
    public = find_member(key, place, ask).public
    if pem:
        say(public_pem(public).decode("ascii").rstrip("\n"))
    else:
        path = _public_path(key, place)
        _say_key(keyid(public), public.scheme, path, as_json=as_json)


def _next_step(place: Path, name: str, public: Path) -> str:
    from sealift_bundler.roots import list_roots
    from sealift_bundler.site import find_site

    if find_site(place) is None:
        return f"next: give the site {public.name}"
    rooted = list_roots(open_site(place).roots)
    return f"next: sealift root {f'rotate --add {name}' if rooted else f'init --key {name}'}"


def _place(site: Path | None) -> Path:
    """Return the site, or the present directory: keys are made and shown on other machines too."""
    from sealift_bundler.site import find_site

    if site is not None:
        return open_site(site).directory
    return find_site(Path.cwd()) or Path.cwd()


def _public_path(reference: str, place: Path) -> Path | None:
    from sealift_bundler.sign.references import is_remote
    from sealift_bundler.site import find_key

    return None if is_remote(reference) else find_key(reference, place).public


def _say_key(name: str, scheme: str, public: Path | None, *, as_json: bool) -> None:
    if as_json:
        path = None if public is None else str(public)
        say_json({"keyid": name, "scheme": scheme, "public": path})
    else:
        say(f"{name}  {scheme}")
