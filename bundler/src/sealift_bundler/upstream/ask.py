"""Asks all questions of a run, several at a time, and returns what was answered."""

from collections import deque
from collections.abc import Iterable, Sequence

from sealift_bundler import web
from sealift_bundler.sources.pip_settings import PipSettings
from sealift_bundler.threads import start_threads
from sealift_bundler.upstream.github import (
    UnreadableAnswer,
    list_attestations,
    read_lines,
    unpack_attestation,
    write_lines,
)
from sealift_bundler.upstream.index import ask_index
from sealift_bundler.upstream.questions import Question
from sealift_bundler.upstream.reader import LARGEST_LIST, Answer, Reader, Request
from sealift_schemas.lean import dataclass
from sealift_schemas.lock import LockedArchive

_CONNECTIONS = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """One question about one archive, and its answer; the bytes of attestations are one a line."""

    archive: LockedArchive
    question: Question
    answer: Answer


@dataclass(frozen=True, slots=True)
class Ways:
    """How servers are asked: publishers', and on pip's way the package index."""

    publishers: Reader
    index: Reader
    settings: PipSettings


def ask_all(questions: Sequence[tuple[LockedArchive, Question]], ways: Ways) -> list[Asked]:
    """Return the answers in the order of the questions.

    Raises:
        UsageError: a token is missing.
        HostError: the cache cannot be read or written.
    """
    waiting = deque(enumerate(questions))
    answered: dict[int, Asked] = {}
    errors: list[BaseException] = []

    def serve() -> None:
        access = ways.publishers.access, ways.index.access
        with web.Session(access[0]) as direct, web.Session(access[1]) as through_pip:
            while not errors:
                try:
                    number, (archive, question) = waiting.popleft()
                except IndexError:
                    return
                try:
                    session = through_pip if question.kind == "pep740" else direct
                    answered[number] = _ask(archive, question, ways, session)
                # What a thread raises would be lost; it is raised again below.
                except BaseException as error:  # noqa: BLE001
                    errors.append(error)

    try:
        for thread in start_threads(min(_CONNECTIONS, len(questions)), serve):
            thread.join()
    except BaseException:
        waiting.clear()
        raise
    if errors:
        raise errors[0]
    return [answered[number] for number in range(len(questions))]


def _ask(archive: LockedArchive, question: Question, ways: Ways, session: web.Session) -> Asked:
    if question.kind == "pep740":
        address, answer = ask_index(archive, ways.settings, ways.index, session)
        told = Question(question.kind, Request(address, (address,)))
        return Asked(archive, told, answer)
    reader = ways.publishers
    if (known := reader.recall(question.request.address)) is not None:
        return Asked(archive, question, known)
    answer = reader.read(question.request, session)
    if question.kind == "attestation" and answer.data is not None:
        try:
            answer = _attestations(question, answer, reader, session)
        except UnreadableAnswer as error:
            answer = Answer(fault=str(error), place=answer.place)
    return Asked(archive, question, answer)


def _attestations(
    question: Question, answer: Answer, reader: Reader, session: web.Session
) -> Answer:
    """Return the attestations themselves where the answer says where they are."""
    assert answer.data is not None, "the caller has looked"
    if question.repository is None:
        return Answer(write_lines(read_lines(answer.data)), place=answer.place)
    bundles = []
    size = 0
    for each in _distinct(list_attestations(answer.data)):
        if isinstance(each, Request):
            if answer.place.startswith("https:") and not each.address.startswith("https:"):
                raise UnreadableAnswer("the answer leads to an address without TLS")
            part = reader.read(each, session)
            if part.data is None:
                return Answer(fault=part.fault or "an attestation is not there", place=part.place)
            bundle = unpack_attestation(part.data)
        else:
            bundle = each
        # Packed, a few bytes become many, and all of them are carried.
        size += len(write_lines([bundle]))
        if size > LARGEST_LIST:
            raise UnreadableAnswer(f"the attestations have more than {LARGEST_LIST} bytes")
        bundles.append(bundle)
    lines = write_lines(bundles)
    reader.remember(question.request.address, lines)
    return Answer(lines or None, place=answer.place)


def _distinct(entries: Iterable[dict[str, object] | Request]) -> list[dict[str, object] | Request]:
    found: list[dict[str, object] | Request] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return found
