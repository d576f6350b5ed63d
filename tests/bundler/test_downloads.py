"""Resuming, waiting, mirrors, several at a time: what the table of faults cannot say."""

import datetime as dt
import fcntl
import hashlib
import io
import json
import os
import random
import shutil
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from hurried import PLENTY
from loopback import (
    Body,
    Good,
    LoopbackServer,
    Redirect,
    Reset,
    Stalled,
    Status,
    Tagged,
    Truncated,
)
from sealift_bundler.access import Access
from sealift_bundler.cache import Cache
from sealift_bundler.errors import NetworkError
from sealift_bundler.fetch import Fetching, Wanted, fetch, fetch_all
from sealift_bundler.mirrors import PBS, find_addresses
from sealift_bundler.patience import Patience, with_environment
from sealift_bundler.progress import Progress, progress
from sealift_bundler.transfer import Surroundings, Transfer
from sealift_installer.errors import Damaged, HostError, SealiftError, UsageError
from sealift_schemas.network import Mirror

SIZE = 700_000
DATA = random.Random(3).randbytes(SIZE)
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "a.tar.gz"
PATIENCE = Patience(connect=PLENTY, read=PLENTY, attempts=3, pause=0.01)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    with LoopbackServer(folder) as server:
        yield server


@pytest.fixture
def other(tmp_path: Path, server: LoopbackServer) -> Iterator[LoopbackServer]:
    with LoopbackServer(server.directory) as other:
        yield other


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def how(cache: Cache, *mirrors: Mirror, **changes: object) -> Fetching:
    return Fetching(cache, Access(mirrors=mirrors, patience=PATIENCE), **changes)  # type: ignore[arg-type]


def wanted(server: LoopbackServer, size: int | None = SIZE) -> Wanted:
    return Wanted(f"{server.url}/{NAME}", NAME, SHA256, size)


def leave_part(cache: Cache, data: bytes, note: object) -> Path:
    path = cache.directory / "partial" / SHA256
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    path.with_name(f"{SHA256}.json").write_text(json.dumps(note))
    return path


# Resuming what an earlier run has left.


def test_the_next_run_asks_for_the_rest_alone(server: LoopbackServer, cache: Cache) -> None:
    server.faults[f"/{NAME}"] = [Truncated(1000), Status(404), Good()]
    with pytest.raises(NetworkError, match="404") as caught:
        fetch(wanted(server), how(cache))
    assert caught.value.hint is not None
    part = cache.directory / "partial" / SHA256
    assert part.read_bytes() == DATA[:1000]
    assert fetch(wanted(server), how(cache)).read_bytes() == DATA
    last = server.requests[-1].headers
    assert last["range"] == "bytes=1000-"
    assert last["if-range"].startswith('"')
    assert list(part.parent.iterdir()) == []


def test_the_note_names_no_secret(server: LoopbackServer, cache: Cache) -> None:
    server.faults[f"/{NAME}"] = [Truncated(1000)]
    url = f"{server.url.replace('//', '//user:hunter2@')}/{NAME}?token=hunter2"
    with pytest.raises(NetworkError, match="ended before"):
        fetch(Wanted(url, NAME, SHA256, SIZE), how(cache))
    (note,) = (cache.directory / "partial").glob("*.json")
    assert "hunter2" not in note.read_text()
    assert json.loads(note.read_text())["url"] == f"{server.url}/{NAME}"


def test_parts_that_do_not_fit_are_fetched_anew(server: LoopbackServer, cache: Cache) -> None:
    leave_part(cache, b"\x00" * 1000, {"url": "http://elsewhere", "validator": None, "size": SIZE})
    assert fetch(wanted(server), how(cache)).read_bytes() == DATA
    assert [request.headers.get("range") for request in server.requests] == ["bytes=1000-", None]


@pytest.mark.parametrize(
    "note", [None, [], {"url": 1}, {"url": "x", "validator": 3, "size": "many"}], ids=repr
)
def test_a_note_that_says_nothing_is_no_help(
    server: LoopbackServer, cache: Cache, note: object
) -> None:
    leave_part(cache, DATA[:1000], note)
    assert fetch(wanted(server), how(cache)).read_bytes() == DATA
    assert [request.headers.get("range") for request in server.requests] == [None]


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_whole_part_is_asked_for_no_more(
    server: LoopbackServer, cache: Cache, size: int | None
) -> None:
    leave_part(cache, DATA, {"url": "http://elsewhere", "validator": None, "size": SIZE})
    assert fetch(wanted(server, size), how(cache)).read_bytes() == DATA
    assert server.requests == []


@pytest.mark.parametrize("data", [b"\x00" * SIZE, DATA + b"more"], ids=["other", "longer"])
def test_a_part_that_cannot_become_right_is_dropped(
    server: LoopbackServer, cache: Cache, data: bytes
) -> None:
    leave_part(cache, data, {"url": wanted(server).url, "validator": None, "size": len(data)})
    assert fetch(wanted(server), how(cache)).read_bytes() == DATA
    assert [request.headers.get("range") for request in server.requests] == [None]


def test_what_was_left_long_ago_is_removed(server: LoopbackServer, cache: Cache) -> None:
    part = leave_part(cache, DATA[:1000], None)
    old = part.with_name("0" * 64)
    old.write_bytes(b"old")
    os.utime(old, (0, 0))
    fetch(wanted(server), how(cache))
    assert not old.exists()


def test_bytes_at_last_make_patience_new(server: LoopbackServer, cache: Cache) -> None:
    much = 70_000
    server.faults[f"/{NAME}"] = [Truncated(much)]
    assert fetch(wanted(server), how(cache)).read_bytes() == DATA
    assert len(server.requests) == SIZE // much


def test_starting_over_again_and_again_ends(server: LoopbackServer, cache: Cache) -> None:
    server.faults[f"/{NAME}"] = [Tagged(f'"{turn}"', 300_000) for turn in range(9)]
    with pytest.raises(NetworkError, match="ended before"):
        fetch(wanted(server), how(cache))
    # The first brings something; each further one is a new file, of which no more comes.
    assert len(server.requests) == 4


def test_another_process_fetches_it_meanwhile(server: LoopbackServer, cache: Cache) -> None:
    notes: list[str] = []

    class Told(Progress):
        def note(self, text: str) -> None:
            notes.append(text)

    part = leave_part(cache, b"", None)
    with part.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        results: list[Path] = []
        thread = threading.Thread(
            target=lambda: results.append(fetch(wanted(server), how(cache, progress=Told())))
        )
        thread.start()
        while not notes:
            assert thread.is_alive()
            time.sleep(0.01)
        file.write(DATA)
        file.flush()
        cache.adopt(part, SHA256, NAME)
    thread.join()
    assert results[0].read_bytes() == DATA
    assert server.requests == []
    assert notes == [f"waiting for another sealift that fetches {NAME}"]


def test_what_comes_with_a_redirect_is_not_read(
    server: LoopbackServer, cache: Cache, tmp_path: Path
) -> None:
    server.faults["/moved"] = [Redirect(f"/{NAME}", size=64)]
    tracemalloc.start()
    try:
        fetch(Wanted(f"{server.url}/moved", NAME, SHA256, SIZE), how(cache))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


# Waiting.


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that would have been waited."""
    waited: list[float] = []
    stop = SimpleNamespace(is_set=lambda: False, wait=waited.append)
    monkeypatch.setattr("sealift_bundler.fetch.Surroundings", partial(Surroundings, stop=stop))
    return waited


def test_retry_after_in_seconds_is_heeded(
    server: LoopbackServer, cache: Cache, waits: list[float]
) -> None:
    server.faults[f"/{NAME}"] = [Status(503, "7"), Good()]
    fetch(wanted(server), how(cache))
    assert waits == [7.0]


def test_retry_after_as_a_date_is_heeded(
    server: LoopbackServer, cache: Cache, waits: list[float]
) -> None:
    then = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=200)
    server.faults[f"/{NAME}"] = [Status(429, then.strftime("%a, %d %b %Y %H:%M:%S GMT")), Good()]
    fetch(wanted(server), how(cache))
    (waited,) = waits
    # As much as a busy machine may take until then.
    assert 50 < waited <= 200


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    patience = Patience(pause=1.0, longest_pause=8.0, jitter=0.25)
    for failures, middle in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (5000, 8)):
        waits = {patience.wait(failures) for _ in range(50)}
        assert len(waits) > 1
        assert all(0.75 * middle <= wait <= 1.25 * middle for wait in waits)
    assert patience.wait(1, 100.0) == 100.0


def test_uvs_variables_set_patience() -> None:
    names = {
        "UV_HTTP_TIMEOUT": "7.5",
        "UV_HTTP_CONNECT_TIMEOUT": "3",
        "UV_HTTP_RETRIES": "0",
        "UV_CONCURRENT_DOWNLOADS": "2",
    }
    assert with_environment(PATIENCE, {}) == PATIENCE
    patience = with_environment(PATIENCE, names)
    assert (patience.read, patience.connect) == (7.5, 3.0)
    assert (patience.attempts, patience.connections) == (1, 2)
    for name in names:
        for text in ("soon", "-1", "inf", "nan"):
            with pytest.raises(UsageError, match=f"{name} is no sensible number: {text}"):
                with_environment(PATIENCE, {name: text})
    # To uv too: none at a time would fetch nothing.
    with pytest.raises(UsageError, match="UV_CONCURRENT_DOWNLOADS is no sensible number: 0"):
        with_environment(PATIENCE, {"UV_CONCURRENT_DOWNLOADS": "0"})


# Mirrors.


def mirror(server: LoopbackServer, *others: str, exclusive: bool = False) -> Mirror:
    return Mirror(f"{server.url}/", others, exclusive)


@pytest.mark.parametrize("fault", [Status(404), Status(503), Reset(), Truncated(1000)], ids=repr)
def test_the_next_mirror_is_asked(
    server: LoopbackServer, other: LoopbackServer, cache: Cache, fault: Status
) -> None:
    other.faults[f"/{NAME}"] = [fault]
    told = io.StringIO()
    ways = how(cache, mirror(server, other.url), progress=progress(stream=told))
    assert fetch(wanted(server), ways).read_bytes() == DATA
    assert len(other.requests) == 1
    assert len(server.requests) == 1
    assert told.getvalue().startswith(f"{other.url}/{NAME}: ")
    assert "; asking the next place\nfetched " in told.getvalue()


def test_a_part_is_gone_on_with_at_the_next_mirror(
    server: LoopbackServer, other: LoopbackServer, cache: Cache
) -> None:
    other.faults[f"/{NAME}"] = [Truncated(300_000), Status(404)]
    assert fetch(wanted(server), how(cache, mirror(server, other.url))).read_bytes() == DATA
    assert server.requests[0].headers["range"] == "bytes=300000-"
    assert "if-range" not in server.requests[0].headers


@pytest.mark.parametrize("body", [b"\x00" * SIZE, b"\x00" * 9], ids=["digest", "size"])
def test_wrong_bytes_of_a_mirror_end_it(
    server: LoopbackServer, other: LoopbackServer, cache: Cache, body: bytes
) -> None:
    other.faults[f"/{NAME}"] = [Body(body)]
    with pytest.raises(Damaged, match=r"another size|other bytes"):
        fetch(wanted(server), how(cache, mirror(server, other.url)))
    assert server.requests == []


def test_an_exclusive_mirror_is_asked_alone(
    server: LoopbackServer, other: LoopbackServer, cache: Cache
) -> None:
    other.faults[f"/{NAME}"] = [Status(404)]
    with pytest.raises(NetworkError, match="answered 404"):
        fetch(wanted(server), how(cache, mirror(server, other.url, exclusive=True)))
    assert server.requests == []


def test_all_mirrors_are_told_when_all_fail(
    server: LoopbackServer, other: LoopbackServer, cache: Cache
) -> None:
    server.faults[f"/{NAME}"] = [Status(503)]
    other.faults[f"/{NAME}"] = [Status(404)]
    with pytest.raises(NetworkError, match="answered 404") as caught:
        fetch(wanted(server), how(cache, mirror(server, other.url)))
    assert f"{other.url}/{NAME}: the server answered 404" in caught.value.message
    assert f"{server.url}/{NAME}: the server answered 503" in caught.value.message
    assert (len(other.requests), len(server.requests)) == (1, 3)


def test_a_folder_can_be_a_mirror(server: LoopbackServer, cache: Cache, tmp_path: Path) -> None:
    folder = tmp_path / "a mirror"
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    missing = (tmp_path / "missing").as_uri()
    mirrors = mirror(server, missing, folder.as_uri())
    assert fetch(wanted(server), how(cache, mirrors, offline=True)).read_bytes() == DATA
    assert server.requests == []


def test_every_file_that_a_folder_lacks_is_told(
    server: LoopbackServer, cache: Cache, tmp_path: Path
) -> None:
    mirrors = mirror(server, tmp_path.as_uri(), exclusive=True)
    files = [wanted(server), Wanted(f"{server.url}/other.tar.gz", "other.tar.gz", "0" * 64)]
    with pytest.raises(HostError, match=r"^2 files cannot be had:\n") as caught:
        fetch_all(files, how(cache, mirrors))
    for name in (NAME, "other.tar.gz"):
        assert f"cannot read {tmp_path / name}: No such file or directory" in caught.value.message
    assert caught.value.exit_code == 6


def test_uvs_mirror_of_a_folder_has_plain_names(tmp_path: Path, cache: Cache) -> None:
    folder = tmp_path / "mirror" / "20250529"
    folder.mkdir(parents=True)
    (folder / "cpython-3.13.3+20250529-x86.tar.gz").write_bytes(DATA)
    url = f"{PBS}20250529/cpython-3.13.3%2B20250529-x86.tar.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_PYTHON_INSTALL_MIRROR", folder.parent.as_uri())
        path = fetch(Wanted(url, NAME, SHA256, SIZE, "cpython"), how(cache))
    assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("implementation", "variable", "prefix"),
    [
        ("cpython", "UV_PYTHON_INSTALL_MIRROR", PBS),
        ("pypy", "UV_PYPY_INSTALL_MIRROR", "https://downloads.python.org/pypy/"),
        (
            "graalpy",
            "UV_GRAALPY_INSTALL_MIRROR",
            "https://github.com/oracle/graalpython/releases/download/",
        ),
        (
            "pyodide",
            "UV_PYODIDE_INSTALL_MIRROR",
            "https://github.com/pyodide/pyodide/releases/download/",
        ),
    ],
)
def test_uvs_mirrors_stand_alone(implementation: str, variable: str, prefix: str) -> None:
    own = Mirror(prefix, ("https://site.invalid/",))
    for place in ("https://mirror.invalid/a", "https://mirror.invalid/a/"):
        found = find_addresses(f"{prefix}b%2Bc", implementation, (own,), {variable: place})
        assert found == ("https://mirror.invalid/a/b%2Bc",)
    with pytest.raises(UsageError, match=f"{variable} names a mirror, and https://else.invalid/b"):
        find_addresses(
            "https://else.invalid/b", implementation, (), {variable: "https://m.invalid"}
        )
    # It is a tool, which uv knows nothing about.
    assert find_addresses(f"{prefix}b", "", (), {variable: "x"}) == (f"{prefix}b",)
    assert find_addresses(f"{prefix}b", implementation, (own,), {variable: ""}) == (
        "https://site.invalid/b",
        f"{prefix}b",
    )


# Several at a time.


def many(server: LoopbackServer, count: int) -> list[Wanted]:
    made = []
    for number in range(count):
        data = random.Random(number).randbytes(20_000)
        name = f"n{number}.tar.gz"
        (server.directory / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        made.append(Wanted(f"{server.url}/{name}", name, digest, len(data)))
    return made


def test_many_are_fetched_once_and_in_order(server: LoopbackServer, cache: Cache) -> None:
    archives = many(server, 30)
    paths = fetch_all([*archives, archives[3]], how(cache))
    assert [path.name.partition("-")[2] for path in paths] == [
        *(one.filename for one in archives),
        archives[3].filename,
    ]
    fetch_all(archives, how(cache, offline=True))
    assert sorted(server.paths) == sorted(f"/{one.filename}" for one in archives)
    assert list(fetch_all([], how(cache))) == []


@pytest.mark.parametrize(
    ("connections", "per_host", "most", "host_most"), [(4, 2, 4, 2), (3, 8, 3, 3), (8, 1, 2, 1)]
)
def test_the_limits_hold(
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    connections: int,
    per_host: int,
    most: int,
    host_most: int,
) -> None:
    busy: Counter[str] = Counter()
    seen: list[Counter[str]] = []
    change = threading.Condition()

    def full() -> bool:
        return any(now.total() >= most and max(now.values()) >= host_most for now in seen)

    def slow(transfer: Transfer, *_: object) -> Path:
        host = transfer.addresses[0].split("/")[2]
        with change:
            busy[host] += 1
            seen.append(busy.copy())
            change.notify_all()
            change.wait_for(full)
        time.sleep(0.03)  # for one too many
        with change:
            busy[host] -= 1
        return Path(transfer.filename)

    monkeypatch.setattr("sealift_bundler.fetch.download", slow)
    patience = Patience(connections=connections, host_connections=per_host)
    archives = [
        Wanted(f"http://host{number // 8}.invalid/n{number}", f"n{number}", f"{number:064x}", 1)
        for number in range(16)
    ]
    fetch_all(archives, Fetching(cache, Access(patience=patience)))
    assert max(sum(now.values()) for now in seen) == most
    assert max(max(now.values()) for now in seen) == host_most


def test_what_another_process_has_brought_meanwhile_is_not_fetched(
    server: LoopbackServer, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archive,) = many(server, 1)
    look = Cache.lookup

    def miss(self: Cache, sha256: str, filename: str) -> Path | None:
        # The other one begins and ends between this look and the lock.
        monkeypatch.setattr(Cache, "lookup", look)
        found = look(self, sha256, filename)
        fetch(archive, how(cache))
        return found

    monkeypatch.setattr(Cache, "lookup", miss)
    assert fetch(archive, how(cache)) == cache.path(archive.sha256, archive.filename)
    assert len(server.requests) == 1
    assert list((cache.directory / "partial").iterdir()) == []


def test_very_many_faults_are_counted(server: LoopbackServer, cache: Cache) -> None:
    archives = [
        Wanted(f"{server.url}/gone{number}", f"gone{number}", f"{number:064x}", 1)
        for number in range(60)
    ]
    with pytest.raises(NetworkError, match=r"^60 files cannot be had:\n") as caught:
        fetch_all(archives, how(cache))
    lines = caught.value.message.splitlines()
    assert lines[1].endswith("/gone0: the server answered 404 Not Found")
    assert lines[21:] == ["and 40 more"]
    assert len(server.requests) == 60


def test_a_server_that_is_away_for_long_is_not_asked_for_everything(
    server: LoopbackServer, cache: Cache
) -> None:
    archives = many(server, 6)
    fetch_all(archives[4:5], how(cache))
    for number in range(6):
        server.faults[f"/n{number}.tar.gz"] = [Reset()]
    server.requests.clear()
    patience = Patience(pause=0.001, attempts=2, host_connections=1, outage=0.0)
    with pytest.raises(NetworkError, match=r"^5 files cannot be had:\n") as caught:
        fetch_all(archives, Fetching(cache, Access(patience=patience)))
    # What is in the cache need not be asked for.
    assert "n4.tar.gz" not in caught.value.message
    assert caught.value.message.count("not asked for, since nothing has come from there") == 4
    assert server.paths == ["/n0.tar.gz"] * 2


def test_a_server_that_serves_again_is_asked_for_everything(
    server: LoopbackServer, cache: Cache
) -> None:
    archives = many(server, 6)
    for number in (1, 3):
        server.faults[f"/n{number}.tar.gz"] = [Reset()]
    patience = Patience(pause=0.001, attempts=1, host_connections=1, outage=3600.0)
    with pytest.raises(NetworkError, match=r"^2 files cannot be had:\n"):
        fetch_all(archives, Fetching(cache, Access(patience=patience)))
    assert len(list(cache.archives.glob("*"))) == 4


def test_one_that_fails_leaves_the_others(server: LoopbackServer, cache: Cache) -> None:
    archives = many(server, 6)
    server.faults["/n1.tar.gz"] = [Status(404)]
    with pytest.raises(NetworkError, match=r"^http://\S+/n1.tar.gz: the server answered 404"):
        fetch_all(archives, how(cache))
    assert len(list(cache.archives.glob("*"))) == 5
    server.faults["/n2.tar.gz"] = [Body(b"other" * 4000)]
    cache.path(archives[2].sha256, "n2.tar.gz").unlink()
    with pytest.raises(Damaged, match=r"^2 files cannot be had:") as caught:
        fetch_all(archives, how(cache))
    assert "n1.tar.gz" in caught.value.message
    assert "n2.tar.gz" in caught.value.message


def test_a_fault_of_this_host_stops_all(
    server: LoopbackServer, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = many(server, 40)
    stop = threading.Event()
    monkeypatch.setattr("sealift_bundler.fetch.Surroundings", partial(Surroundings, stop=stop))
    adopt = Cache.adopt

    class Held(Progress):
        def show(self, name: str, done: int, total: int | None) -> None:
            if name != "n0.tar.gz":
                stop.wait()

    def broken(self: Cache, temporary: Path, sha256: str, filename: str) -> Path:
        if filename == "n0.tar.gz":
            raise HostError("the disk has failed")
        return adopt(self, temporary, sha256, filename)

    monkeypatch.setattr(Cache, "adopt", broken)
    with pytest.raises(HostError, match="the disk has failed"):
        fetch_all(archives, how(cache, progress=Held()))
    # Those that were under way: as many as there may be of one host.
    assert len(server.requests) <= PATIENCE.host_connections


def test_space_for_all_is_needed_before_the_first(
    server: LoopbackServer, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = many(server, 4)
    room = PATIENCE.room
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room + 79_999))
    with pytest.raises(
        HostError, match=f"Expected: {room + 80_000} bytes\n  Computed: {room + 79_999}"
    ):
        fetch_all(archives, how(cache))
    assert server.requests == []
    leave = cache.directory / "partial" / archives[0].sha256
    leave.parent.mkdir(parents=True)
    leave.write_bytes((server.directory / "n0.tar.gz").read_bytes()[:1000])
    assert len(fetch_all(archives, how(cache))) == 4


def test_an_interrupt_ends_it_at_once(
    server: LoopbackServer, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread is waited for that waits for a server: these would wait as long as the test."""
    archives = many(server, 4)
    for one in archives:
        server.faults[f"/{one.filename}"] = [Stalled()]
    left: list[threading.Thread] = []
    join = threading.Thread.join

    def interrupted(self: threading.Thread, timeout: float | None = None) -> None:
        if not left:
            server.wait_for(len(archives))
        left.append(self)
        if timeout is None:
            raise KeyboardInterrupt
        join(self, timeout)

    patience = Patience(read=PLENTY, farewell=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            fetch_all(archives, Fetching(cache, Access(patience=patience)))
    assert [thread.is_alive() for thread in left] == [True] * 5
    server.leave()
    for thread in left:
        thread.join()
    server.faults.clear()
    assert len(fetch_all(archives, how(cache))) == 4


def test_no_fault_is_told_twice(server: LoopbackServer, cache: Cache) -> None:
    archives = many(server, 3)
    for one in archives:
        server.faults[f"/{one.filename}"] = [Status(404)]
    with pytest.raises(SealiftError, match="3 files cannot be had") as caught:
        fetch_all(archives, how(cache))
    assert caught.value.message.count("answered 404") == 3
