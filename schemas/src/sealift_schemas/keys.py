"""Install keys and platforms, in uv's grammar.

An install key is `cpython-3.13.3+freethreaded-linux-x86_64-gnu`: implementation, version with an
optional variant, operating system, architecture, libc; five parts and no more. It is the name of
the directory that the interpreter is installed to. A platform is its last three parts.
"""

from sealift_schemas.lean import dataclass
from sealift_schemas.pattern import Pattern

IMPLEMENTATIONS = ("cpython", "pypy", "graalpy", "pyodide")
OPERATING_SYSTEMS = ("linux", "macos", "windows", "emscripten")
LIBCS = ("gnu", "gnueabi", "gnueabihf", "musl", "musleabi", "musleabihf", "none")
VARIANTS = ("freethreaded", "debug", "freethreaded+debug", "gil", "gil+debug")

PLATFORM = Pattern(
    r"(?:linux|macos|windows|emscripten)-[a-z0-9]+(?:_[a-z0-9]+)*-"
    r"(?:gnu|gnueabi|gnueabihf|musl|musleabi|musleabihf|none)"
)
PYTHON_VERSION = Pattern(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)((?:a|b|rc)[0-9]+)?")
KEY = Pattern(
    r"(?P<implementation>cpython|pypy|graalpy|pyodide)"
    rf"-(?P<version>{PYTHON_VERSION.pattern})"
    r"(?:\+(?P<variant>freethreaded\+debug|gil\+debug|freethreaded|debug|gil))?"
    rf"-(?P<platform>{PLATFORM.pattern})"
)
# The directory of a tool: NAME-VERSION-PLATFORM. No upper case: names must not differ by case alone.
TOOL_NAME = Pattern(r"[a-z0-9](?:[a-z0-9._+-]{0,98}[a-z0-9])?")


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """What an archive runs on: `linux-x86_64-gnu`."""

    os: str
    architecture: str
    libc: str

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Read `linux-x86_64-gnu`.

        Raises:
            ValueError: it is not OS-ARCHITECTURE-LIBC as uv spells it.
        """
        if not PLATFORM.fullmatch(text):
            raise ValueError(f"not a platform: {text!r}; one looks like linux-x86_64-gnu")
        return cls(*text.split("-"))

    def __str__(self) -> str:
        return f"{self.os}-{self.architecture}-{self.libc}"


@dataclass(frozen=True, slots=True)
class InstallKey:
    """An interpreter, exactly: `cpython-3.13.3+freethreaded-linux-x86_64-gnu`."""

    implementation: str
    version: str
    variant: str | None
    platform: Platform

    @classmethod
    def parse(cls, text: str) -> "InstallKey":
        """Read a key.

        Raises:
            ValueError: it does not have uv's five parts.
        """
        match = KEY.fullmatch(text)
        if match is None:
            raise ValueError(f"not an install key: {text!r}")
        return cls(
            match["implementation"],
            match["version"],
            match["variant"],
            Platform.parse(match["platform"]),
        )

    def __str__(self) -> str:
        variant = f"+{self.variant}" if self.variant else ""
        return f"{self.implementation}-{self.version}{variant}-{self.platform}"

    @property
    def minor(self) -> str:
        """The version up to its second number, `3.13`."""
        return ".".join(self.version.split(".")[:2])

    @property
    def minor_key(self) -> str:
        """The key without patch and prerelease: the name of uv's minor-version link."""
        variant = f"+{self.variant}" if self.variant else ""
        return f"{self.implementation}-{self.minor}{variant}-{self.platform}"

    @property
    def suffix(self) -> str:
        """What the variant appends to the interpreter's name: `t`, `d` or `td`."""
        return {
            "freethreaded": "t",
            "debug": "d",
            "gil+debug": "d",
            "freethreaded+debug": "td",
        }.get(self.variant or "", "")
