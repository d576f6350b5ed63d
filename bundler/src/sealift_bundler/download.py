"""Brings one archive into the cache: asked for again, resumed, taken from another mirror.

An attempt that brings bytes is no failure. One that brings none is tried at the next address, and
after a pause again at the first, until as many in a row have failed as `Patience.attempts` says.
Wrong bytes are final: no other address is asked, for they may be what somebody wants to be carried.
"""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests

from sealift_bundler import web
from sealift_bundler.errors import AwayError, LocalFileError, NetworkError
from sealift_bundler.partial import Origin, Partial, open_partial
from sealift_bundler.transfer import Surroundings, Transfer, local_path
from sealift_bundler.web_faults import Transient, shown
from sealift_installer.errors import (
    Damaged,
    host_errors,
    mismatch,
    printable,
)

_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


def download(transfer: Transfer, session: web.Session, around: Surroundings) -> Path:
    """Return the archive's file in the cache, where it was not when this was called.

    Raises:
        Damaged: the bytes have another digest or size; nothing is kept of them.
        NetworkError: no address delivers; what has come is kept for the next run.
        HostError: the cache cannot be written, or a file cannot be read.
        UsageError: a token is missing, or an address names another machine.
        Stopped: somebody else has failed.
    """
    waited = threading.Event()

    def waiting() -> None:
        around.check_stop()
        if not waited.is_set():
            waited.set()
            around.progress.note(f"waiting for another sealift that fetches {transfer.filename}")

    with open_partial(around.cache, transfer.sha256, waiting) as partial:
        # Another process may have brought it since it was looked for, waited for or not.
        here = around.cache.lookup(transfer.sha256, transfer.filename)
        if here is None:
            return _Run(transfer, session, around, partial).run()
        around.found(transfer.filename, here)
        return here


class _Run:
    def __init__(
        self, transfer: Transfer, session: web.Session, around: Surroundings, partial: Partial
    ) -> None:
        self._transfer = transfer
        self._session = session
        self._around = around
        self._partial = partial
        self._patience = session.access.patience
        # The most that has been here at any time: only what goes beyond it is a gain.
        self._most = partial.size
        # How the server says that it has encoded its answer.
        self._encoding = ""

    def run(self) -> Path:
        if self._partial.sha256 == self._transfer.sha256:
            return self._adopt()
        if self._transfer.size is not None and self._partial.size >= self._transfer.size:
            self._partial.restart(None)
        left = list(self._transfer.addresses)
        faults: dict[str, NetworkError] = {}
        failures = 0
        while True:
            asked = tuple(left)
            for address in asked:
                try:
                    return self._insist(address)
                except NetworkError as fault:
                    faults[address] = fault
                    if not isinstance(fault, Transient):
                        left.remove(address)
                    if address != asked[-1]:
                        note = f"{fault.message}; asking the next place"
                        self._around.progress.note(note)
            failures += 1
            if not left or failures >= self._patience.attempts:
                raise self._failed(faults)
            self._pause(failures, [faults[address] for address in left])

    def _insist(self, address: str) -> Path:
        """Ask one address again and again as long as it brings something."""
        while True:
            try:
                self._attempt(address)
                return self._check(address)
            except Transient as fault:
                if self._partial.sha256 == self._transfer.sha256:
                    # All came, and the server had promised more.
                    return self._adopt()
                if self._partial.size < self._most + self._patience.progress:
                    raise
                self._most = self._partial.size
                self._pause(1, [fault])

    def _attempt(self, address: str) -> None:
        self._around.check_stop()
        if urlsplit(address).scheme == "file":
            self._copy(address)
            return
        headers = self._condition(address)
        accepted = {_OK, _PARTIAL, _UNSATISFIABLE} if headers else {_OK}
        with web.get(address, headers=headers, session=self._session, accepted=accepted) as answer:
            if answer.status_code == _UNSATISFIABLE:
                self._partial.restart(None)
                raise Transient(f"{shown(address)}: the server has less than it had before")
            blocks = web.read_body(answer, address, self._patience)
            # The first block tells a web page, which is no matter of sizes.
            first = next(blocks, b"")
            if answer.status_code == _PARTIAL:
                self._resume(address, answer)
            else:
                size = web.body_size(answer)
                self._encoding = _encoding(answer)
                self._check_size(address, size)
                # What is encoded cannot be gone on with elsewhere.
                origin = Origin(web.public_url(address), _validator(answer), size)
                self._partial.restart(None if self._encoding else origin)
            self._write(first, blocks)

    def _condition(self, address: str) -> dict[str, str]:
        """Return the headers that ask for the rest: only if it is still the same file.

        Without a validator, as at another mirror, size and digest have to tell.
        """
        partial = self._partial
        if not partial.size or partial.origin is None:
            partial.restart(None)
            return {}
        origin = partial.origin
        same = origin.url == web.public_url(address)
        if not (same and origin.validator) and self._size is None:
            return {}
        condition = {"If-Range": origin.validator} if same and origin.validator else {}
        return {"Range": f"bytes={partial.size}-", **condition}

    def _resume(self, address: str, answer: requests.Response) -> None:
        partial = self._partial
        text = answer.headers.get("Content-Range", "")
        match = _RANGE.fullmatch(text)
        start, end, total = match.groups() if match else ("", "", "")
        size = None if total == "*" else int(total or -1)
        right = start == str(partial.size) and (size is None or int(end) == size - 1)
        if not right or (None not in {size, self._size} and size != self._size):
            partial.restart(None)
            raise Transient(f"{shown(address)}: the server sent another part than was asked for")
        partial.resume(Origin(web.public_url(address), _validator(answer), size or self._size))

    @property
    def _size(self) -> int | None:
        if self._transfer.size is not None:
            return self._transfer.size
        return self._partial.origin.size if self._partial.origin else None

    def _check_size(self, address: str, size: int | None) -> None:
        if None not in {size, self._transfer.size} and size != self._transfer.size:
            self._partial.restart(None)
            self._check_encoding(address)
            message = f"{shown(address)} has another size than the lock says"
            raise Damaged(mismatch(message, f"{self._transfer.size} bytes", f"{size} bytes"))

    def _check_encoding(self, address: str) -> None:
        """Blame the server rather than the bytes if it has changed their form."""
        if self._encoding:
            raise NetworkError(
                f"{shown(address)}: the server sends the file encoded as"
                f" {printable(self._encoding)}, which was not asked for"
            )

    def _write(self, first: bytes, blocks: Iterator[bytes]) -> None:
        partial, total, name = self._partial, self._size, self._transfer.filename
        room = self._patience.room
        partial.check_space(total, room)
        looked = partial.size
        self._around.progress.begin(name, partial.size, total)
        block = first
        while block:
            partial.append(block)
            if total is not None and partial.size > total:
                return
            if partial.size - looked >= room:
                # Others write too; and what tells no size may have no end.
                partial.check_space(partial.size if total is None else total, room)
                looked = partial.size
            self._around.progress.show(name, partial.size, total)
            self._around.check_stop()
            block = next(blocks, b"")

    def _copy(self, address: str) -> None:
        path = local_path(address)
        try:
            file = path.open("rb")
        except OSError as error:
            reason = error.strerror or str(error)
            raise _Unreadable(f"cannot read {printable(str(path))}: {reason}") from None
        with file:
            size = path.stat().st_size
            self._encoding = ""
            self._check_size(address, size)
            self._partial.restart(Origin(web.public_url(address), size=size))
            with host_errors(f"cannot read {shown(address)}"):
                blocks = iter(lambda: file.read(self._patience.block), b"")
                self._write(next(blocks, b""), blocks)

    def _check(self, address: str) -> Path:
        """Adopt what has come if it is what was wanted."""
        partial, wanted = self._partial, self._transfer
        if partial.sha256 == wanted.sha256:
            return self._adopt()
        size, computed, mixed = partial.size, partial.sha256, partial.mixed
        if wanted.size is not None and size < wanted.size:
            raise Transient(f"{shown(address)}: the connection ended before the file did")
        partial.restart(None)
        self._check_encoding(address)
        if wanted.size is not None and size > wanted.size:
            message = f"{shown(address)} has another size than expected"
            raise Damaged(mismatch(message, f"{wanted.size} bytes", f"{size} bytes or more"))
        if mixed:
            raise Transient(f"{shown(address)}: the parts of the file do not fit together")
        message = f"{shown(address)} has other bytes than expected"
        raise Damaged(
            mismatch(message, f"sha256 {wanted.sha256}", f"sha256 {computed}"),
            hint="nothing was kept of it",
        )

    def _adopt(self) -> Path:
        wanted = self._transfer
        size = self._partial.size
        path = self._around.cache.adopt(self._partial.path, wanted.sha256, wanted.filename)
        self._partial.forget_note()
        self._around.progress.finish(wanted.filename, size, fetched=True)
        return path

    def _pause(self, failures: int, faults: list[NetworkError]) -> None:
        # The soonest of the addresses sets the time.
        asked = [fault.after for fault in faults if isinstance(fault, Transient)]
        soonest = None if None in asked else min((each for each in asked if each), default=None)
        seconds = self._patience.wait(failures, soonest)
        self._around.progress.note(f"{faults[0].message}; trying again in {seconds:.1f} s")
        self._around.stop.wait(seconds)
        self._around.check_stop()

    def _failed(self, faults: dict[str, NetworkError]) -> NetworkError | LocalFileError:
        *others, last = faults.values()
        if isinstance(last, _Unreadable) and not others:
            return LocalFileError(last.message)
        message = "\n".join(fault.message for fault in (*others, last))
        hint = last.hint
        if self._partial.size and hint is None:
            hint = "what has come is kept; the next run goes on from there"
        away = all(isinstance(fault, Transient) for fault in faults.values())
        return (AwayError if away else NetworkError)(message, hint=hint)


class _Unreadable(NetworkError):
    """A file:// address that cannot be read: as with a server that is away, others may serve."""


def _validator(answer: requests.Response) -> str | None:
    """Return what names this version of the file: a strong ETag, else the date of its change."""
    etag = web.entity_tag(answer)
    strong = etag is not None and etag.startswith('"')
    return etag if strong else web.modified_date(answer)


def _encoding(answer: requests.Response) -> str:
    encoding = answer.headers.get("Content-Encoding", "")
    return "" if encoding.lower() == "identity" else encoding
