"""Who is asked about an archive: one table, by where the archive was published.

| published at | list of digests | digest by GitHub | attestation |
| --- | --- | --- | --- |
| a release of python-build-standalone | `SHA256SUMS` beside it | yes | yes |
| another release at GitHub | `FILE.sha256` beside it | yes | yes |
| PyPy's server | the list in PyPy's documentation | | |
| nodejs.org | `SHASUMS256.txt` beside it | | |
| elsewhere | `FILE.sha256` beside it | | |
| the package index | | | PEP 740 |

What the spec names for an archive stands in place of the table's list or attestation. An archive
that was captured on this machine has no publisher.
"""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from sealift_bundler.mirrors import PBS, find_addresses
from sealift_bundler.upstream.reader import LARGEST_ANSWER, LARGEST_LIST, Request
from sealift_installer.errors import UsageError
from sealift_schemas.lean import dataclass
from sealift_schemas.lock import LockedArchive
from sealift_schemas.network import Mirror
from sealift_schemas.spec import UrlWanted

# Where GitHub's API is; a mirror of the spec may stand in for it, as for every address.
GITHUB_API = "https://api.github.com/"
PYPY = "https://downloads.python.org/pypy/"
PYPY_LIST = "https://raw.githubusercontent.com/pypy/pypy.org/main/pages/checksums.rst"
_RELEASE = re.compile(
    r"https://github\.com/([^/?#]+)/([^/?#]+)/releases/download/([^/?#]+)/[^/?#]+"
)
_NODE = re.compile(r"https://nodejs\.org/(?:dist|download/[a-z0-9-]+)/[^/?#]+/")
# The version of the API that is spoken here.
_API_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to be asked about one archive.

    Attributes:
        kind: of evidence, as the lock names it.
        request: the address and what stands in for it.
        alone: a list that belongs to the archive alone.
        repository: where the archive was published, by which a signer is known.
    """

    kind: str
    request: Request
    alone: bool = False
    repository: str | None = None


def find_questions(
    archive: LockedArchive, wanted: UrlWanted | None, mirrors: Sequence[Mirror]
) -> list[Question]:
    """Return what is to be asked about an archive that is not from the package index.

    Args:
        archive: as it will be locked.
        wanted: the table of the spec that asked for it, if it was one with an address.
        mirrors: those of the spec.

    Raises:
        UsageError: uv's variable names a mirror that is no address.
    """
    if archive.source in {"captured", "package"}:
        return []
    implementation = archive.recipe if archive.source == "python" else ""
    lists = wanted.checksums if wanted is not None else None
    bundle = wanted.attestation if wanted is not None else None
    address, alone = (lists, False) if lists is not None else _list_address(archive.url)
    questions = [
        Question(
            "checksum-file",
            Request(address, _places(address, implementation, mirrors), LARGEST_LIST),
            alone=alone,
        )
    ]
    release = _RELEASE.fullmatch(archive.url)
    if bundle is not None:
        request = Request(bundle, _places(bundle, "", mirrors), LARGEST_LIST)
        questions.append(Question("attestation", request))
    if release is None:
        return questions
    questions += _ask_github(release, archive.sha256, mirrors, attested=bundle is not None)
    return questions


def beside(url: str, name: str) -> str:
    """Return the address of the file `name` in the folder of `url`, without query."""
    parts = urlsplit(url)
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path.rpartition("/")[0] + f"/{name}", "", "")
    )


def api_request(
    address: str, mirrors: Sequence[Mirror], limit: int = LARGEST_ANSWER, *, keep: bool = True
) -> Request:
    """Return the request for an address of GitHub's API, for an answer of `limit` bytes at most."""
    return Request(address, _places(address, "", mirrors), limit, _API_HEADERS, keep)


def _list_address(url: str) -> tuple[str, bool]:
    """Return the address of the list, and whether it belongs to the one archive alone."""
    if url.startswith(PBS):
        return beside(url, "SHA256SUMS"), False
    if url.startswith(PYPY):
        return PYPY_LIST, False
    if _NODE.match(url):
        return beside(url, "SHASUMS256.txt"), False
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path}.sha256", "", "")), True


def _ask_github(
    release: re.Match[str], sha256: str, mirrors: Sequence[Mirror], *, attested: bool
) -> Iterator[Question]:
    owner, name, tag = release.groups()
    repository = f"https://github.com/{owner}/{name}"
    below = f"{GITHUB_API}repos/{owner}/{name}"
    digest = f"{below}/releases/tags/{quote(unquote(tag), safe='')}"
    yield Question("release-digest", api_request(digest, mirrors), repository=repository)
    if not attested:
        yield Question(
            "attestation",
            # Several of these are read at the same time. The answer has signed addresses, which
            # let anybody in for minutes: what they lead to is kept, and they are not.
            api_request(f"{below}/attestations/sha256:{sha256}", mirrors, LARGEST_LIST, keep=False),
            repository=repository,
        )


def _places(address: str, implementation: str, mirrors: Sequence[Mirror]) -> tuple[str, ...]:
    try:
        return find_addresses(address, implementation, mirrors)
    except UsageError:
        # uv's variable is for another address than this one, which has its own way.
        return find_addresses(address, "", mirrors)
