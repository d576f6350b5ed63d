"""Rewrite what an interpreter says about its own places, before it is carried.

Only captured paths are rewritten: those of the interpreter's own parts wherever they stand, and
those of folders that the whole system shares (/usr, /usr/lib) by the variable of sysconfig that
holds them. So /usr/bin/env and /usr/bin/install stay what they are.
"""

import json
import re
from collections.abc import Mapping

from sealift_bundler.sources.capture_layout import Layout

# The first line by which uv and CPython's own tools know the file.
_HEADER = "# system configuration generated and used by the sysconfig module\n"
_ASSIGNMENT = re.compile(r"^(\s*(?:export\s+)?)([A-Za-z_][A-Za-z0-9_]*)(\s*=)(.*)$")
# Lower-case names of shell scripts and .pc files, and what sysconfig calls them.
_ALIASES = {"libdir": "LIBDIR", "includedir": "INCLUDEDIR", "bindir": "BINDIR"}
_CONFIGURED = {
    "prefix": "prefix",
    "exec-prefix": "exec_prefix",
    "libdir": "LIBDIR",
    "includedir": "INCLUDEDIR",
    "bindir": "BINDIR",
    "mandir": "MANDIR",
    "datarootdir": "datarootdir",
}
_LISTS = ("DESTDIRS", "INCLDIRSTOMAKE")
# A path starts after anything that is no part of one, right after an option's letter (-I, -L), or
# after the dot of a path below a build tree; it ends before anything that is no part of a name.
_START = r"(?:(?<![\w.\-+~/})])|(?<=[\s'\"=]-[A-Za-z])|(?<=^-[A-Za-z])|(?<=[\s'\"=]\.)|(?<=^\.))"
_END = r"(?![\w.\-+~])"


class Rewriter:
    """Rewrites texts of one captured interpreter.

    Args:
        layout: the map of the capture.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._places = dict(layout.places)
        longest = sorted(self._places, key=len, reverse=True)
        self._pattern = re.compile(f"{_START}(?:{'|'.join(map(re.escape, longest))}){_END}")

    def text(self, value: str) -> str:
        """Return `value` with the paths of the interpreter's own parts rewritten."""
        return self._pattern.sub(lambda match: self._places[match[0]], value)

    def setting(self, name: str, value: str) -> str:
        """Return the value of a variable of sysconfig, rewritten."""
        name = _ALIASES.get(name, name)
        if name in _LISTS:
            for other in ("DESTSHARED", "BINLIBDEST", "INCLUDEPY", "LIBDIR", "INCLUDEDIR"):
                value = self._folder(other, value)
            value = self._folder("prefix", value)
        elif name == "CONFIG_ARGS":
            value = self._arguments(value)
        elif name in self._layout.settings:
            value = self._folder(name, value)
        return self.text(value)

    def data(self, settings: Mapping[str, str | int]) -> bytes:
        """Return the sysconfig data file for `settings`, sorted, in the form that uv writes too."""
        renewed = {
            name: _one_line(self.setting(name, value)) if isinstance(value, str) else value
            for name, value in settings.items()
        }
        body = json.dumps(renewed, indent=4, sort_keys=True, ensure_ascii=False)
        return f"{_HEADER}build_time_vars = {body}\n".encode("utf-8", "surrogateescape")

    def assignments(self, text: str) -> str:
        """Return a Makefile, a shell script or a .pc file, its assignments rewritten by name."""
        return "\n".join(self._line(line) for line in text.split("\n"))

    def json(self, text: str) -> str:
        """Return a JSON file of the standard library with its paths rewritten.

        Raises:
            ValueError: it is no JSON.
        """
        renewed = self._value("", json.loads(text))
        return json.dumps(renewed, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def shebang(self, data: bytes) -> bytes:
        """Return a script's bytes, its first line rewritten where it calls this interpreter."""
        if not data.startswith(b"#!"):
            return data
        # pip writes long paths in the second line: #!/bin/sh, then '''exec' "/the/path" "$0" "$@".
        lines = data.split(b"\n", 3)
        wrapped = lines[0].rstrip() == b"#!/bin/sh" and lines[1:2] and b"'''exec'" in lines[1]
        for number in range(2 if wrapped else 1):
            line = lines[number].decode("utf-8", "surrogateescape")
            lines[number] = self.text(line).encode("utf-8", "surrogateescape")
        return b"\n".join(lines)

    def _line(self, line: str) -> str:
        match = _ASSIGNMENT.match(line)
        if match is None:
            return self.text(line)
        indent, name, equals, value = match.groups()
        return f"{indent}{name}{equals}{self.setting(name, value)}"

    def _value(self, name: str, value: object) -> object:
        if isinstance(value, dict):
            return {key: self._value(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value("", item) for item in value]
        if isinstance(value, str):
            return self.setting("prefix" if name == "base_prefix" else name, value)
        return value

    def _folder(self, name: str, value: str) -> str:
        """Put the new place of the folder that the variable `name` holds into `value`."""
        old = self._layout.facts.setting(name).rstrip("/")
        new = self._layout.settings[name]
        if not old.startswith("/"):
            return value
        value = re.sub(f"{_START}{re.escape(old)}/?(?=$|[\\s'\"])", lambda _: new, value)
        prefix = str(self._layout.facts.prefix)
        if old.startswith(f"{prefix}/"):
            # The same folder by way of another variable: ${exec_prefix}/lib/x86_64-linux-gnu.
            below, placed = old[len(prefix) :], new[len(self._layout.settings["prefix"]) :]
            variables = r"(\$[({](?:exec_)?prefix[)}])"
            pattern = rf"{variables}{re.escape(below)}(?=$|[\s'\"])"
            value = re.sub(pattern, lambda match: match[1] + placed, value)
        return value

    def _arguments(self, value: str) -> str:
        for option, name in _CONFIGURED.items():
            old = self._layout.facts.setting(name)
            if old.startswith("/"):
                pattern = rf"(--{option}=){re.escape(old.rstrip('/'))}/?(?=$|[\s'\"])"
                new = self._layout.settings[name]
                value = re.sub(pattern, lambda match, new=new: match[1] + new, value)  # type: ignore[misc]
        return value


def _one_line(value: str) -> str:
    """Return a value without line breaks: readers of the file know no escape for them."""
    return " ".join(value.splitlines()) if any(end in value for end in "\n\r") else value
