"""A pytest plugin that records every network event of the process, and fails the run if one came.

Recorded, and not refused: code under test could swallow an exception, but not the record. Asked
for by `-p no_network`. What a test starts in another process is held by the network namespace
that the run takes place in.
"""

import sys

import pytest

# https://docs.python.org/3/library/audit_events.html
PREFIXES = (
    "socket.",
    "urllib.",
    "http.",
    "ftplib.",
    "imaplib.",
    "nntplib.",
    "poplib.",
    "smtplib.",
    "telnetlib.",
)

events: list[str] = []


def record(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith(PREFIXES):
        events.append(f"{event}{arguments[1:]!r}")


sys.addaudithook(record)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if events:
        session.exitstatus = 9


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"network events: {len(events)}")
    for event in events:
        terminalreporter.write_line(f"  {event}")
