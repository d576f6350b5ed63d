"""Asks publishers' servers: little at a time, with little patience, each address once in a run.

What cannot be had is no error here, for an archive is as good without it. So a server that does
not answer is not asked again in the same run, however many archives it would have spoken of.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import requests

from sealift_bundler import web
from sealift_bundler.access import Access
from sealift_bundler.errors import NetworkError
from sealift_bundler.patience import Patience
from sealift_bundler.transfer import local_path
from sealift_bundler.upstream.store import EvidenceStore
from sealift_bundler.web_faults import shown
from sealift_installer.errors import printable

# The largest list of digests, and the largest answer of an API, in bytes. The list of a release of
# python-build-standalone has about 100 kB, what the API says of it 2 MB.
LARGEST_LIST = 4 * 1024 * 1024
LARGEST_ANSWER = 32 * 1024 * 1024
# Of all answers of a run, which are held until they are judged.
LARGEST_IN_ALL = 512 * 1024 * 1024
# The seconds that one answer may take in all, however steadily it drips.
LONGEST = 120.0
_MADE = "#made"
_NOT_MODIFIED = 304
_ABSENT = frozenset({404, 410})
_REFUSED = frozenset({403, 429})
_ACCEPTED = frozenset({200, _NOT_MODIFIED, *_ABSENT, *_REFUSED})


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        address: the canonical one, which is recorded.
        places: the addresses that are asked in its stead, in order: mirrors, or itself.
        limit: the bytes of the largest answer.
        headers: beside our own.
        keep: whether the answer serves later runs that are offline.
    """

    address: str
    places: tuple[str, ...]
    limit: int = LARGEST_LIST
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: the bytes, or that there is nothing, or `fault`, why nobody knows."""

    data: bytes | None = None
    fault: str | None = None
    place: str = ""

    @property
    def reached(self) -> bool:
        """Whether somebody answered, be it that there is nothing."""
        return self.fault is None


class _Limited(NetworkError):
    """The server wants to be left alone, or is best left alone; that is heeded at once."""


@dataclass(frozen=True, slots=True)
class _Asked:
    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: list[Answer] = field(default_factory=list)


def hasty(patience: Patience) -> Patience:
    """Return the patience that evidence is worth: two attempts of some seconds."""
    return replace(
        patience,
        connect=min(patience.connect, 5.0),
        read=min(patience.read, 20.0),
        attempts=min(patience.attempts, 2),
        longest_wait=min(patience.longest_wait, 2.0),
    )


class Reader:
    """Asks addresses for several threads, each of them once.

    Args:
        store: where answers are kept.
        access: the way to the servers.
        offline: take what is kept, and ask nobody.
    """

    def __init__(self, store: EvidenceStore, access: Access, *, offline: bool = False) -> None:
        self.access = replace(access, patience=hasty(access.patience))
        self._store = store
        self._offline = offline
        self._guard = threading.Lock()
        self._asked: dict[str, _Asked] = {}
        self._away: dict[str, str] = {}
        self._held = 0

    def read(self, request: Request, session: web.Session) -> Answer:
        """Return the answer; who asks for an address that is being asked waits for it.

        Raises:
            UsageError: a token is missing.
            HostError: the cache cannot be read or written.
        """
        with self._guard:
            asked = self._asked.setdefault(request.address, _Asked())
        with asked.lock:
            if not asked.answers:
                asked.answers.append(self._hold(self._read(request, session)))
        return asked.answers[0]

    def recall(self, address: str) -> Answer | None:
        """Return what was made of an address's answer in an earlier run, if nobody may be asked."""
        kept = self._store.answer(f"{address}{_MADE}") if self._offline else None
        return None if kept is None else Answer(kept[0] or None, place=address)

    def remember(self, address: str, data: bytes) -> None:
        """Keep what was made of an address's answer, where it leads to others that do not last."""
        self._store.keep_answer(f"{address}{_MADE}", data, None)

    def _hold(self, answer: Answer) -> Answer:
        with self._guard:
            self._held += len(answer.data or b"")
            if self._held <= LARGEST_IN_ALL or answer.data is None:
                return answer
            self._held -= len(answer.data)
        return Answer(
            fault=f"more than {LARGEST_IN_ALL} bytes were sent in all", place=answer.place
        )

    def _read(self, request: Request, session: web.Session) -> Answer:
        kept = self._store.answer(request.address) if request.keep else None
        if self._offline and not _is_local(request.places):
            if kept is not None:
                return Answer(kept[0], place=request.address)
            return Answer(fault="offline, and it is not in the cache")
        answer = Answer(fault="no place to ask")
        for place in request.places:
            if urlsplit(place).scheme == "file":
                answer = _read_local(place, request.limit)
            else:
                answer = self._ask(request, place, session, kept)
            if answer.data is not None:
                break
        return answer

    def _ask(
        self,
        request: Request,
        place: str,
        session: web.Session,
        kept: tuple[bytes, str | None] | None,
    ) -> Answer:
        host = urlsplit(place).netloc
        if host in self._away:
            return Answer(fault=self._away[host], place=place)
        try:
            found = web.insist(lambda: _get(request, place, session, kept), session.access.patience)
        except NetworkError as error:
            fault = printable(error.message.removeprefix(f"{shown(place)}: "))
            if isinstance(error, web.Transient | _Limited):
                self._away[host] = fault
            return Answer(fault=fault, place=place)
        if found is not None and request.keep:
            self._store.keep_answer(request.address, *found)
        return Answer(None if found is None else found[0], place=place)


def _get(
    request: Request, place: str, session: web.Session, kept: tuple[bytes, str | None] | None
) -> tuple[bytes, str | None] | None:
    """Return bytes and ETag, None where the server says that there is nothing."""
    headers = dict(request.headers)
    if kept is not None and kept[1] is not None:
        headers["If-None-Match"] = kept[1]
    with web.get(place, headers=headers, session=session, accepted=_ACCEPTED) as response:
        if response.status_code in _ABSENT:
            return None
        if response.status_code in _REFUSED:
            raise _refusal(response, place)
        if response.status_code == _NOT_MODIFIED:
            if kept is None or kept[1] is None:
                raise NetworkError(f"{shown(place)}: the server confirms what nobody asked about")
            return kept
        return _body(response, place, request.limit), web.entity_tag(response)


def _body(response: requests.Response, place: str, limit: int) -> bytes:
    data = bytearray()
    too_much = NetworkError(f"{shown(place)}: more than {limit} bytes were sent")
    if (web.body_size(response) or 0) > limit:
        raise too_much
    end = time.monotonic() + LONGEST
    for block in web.read_body(response, place):
        data += block
        if len(data) > limit:
            raise too_much
        if time.monotonic() > end:
            raise _Limited(f"{shown(place)}: the answer takes longer than {LONGEST:.0f} seconds")
    return bytes(data)


def _refusal(response: requests.Response, place: str) -> NetworkError:
    """Return the error for a 403 or 429: GitHub says with either that it is asked too often.

    https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    headers = response.headers
    asked_too_often = (
        response.status_code == requests.codes.too_many_requests
        or headers.get("X-RateLimit-Remaining") == "0"
        or "Retry-After" in headers
    )
    if asked_too_often:
        return _Limited(f"{shown(place)}: the server limits how often it is asked")
    return NetworkError(f"{shown(place)}: the server answered {response.status_code}")


def _is_local(places: Sequence[str]) -> bool:
    return all(urlsplit(place).scheme == "file" for place in places)


def _read_local(place: str, limit: int) -> Answer:
    """Return the bytes of a file beside an archive that was taken from this machine."""
    try:
        with local_path(place).open("rb") as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Answer(place=place)
    except OSError as error:
        return Answer(fault=f"cannot be read: {error.strerror}", place=place)
    if len(data) > limit:
        return Answer(fault=f"more than {limit} bytes", place=place)
    return Answer(data, place=place)
