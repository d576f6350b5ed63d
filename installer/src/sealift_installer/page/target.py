"""What was done on a target: what is installed, and the receipts as a line in time."""

from collections.abc import Iterator

from sealift_installer.page.markup import (
    Content,
    Markup,
    code,
    definitions,
    element,
    join,
    moment,
    table,
)
from sealift_installer.page.model import TargetReport
from sealift_installer.page.sealing import grouped
from sealift_installer.text import size
from sealift_schemas.receipt import Receipt

_ACTIONS = {
    "trust": "Trust changed",
    "install": "Installed",
    "refuse": "Refused",
    "activate": "Activated",
    "rollback": "Rolled back",
    "uninstall": "Uninstalled",
    "repair": "Repaired",
    "relocate": "Moved",
}


def installed(report: TargetReport) -> Iterator[Content]:
    """Yield the section on what is installed."""
    if not report.installed:
        yield element("p", "Nothing is installed.")
        return
    rows = (
        (
            one.record.name,
            one.record.version,
            join(
                code(one.record.path),
                "" if one.there else element("span", "not there", class_="badge bad"),
            ),
            size(one.record.unpacked),
            moment(one.record.installed),
            code(one.record.manifest[:16]),
        )
        for one in report.installed
    )
    heads = ("Name", "Version", "Where", "Size", "Since", "Manifest")
    yield table("Under the prefix", heads, rows)


def receipts(report: TargetReport) -> Iterator[Content]:
    """Yield the section on the receipts, the newest first."""
    head = report.head
    yield definitions(
        {
            "Host": head.host,
            "Prefix": code(head.prefix),
            "Receipts": f"{head.receipts}, each with the hash of the one before: the chain holds",
            "Head": code(grouped(head.head)),
            "Clock of the host": moment(head.clock),
            "Newest signed time": moment(head.floor),
        }
    )
    yield element("ol", *(_item(one) for one in reversed(report.receipts)), class_="line")


def _item(receipt: Receipt) -> Markup:
    kind = "override" if receipt.overrides else receipt.action
    bundle, archive = receipt.bundle, receipt.archive
    late = receipt.floor is not None and receipt.clock < receipt.floor
    facts: dict[str, Content] = {
        "What happened": _lines(receipt.detail),
        "Archive": join(code(archive.name), ", ", code(archive.path)) if archive else "",
        "Bundle": _bundle(receipt) if bundle else "",
        "By": f"{receipt.user} on {receipt.host}, {receipt.tool}",
        "Clock": "behind a time that was signed and accepted before" if late else "",
        "Override": [
            element("div", element("span", name, class_="badge warn"), reason)
            for name, reason in sorted(receipt.overrides.items())
        ],
    }
    title = f"{receipt.number}. {_ACTIONS.get(receipt.action, receipt.action)}"
    return element(
        "li",
        element("h3", title, " ", element("span", moment(receipt.clock), class_="quiet")),
        definitions(facts),
        class_=kind,
    )


def _bundle(receipt: Receipt) -> Markup:
    bundle = receipt.bundle
    assert bundle is not None, "asked for receipts with one alone"
    place = f"{bundle.sequence} of stream {bundle.stream}, epoch {bundle.epoch}, manifest "
    root = f", root version {bundle.root_version}"
    return join(place, code(bundle.manifest[:16]), root)


def _lines(text: str) -> list[Markup]:
    return [element("div", line) for line in text.split("\n")]
