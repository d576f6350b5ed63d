"""diff: what one lock or bundle carries and another does not."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealift_bundler.cli.common import Json, say, say_json
from sealift_bundler.sizes import show_count, show_size

if TYPE_CHECKING:
    from sealift_bundler.difference import Difference


def diff(
    first: Annotated[
        Path, typer.Argument(metavar="FIRST", help="A sealift.lock, a site or a bundle.")
    ],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another one.")],
    *,
    as_json: Json = False,
) -> None:
    """Show what changes from one lock or bundle to another. Nothing is verified."""
    from sealift_bundler.difference import compare, read_contents

    found = compare(read_contents(first), read_contents(second))
    if as_json:
        say_json(found.to_json())
    else:
        _say_difference(found)


def _say_difference(found: "Difference") -> None:
    from sealift_bundler.upstream.show import describe

    for archive in found.removed:
        say(f"- {archive.name}  {show_size(archive.size)}")
    for archive in found.added:
        say(f"+ {archive.name}  {show_size(archive.size)}")
    for before, after in found.upgraded:
        size = _change(before.size, after.size)
        say(f"~ {after.name}  {before.version} to {after.version}, {size}")
    for before, after in found.rebuilt:
        size = _change(before.size, after.size)
        say(f"~ {after.name}  sha256 {before.sha256[:12]}... to {after.sha256[:12]}..., {size}")
    for before, after in found.evidence:
        say(f"* {after.name}  {describe(after.upstream)}\n    before: {describe(before.upstream)}")
    for name, lost in found.unconfirmed:
        say(f"! {name}  not confirmed any more by its publisher: {', '.join(lost)}")
    one, two = found.first, found.second
    if one.wheels.keys() != two.wheels.keys():
        say(
            f"~ the wheels of unseal: {len(one.wheels)} to {show_count(len(two.wheels), 'file')}, "
            f"{show_size(found.new_wheel_bytes)} of them new"
        )
    if one.stream != two.stream:
        say(f"stream {one.stream} to {two.stream}")
    say(
        f"sequence {one.sequence} to {two.sequence}: {len(one.archives)} to "
        f"{show_count(len(two.archives), 'archive')}, "
        f"{show_size(one.size)} to {show_size(two.size)}, {show_size(found.new_bytes)} of it new"
    )


def _change(before: int, after: int) -> str:
    sign = "-" if after < before else "+"
    return f"{sign}{show_size(abs(after - before))}"
