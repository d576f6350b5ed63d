"""report: one page about a bundle, for people."""

from pathlib import Path
from typing import Annotated

import typer

from sealift_bundler.cli.bundles import RootFileOption, trusted_root
from sealift_bundler.cli.common import Json, Quiet, SiteOption, reporter, say, say_json


def report(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Its directory.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to. Default: BUNDLE.report.html beside it.",
        ),
    ] = None,
    root: RootFileOption = None,
    site: SiteOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Verify a bundle and write one HTML page about it, which needs nothing else."""
    from sealift_bundler import __version__
    from sealift_bundler.bundle_page import describe_sealed
    from sealift_bundler.sizes import show_size
    from sealift_installer.page.document import bundle_page
    from sealift_installer.page.output import write_page

    described = describe_sealed(bundle, trusted_root(root, site))
    page = bundle_page(described, f"sealift {__version__}")
    place = bundle.resolve()
    file = output or place.with_name(f"{place.name}.report.html")
    write_page(file, page, bundle)
    reporter(quiet=quiet)(f"verified; wrote {show_size(len(page))}")
    if as_json:
        say_json({"file": str(file), "bytes": len(page)})
    else:
        say(str(file))
