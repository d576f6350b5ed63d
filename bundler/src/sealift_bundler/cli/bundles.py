"""build, verify, inspect: what is done with a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealift_bundler.cli.common import (
    Json,
    Offline,
    PassphraseFd,
    PassphraseFile,
    Quiet,
    SiteOption,
    means,
    open_site,
    passphrase_source,
    reporter,
    say,
    say_json,
    stepper,
    tell,
)
from sealift_bundler.sizes import show_count, show_size
from sealift_installer.errors import UsageError, host_errors, printable

if TYPE_CHECKING:
    from sealift_bundler.build import Built
    from sealift_bundler.seal import Verified
    from sealift_bundler.view import BundleView
    from sealift_installer.trust.roots import TrustedRoot

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Its directory.")]
RootFileOption = Annotated[
    Path | None,
    typer.Option("--root", metavar="FILE", help="The root to trust. Default: that of the site."),
]


def build(  # noqa: PLR0913 - the options of the command
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new directory. Default: in bundles/.")
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Leave signing to `sealift sign` and `seal`.")
    ] = False,
    offline: Offline = False,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lock, fetch, inspect, write, sign and seal a bundle."""
    from sealift_bundler.build import BuildOptions, build_bundle
    from sealift_bundler.evidence.builders import find_builders
    from sealift_bundler.sign.references import check_quorum, open_signers
    from sealift_bundler.site import present_time

    here = open_site(site)
    if not unsigned and not here.spec.keys:
        raise UsageError(
            f"{here.spec_path} names no signing keys",
            hint="sealift root init --key NAME writes them; --unsigned leaves signing for later",
        )
    ask = passphrase_source(passphrase_file, passphrase_fd)
    # Before anything is fetched: a missing key should not cost a download.
    signers = () if unsigned else open_signers(here, "release", ask)
    if not unsigned:
        check_quorum(here, signers)
    told = reporter(quiet=quiet)
    options = BuildOptions(
        means(offline=offline, quiet=quiet),
        present_time(),
        output,
        signers,
        told,
        stepper(quiet=quiet),
        find_builders(here, None if unsigned else signers, ask, told),
    )
    # The build alone has it from here on, and lets it go when all that it asks for is there.
    sites = [here]
    del here
    _say_built(build_bundle(sites.pop(), options), as_json=as_json, quiet=quiet)


def verify(
    bundle: BundlePath,
    *,
    root: RootFileOption = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Verify a bundle as a target would that trusts this root and has seen no bundle."""
    from sealift_bundler.progress import progress
    from sealift_bundler.seal import verify_bundle

    watch = progress(quiet=quiet, done="read")
    verified = verify_bundle(bundle, trusted_root(root, site), watch)
    say_verified("verified", bundle, verified, as_json=as_json, quiet=quiet)


def inspect(
    bundle: BundlePath,
    *,
    root: RootFileOption = None,
    site: SiteOption = None,
    as_json: Json = False,
    members: Annotated[
        bool, typer.Option("--files", help="List every file that is relocated or kept as it is.")
    ] = False,
) -> None:
    """Show what is in a bundle, who sealed it, and what relocation does."""
    from sealift_bundler.site import find_site
    from sealift_bundler.view import view_bundle

    known = root is not None or find_site(Path.cwd() if site is None else site) is not None
    view = view_bundle(bundle, trusted_root(root, site) if known else None)
    if as_json:
        say_json(view.to_json())
    else:
        _say_view(view, members=members)


def trusted_root(file: Path | None, site: Path | None) -> "TrustedRoot":
    """Return the root that is trusted here: from the file given by hand, else the site's first."""
    import hashlib

    from sealift_bundler.roots import read_roots
    from sealift_bundler.seal import read_trusted_root
    from sealift_bundler.site import find_site
    from sealift_installer.limits import LIMITS

    if file is not None:
        with host_errors("cannot read the root"), file.open("rb") as opened:
            data = opened.read(LIMITS.root + 1)
        return read_trusted_root(data, hashlib.sha256(data).hexdigest())
    if find_site(Path.cwd() if site is None else site) is None:
        raise UsageError(
            "there is no root to verify the bundle with",
            hint="run this in the site, or name a root that you trust with --root FILE",
        )
    first = read_roots(open_site(site).roots)[0]
    return read_trusted_root(first.data, first.sha256)


def _say_built(built: "Built", *, as_json: bool, quiet: bool) -> None:
    manifest = built.manifest
    size = sum(file.size for file in manifest.files)
    state = "sealed" if built.verified is not None else "unsigned"
    if as_json:
        say_json(
            {
                "bundle": str(built.path),
                "state": state,
                "stream": manifest.stream,
                "sequence": manifest.sequence,
                "archives": [archive.name for archive in manifest.archives],
                "files": len(manifest.files),
                "bytes": size,
                "signers": list(built.signers),
                "changes": list(built.changes),
            }
        )
        return
    reporter(quiet=quiet)(
        f"{state}: stream {manifest.stream}, sequence {manifest.sequence}, "
        f"{show_count(len(manifest.archives), 'archive')}, {show_size(size)}"
    )
    say(str(built.path))


def say_verified(
    state: str, bundle: Path, verified: "Verified", *, as_json: bool, quiet: bool
) -> None:
    """Print what was verified, and by whom it is signed."""
    from sealift_installer.text_evidence import evidence_line

    found, report = verified.authenticated, verified.report
    manifest = found.manifest
    if as_json:
        say_json(
            {
                "bundle": str(bundle),
                "state": state,
                "stream": manifest.stream,
                "sequence": manifest.sequence,
                "manifest": found.manifest_sha256,
                "root": {"version": found.root.root.version, "sha256": found.root.sha256},
                "signers": list(found.signers),
                "files": report.files,
                "bytes": report.size,
                "evidence": verified.evidence.to_json(),
                "warnings": list(found.warnings),
            }
        )
        return
    for warning in found.warnings:
        tell(f"warning: {warning}")
    if not quiet:
        say(
            f"{state}: {bundle}\n"
            f"  stream {manifest.stream}, sequence {manifest.sequence}, made {manifest.created}\n"
            f"  {show_count(report.archives, 'archive')}, {show_count(report.files, 'file')}, "
            f"{show_size(report.size)}\n"
            f"  root version {found.root.root.version}"
        )
        for name in found.signers:
            say(f"  signed by {name}")
        say(f"  {evidence_line(verified.evidence)}")


def _say_view(view: "BundleView", *, members: bool) -> None:
    manifest = view.manifest
    say(f"stream {manifest.stream}, sequence {manifest.sequence}, made {manifest.created}, "
        f"expires {manifest.expires or 'never'}")  # fmt: skip
    for name in view.signers:
        say(f"signed by {name}")
    if not view.authentic:
        say("NOT VERIFIED: no root is known here; give one with --root FILE")
    for archive in view.archives:
        say(f"\n{archive.name}")
        for label, value in archive.lines():
            say(f"  {label:<10} {printable(value)}")
        if members:
            for path, places in archive.facts.relocated.items():
                say(f"    relocated  {printable(path)}: {places} places")
            for path in archive.facts.rewritten:
                say(f"    rewritten  {printable(path)}")
            for path, reason in archive.facts.kept.items():
                say(f"    kept       {printable(path)}: {printable(reason)}")
