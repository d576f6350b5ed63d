"""The one table of what can go wrong with a download, and what then must come of it.

The archive has SIZE bytes and three attempts; one that brings 64 KiB or more does not count. The
table of docs/reference/downloads.md is made of these rows.
"""

from dataclasses import dataclass

from loopback import (
    Announced,
    Body,
    Chunked,
    Drip,
    Fault,
    Good,
    Gzipped,
    NoRange,
    Redirect,
    Reset,
    SlowStart,
    Stalled,
    Status,
    Tagged,
    Truncated,
    Unannounced,
    WrongRange,
)

SIZE = 700_000
NAME = "a.tar.gz"
# Less and more than what counts as a failure.
LITTLE, MUCH = 1000, 300_000
PAGE = b"<!DOCTYPE html><title>login</title>"
ENDED = "the connection ended before the file did"


@dataclass(frozen=True)
class Row:
    """A fault and its outcome.

    `faults` are those of one request after the other, the last one stays. `place` is what is
    asked: a server, or none. `size` tells whether the lock knows the size. `requests` is how many
    reach the server; `message` is what the error says, none where the archive is fetched; `cache`
    is what is there in the end: the archive, a part, or nothing.
    """

    name: str
    faults: tuple[Fault, ...]
    requests: int = 1
    message: str = ""
    code: int = 0
    cache: str = "archive"
    place: str = "http"
    size: bool = True


def mended(name: str, *faults: Fault, requests: int = 2, **more: str | bool) -> Row:
    """Return the row of a fault that passes."""
    return Row(name, (*faults, Good()), requests, **more)  # type: ignore[arg-type]


def final(name: str, message: str, *faults: Fault, **more: str | int | bool) -> Row:
    """Return the row of a fault that is not tried again."""
    values = {"requests": 1, "code": 8, "cache": "nothing", **more}
    return Row(name, faults, message=message, **values)  # type: ignore[arg-type]


def lasting(name: str, message: str, *faults: Fault, **more: str | int | bool) -> Row:
    """Return the row of a fault that does not pass."""
    return final(name, message, *faults, **{"requests": 3, **more})


ROWS = (
    mended("no fault", requests=1),
    mended("a slow first byte", SlowStart(0.1), requests=1),
    mended("no first byte in time, once", Stalled()),
    lasting("no first byte in time", "no answer in time", Stalled()),
    mended("a slow body", Drip(0.05, 80_000), requests=1),
    mended("a stall in the middle, once", Stalled(MUCH)),
    mended("a reset before the answer, once", Reset()),
    lasting("a reset before the answer", "connection reset by peer|broke", Reset()),
    mended("a reset after a little, once", Reset(LITTLE)),
    mended("a reset after much, once", Reset(MUCH)),
    lasting("an end after a little", ENDED, Truncated(LITTLE), cache="a part"),
    mended("an end after a little, once", Truncated(LITTLE)),
    mended("an end after much, once", Truncated(MUCH)),
    Row("an end after much, each time", (Truncated(MUCH),), 3),
    Row("no length, the whole body", (Announced(None),)),
    Row("no length and unknown to the lock, the whole body", (Announced(None),), size=False),
    mended("no length, an early end, once", Unannounced(MUCH)),
    final(
        "no length and unknown to the lock, an early end",
        "has other bytes than expected",
        Unannounced(MUCH),
        code=4,
        size=False,
    ),
    final("a length that is too long", "another size", Announced(SIZE + 1), code=4),
    final("a length that is too short", "another size", Announced(SIZE - 1), code=4),
    Row("a length that is too long, unknown to the lock", (Announced(SIZE + 1),), size=False),
    final(
        "a body longer than announced, unknown to the lock",
        "has other bytes than expected",
        Announced(SIZE - 1),
        code=4,
        size=False,
    ),
    Row("a body in chunks", (Chunked(),)),
    mended("chunks that end early, once", Chunked(MUCH)),
    lasting("chunks that end at once", "the connection broke|ended before", Chunked(0)),
    final("an encoding nobody asked for", "sends the file encoded as gzip", Gzipped(SIZE * 2)),
    mended("an encoded body that ends early, once", Gzipped(MUCH), size=False),
    mended("a part of another range, once", Truncated(MUCH), WrongRange(), requests=3),
    mended("a part without its end", Truncated(MUCH), Truncated(MUCH), requests=3),
    Row("a whole file for a part", (Truncated(MUCH), NoRange()), 2),
    mended("a file that changed between two parts", Tagged('"old"', MUCH)),
    mended("a weak ETag", Tagged('W/"weak"', MUCH)),
    mended("no ETag and no date", Tagged(None, MUCH)),
    mended("416 for the rest", Truncated(MUCH), Status(416), requests=3),
    final("416 without a range", "answered 416", Status(416)),
    *(
        final(f"{code}", f"the server answered {code}", Status(code))
        for code in (400, 401, 403, 404)
    ),
    final("407", "the proxy answered 407", Status(407)),
    *(final(f"{code}", f"the server answered {code}", Status(code)) for code in (410, 501)),
    *(mended(f"{code}, once", Status(code)) for code in (408, 425, 429, 500, 502, 503, 504)),
    *(
        lasting(f"{code}", f"the server answered {code}", Status(code))
        for code in (408, 425, 429, 500, 502, 503, 504)
    ),
    mended("429 with Retry-After, once", Status(429, "0")),
    mended("503 with a Retry-After that is past, once", Status(503, "Sat, 01 Jan 2000 00:00:00 GMT")),
    mended("503 with a Retry-After that is none, once", Status(503, "soon")),
    final("503 with a Retry-After of an hour", "answered 503", Status(503, "3600")),
    *(
        mended(f"a redirect by {code}", Redirect(f"/{NAME}?again", code))
        for code in (301, 302, 303, 307, 308)
    ),
    mended(
        "redirects by 301, 302, 307 and 308 in a row",
        *(Redirect(f"/{NAME}?{code}", code) for code in (301, 302, 307, 308)),
        requests=5,
    ),
    final("redirects in a circle", "too many redirects", Redirect(f"/{NAME}"), requests=11),
    final("a redirect to a file", "refused a redirect", Redirect("file:///etc/passwd")),
    mended("a redirect to another host", Redirect("OTHER"), requests=1),
    final("a redirect from https to http", "refused a redirect", Redirect("OTHER"), place="https"),
    final("a web page with status 200", "a web page instead of the file", Body(PAGE, "text/html")),
    final("other bytes", "has other bytes", Body(b"\x00" * SIZE), code=4),
    final("other bytes of another size", "another size", Body(b"\x00" * 9), code=4),
    Row("https with a certificate that is trusted", (), place="https"),
    *(
        final(f"a certificate {what}", "the certificate is not trusted", requests=0, place=what)
        for what in ("for another name", "that has expired", "of an unknown authority", "that signs itself")
    ),
    lasting("connection refused", "connection refused", requests=0, place="nobody"),
    lasting("a name that nobody knows", "the server's name is not known", requests=0,
        place="an unknown name"),
    Row("a proxy that serves", (), place="a proxy"),
    lasting("a proxy that answers 502", "the server answered 502", Status(502), place="a proxy"),
    lasting("a proxy that refuses connections", "the proxy does not serve: connection refused", requests=0,
        place="no proxy"),
    lasting("a tunnel that the proxy answers by 502", "the proxy does not serve: it answered 502", Status(502),
        place="a tunnel"),
    final("a tunnel that the proxy answers by 407", "the proxy answered 407", Status(407),
        place="a tunnel"),
    final("a disk that becomes full", "cannot write the cache", code=6, cache="a part",
        place="a full disk"),
    final("a disk without space for the archive", "not enough space", requests=0, code=6,
        place="no space"),
    final("a cache that cannot be written", "cannot write the cache", requests=0, code=6,
        place="a read-only cache"),
)  # fmt: skip


def as_markdown(rows: tuple[Row, ...] = ROWS) -> str:
    """Return the table of the documentation."""
    lines = ["| fault | requests | exit code | in the cache |", "| --- | --- | --- | --- |"]
    lines += [f"| {row.name} | {row.requests} | {row.code} | {row.cache} |" for row in rows]
    return "\n".join(lines) + "\n"
