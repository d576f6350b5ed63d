"""The names in `bin/` that were made, so that a check can tell whether they are as they were made.

One small file for each name, `state/bin/NAME.json`: which tree it was made for, and what it leads
to. The tree that got the name last has it.
"""

from collections.abc import Iterator
from pathlib import Path

from sealift_installer.durable import make_directory, remove_durably, write_durably
from sealift_installer.errors import HostError, host_errors, printable
from sealift_installer.prefix import Prefix, open_kept
from sealift_schemas.keys import TOOL_NAME
from sealift_schemas.lean import dataclass, replace
from sealift_schemas.manifest import INSTALLED_PATH, LINK_NAME
from sealift_schemas.strictjson import DocumentError, Fields, encode, parse

FORMAT = 1
_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """One name that was made: for which tree, what it leads to, and whether it is a wrapper.

    `target` is a path in the prefix, so that it stays true when that is moved.
    """

    name: str
    tree: str
    target: str
    wrapper: bool

    @classmethod
    def read(cls, data: bytes, *, what: str, name: str) -> "Made":
        """Read what was kept of `name`.

        Raises:
            DocumentError: it is none of this format, or another name's.
        """
        with Fields(parse(data, what=what, limit=_LIMIT), what) as fields:
            fields.constant("format", FORMAT)
            made = cls(
                name=fields.text("name", LINK_NAME, "a plain file name"),
                tree=fields.text("tree", TOOL_NAME, "an install key or a tool's directory name"),
                target=fields.text("target", INSTALLED_PATH, "a path in the prefix"),
                wrapper=fields.flag("wrapper"),
            )
            if made.name != name:
                fields.fail("name", name, made.name)
            return made

    def encode(self) -> bytes:
        """Return the bytes that are kept."""
        return encode(
            {
                "format": FORMAT,
                "name": self.name,
                "tree": self.tree,
                "target": self.target,
                "wrapper": self.wrapper,
            },
            indent=2,
        )


class Names:
    """What is kept of the names in a prefix's `bin/`."""

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self._directory = prefix.state / "bin"

    def note(self, path: Path, tree: str, target: Path, *, wrapper: bool) -> None:
        """Keep that the name at `path` was made.

        Raises:
            OSError: it cannot be written.
        """
        inside = target.relative_to(self._prefix.path).as_posix()
        made = Made(path.name, tree, inside, wrapper)
        if self._read(path.name) != made:
            self._write(made)

    def all(self) -> Iterator[Made]:
        """Yield what is kept, by name.

        Raises:
            HostError: it cannot be read, or somebody changed it.
        """
        with host_errors("cannot look at what was made in bin/"):
            names = sorted(path.stem for path in self._directory.glob("[!.]*.json"))
        yield from filter(None, map(self._read, names))

    def forget(self, tree: str, heir: str | None) -> None:
        """Let the names of a tree that is gone be those of `heir`, where they still lead somewhere.

        Raises:
            HostError: they cannot be read or removed.
        """
        for made in self.all():
            if made.tree != tree:
                continue
            with host_errors("cannot forget a name in bin/"):
                if heir is not None and self.target(made).exists():
                    self._write(replace(made, tree=heir))
                else:
                    remove_durably(self._path(made.name))

    def drop(self, path: Path) -> None:
        """Forget the name at `path`, which was removed.

        Raises:
            OSError: it cannot be removed.
        """
        remove_durably(self._path(path.name))

    def target(self, made: Made) -> Path:
        """Return what a name is to lead to, where the prefix stands now."""
        return self._prefix.path / made.target

    def is_met(self, made: Made, found: Path) -> bool:
        """Tell whether `found` is what a name is to lead to, be the prefix reached by a link."""
        if found == self.target(made):
            return True
        former, inside, rest = found.as_posix().rpartition(f"/{made.target}")
        try:
            return bool(inside) and not rest and self._prefix.path.samefile(former)
        except OSError:
            return False

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _read(self, name: str) -> Made | None:
        path = self._path(name)
        with host_errors("cannot read what was made in bin/"):
            try:
                with open_kept(path) as file:
                    data = file.read(_LIMIT + 1)
            except FileNotFoundError:
                return None
        try:
            return Made.read(data, what=path.name, name=name)
        except DocumentError as error:
            raise HostError(
                f"what was kept of a name in bin/ is malformed: {printable(str(path))}\n"
                f"  {printable(str(error))}",
                hint="move it away; unseal install BUNDLE --link makes it and the name anew",
            ) from None

    def _write(self, made: Made) -> None:
        make_directory(self._directory, self._prefix.state)
        write_durably(self._path(made.name), made.encode())
