"""init, key, root: what a site is made of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

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

key_app = typer.Typer(no_args_is_help=True, help="Make and show signing keys.")
root_app = typer.Typer(no_args_is_help=True, help="Make and show the list of trusted keys.")


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path(),
    *,
    quiet: Quiet = False,
) -> None:
    """Make a site: sealift.toml, which says what is wanted, and .gitignore."""
    from sealift_bundler.site import create_site

    path = create_site(directory)
    reporter(quiet=quiet)(f"made {path}; next: sealift key new NAME")


@key_app.command("new")
def key_new(  # noqa: PLR0913 - the options of the command
    name: Annotated[str, typer.Argument(help="A plain name, as `release`.")],
    *,
    scheme: Annotated[str, typer.Option(help="p256, p384 or ed25519.")] = "p256",
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
    from sealift_installer.errors import UsageError, printable

    if scheme not in SHORT_NAMES:
        raise UsageError(
            f"unknown scheme: {printable(scheme)}", hint="one of " + ", ".join(SHORT_NAMES)
        )
    files = open_site(site).key(name)
    passphrase = None if no_passphrase else new_passphrase(passphrase_file, passphrase_fd)
    public = create_key(files, scheme, passphrase)
    report = reporter(quiet=quiet)
    report(f"made {files.private} and {files.public}; next: sealift root init --key {name}")
    _say_key(keyid(public), public.scheme, files.public, as_json=as_json)


@key_app.command("show")
def key_show(name: str, *, site: SiteOption = None, as_json: Json = False) -> None:
    """Show a key's id: the SHA-256 of its public half, to be compared with paper."""
    from sealift_bundler.keys import keyid, load_public

    files = open_site(site).key(name)
    public = load_public(files.public)
    _say_key(keyid(public), public.scheme, files.public, as_json=as_json)


@root_app.command("init")
def root_init(  # noqa: PLR0913 - the options of the command
    *,
    key: Annotated[
        list[str], typer.Option(help="A key for every role. Repeat it for several keys.")
    ],
    root_key: Annotated[
        list[str] | None, typer.Option(help="A key for the role `root`, instead of --key.")
    ] = None,
    threshold: Annotated[
        int, typer.Option(min=1, help="How many keys must sign bundles and roots.")
    ] = 1,
    root_threshold: Annotated[
        int | None, typer.Option(min=1, help="How many must sign roots, if it differs.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the first root, and print the SHA-256 that goes on paper to the targets."""
    from sealift_bundler import specfile
    from sealift_bundler.keys import load_public
    from sealift_bundler.roots import RootPlan, create_first_root
    from sealift_bundler.sign import FileSigner
    from sealift_bundler.site import present_time

    here = open_site(site)
    release = [here.key(name) for name in key]
    rooted = [here.key(name) for name in root_key] if root_key else release
    members = [load_public(files.public) for files in release]
    plan = RootPlan(
        stream=here.spec.stream,
        created=present_time(),
        roles={
            "root": ([load_public(files.public) for files in rooted], root_threshold or threshold),
            "release": (members, threshold),
            "builder": (members, 1),
        },
    )
    ask = passphrase_source(passphrase_file, passphrase_fd)
    signers = [FileSigner.load(files.private, ask) for files in rooted if files.private.exists()]
    root = create_first_root(here.roots, plan, signers)
    private = [files.private for files in release if files.private.exists()]
    specfile.add_keys(here.spec_path, _relative(private, here.directory))
    reporter(quiet=quiet)(
        f"made {here.roots / root.name}\n"
        "Take this SHA-256 to the targets by another way than the bundles:"
    )
    if as_json:
        say_json({"version": 1, "path": str(here.roots / root.name), "sha256": root.sha256})
    else:
        say(root.sha256)


@root_app.command("show")
def root_show(*, site: SiteOption = None, as_json: Json = False) -> None:
    """Show every root version: its SHA-256, its keys and thresholds."""
    from sealift_bundler.roots import RootFile, read_roots
    from sealift_bundler.seal import read_trusted_root

    def described(file: RootFile) -> dict[str, Any]:
        # A hash is only shown where the threshold stands.
        read_trusted_root(file.data, file.sha256)
        roles = {
            name: {"keys": list(role.keys), "threshold": role.threshold}
            for name, role in file.root.roles.items()
        }
        return {
            "version": file.version,
            "sha256": file.sha256,
            "created": file.root.created,
            "roles": roles,
        }

    versions = [described(file) for file in read_roots(open_site(site).roots)]
    if as_json:
        say_json(versions)
        return
    for version in versions:
        say(f"version {version['version']}, made {version['created']}")
        say(f"  sha256 {version['sha256']}")
        for name, role in version["roles"].items():
            say(f"  {name}: {role['threshold']} of {', '.join(key[:16] for key in role['keys'])}")


def _say_key(name: str, scheme: str, public: Path, *, as_json: bool) -> None:
    if as_json:
        say_json({"keyid": name, "scheme": scheme, "public": str(public)})
    else:
        say(f"{name}  {scheme}")


def _relative(paths: Sequence[Path], directory: Path) -> list[str]:
    here = directory.resolve()
    absolute = [path.resolve() for path in paths]
    return [
        path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
        for path in absolute
    ]
