"""`[signing]` of sealift.toml after a new root: who was removed signs no longer, who is new does."""

from collections.abc import Sequence
from pathlib import Path

from sealift_bundler import specfile
from sealift_bundler.keys import PRIVATE_SUFFIX, PUBLIC_SUFFIX, keyid, load_public
from sealift_bundler.sign.command import SCHEME as EXEC
from sealift_bundler.sign.command import parse_command
from sealift_bundler.sign.references import is_remote
from sealift_bundler.site import KEYS_NAME, Site
from sealift_installer.errors import SealiftError
from sealift_schemas.root import Root


def relative_reference(path: Path, directory: Path) -> str:
    """Return `path` as the spec in `directory` names it: relative where it is inside."""
    here, absolute = directory.resolve(), path.resolve()
    inside = absolute.is_relative_to(here)
    return absolute.relative_to(here).as_posix() if inside else str(absolute)


def follow_root(site: Site, old: Root, new: Root) -> list[str]:
    """Take keys that `new` removed from their role out of the spec, and put new ones in.

    That is for keys whose public halves are at hand; new ones must have their private halves in
    `keys/`. What a token holds is added by hand. Returns what was done, in lines for people.

    Raises:
        UsageError: the spec would break its schema; it is then unchanged.
        HostError: it cannot be read or written.
    """
    lines = []
    for role, name, references in (
        ("release", "keys", site.spec.keys),
        ("builder", "builders", site.spec.builders),
    ):
        before, after = set(old.roles[role].keys), set(new.roles[role].keys)
        gone = [one for one in references if _public_id(one, site.directory) in before - after]
        if gone:
            specfile.remove_keys(site.spec_path, gone, name)
            lines += [
                f"took {one} out of [signing] {name}: it is no {role} key now" for one in gone
            ]
        if role == "builder" and not references:
            continue
        made = [one for one in _own_keys(site, after - before) if one not in references]
        if made:
            specfile.add_keys(site.spec_path, made, name)
            lines += [f"put {one} into [signing] {name}: it is a {role} key now" for one in made]
    return lines


def _own_keys(site: Site, wanted: set[str]) -> Sequence[str]:
    """Return the references of the wanted keys whose private halves are in the site."""
    found = []
    for public in sorted((site.directory / KEYS_NAME).glob(f"*{PUBLIC_SUFFIX}")):
        private = public.with_name(public.name.removesuffix(PUBLIC_SUFFIX) + PRIVATE_SUFFIX)
        if private.exists() and _keyid(public) in wanted:
            found.append(relative_reference(private, site.directory))
    return found


def _public_id(reference: str, directory: Path) -> str | None:
    """Return the id of the key behind `reference`, as far as nobody has to be asked for it."""
    if reference.startswith(EXEC):
        return _keyid(directory / parse_command(reference).public)
    if is_remote(reference) or not reference.endswith(PRIVATE_SUFFIX):
        return None
    return _keyid(directory / (reference.removesuffix(PRIVATE_SUFFIX) + PUBLIC_SUFFIX))


def _keyid(path: Path) -> str | None:
    try:
        return keyid(load_public(path))
    except SealiftError:
        return None
