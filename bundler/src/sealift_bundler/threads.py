"""Threads for what waits most of the time; where a user may have no more of them, fewer."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def start_threads(count: int, serve: Callable[[], None]) -> list[threading.Thread]:
    """Start up to `count` threads that do the same; where there can be none, do it before returning.

    They are daemons: an interrupt need not wait for a server.
    """
    started: list[threading.Thread] = []
    for _ in range(count):
        thread = threading.Thread(target=serve, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            break
        started.append(thread)
    if not started:
        serve()
    return started


def work_through(items: Sequence[S], work: Callable[[S], T], count: int) -> list[T]:
    """Return what `work` returns for each item, up to `count` of them at a time.

    Raises:
        BaseException: what `work` raised first; nothing is begun afterwards.
    """
    waiting = deque(enumerate(items))
    done: dict[int, T] = {}
    errors: list[BaseException] = []

    def serve() -> None:
        while not errors:
            try:
                number, item = waiting.popleft()
            except IndexError:
                return
            try:
                done[number] = work(item)
            # What a thread raises would be lost; it is raised again below.
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

    try:
        for thread in start_threads(min(count, len(items)), serve):
            thread.join()
    except BaseException:
        waiting.clear()
        raise
    if errors:
        raise errors[0]
    return [done[number] for number in range(len(items))]
