"""Who vouches for a bundle: signers, threshold, the history of the root, evidence, warnings."""

from collections.abc import Iterator

from sealift_installer.evidence import Evidence
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
from sealift_installer.page.model import BundleReport, RootReport, Seal
from sealift_installer.text import size
from sealift_schemas.root import ROLES, Root

_GROUP = 4
_ROLE_NAMES = {"root": "roots", "release": "bundles", "builder": "evidence"}


def verdict(report: BundleReport) -> Markup:
    """Return in a few words what was checked."""
    seal = report.seal
    if seal is None:
        words = [("", "this page says nothing of signatures: it was written before they were made")]
    else:
        words = [("good", "signatures verified")]
        words.append(
            ("good", f"all {seal.report.files} files compared")
            if seal.report is not None
            else ("warn", "the files were not read")
        )
        if seal.warnings:
            words.append(("warn", f"{len(seal.warnings)} warnings"))
    badges = (element("span", text, class_=f"badge {kind}".strip()) for kind, text in words)
    return element("p", *badges)


def signers(report: BundleReport) -> Iterator[Content]:
    """Yield the section on signers."""
    seal = report.seal
    root = report.roots[-1].root if report.roots else None
    if seal is None:
        yield element(
            "p",
            "Signatures are made when the bundle is finished, this page with it. To see who signed "
            "it, run ",
            code("unseal verify BUNDLE"),
            " on the target, or make a report there with ",
            code("unseal report BUNDLE"),
            ".",
        )
    else:
        yield definitions(_seal(seal, root))
        for warning in seal.warnings:
            yield element("p", element("span", "warning", class_="badge warn"), warning)
    if root is not None:
        yield table(
            f"Who may sign, by root version {root.version}",
            ("Role", "Signs", "Needed", "Keys"),
            (_role(root, name) for name in ROLES),
        )


def history(report: BundleReport) -> Iterator[Content]:
    """Yield the section on the versions of the root."""
    if not report.roots:
        yield element("p", "No version of the root that is trusted here travels in the bundle.")
        return
    previous: Root | None = None
    items = []
    for one in report.roots:
        items.append(_version(one, previous))
        previous = one.root
    yield element("ol", *items, class_="line")


def _seal(seal: Seal, root: Root | None) -> dict[str, Content]:
    evidence = seal.evidence
    needed = (
        f"{root.roles['release'].threshold} of {len(root.roles['release'].keys)}" if root else ""
    )
    statements = [
        name
        for name, there in (
            ("SLSA provenance", evidence.provenance),
            ("verification summary", evidence.summary),
        )
        if there is not None
    ]
    report = seal.report
    return {
        "Manifest": code(grouped(seal.manifest)),
        "Signed by": [element("div", code(keyid)) for keyid in seal.signers],
        "Needed": needed,
        "Evidence": " and ".join(statements) or "none",
        "Evidence signed by": [element("div", code(keyid)) for keyid in evidence.builders],
        "Built by": _builder(evidence),
        "Levels": ", ".join(evidence.summary.levels) if evidence.summary else "",
        "Compared": f"{report.files} files, {size(report.size)}" if report else "",
    }


def _builder(evidence: Evidence) -> Content:
    provenance = evidence.provenance
    if provenance is None:
        return ""
    return join(code(provenance.builder), f", sealift {provenance.version}")


def _role(root: Root, name: str) -> tuple[Content, ...]:
    role = root.roles[name]
    keys = [element("div", code(keyid), f" {root.keys[keyid].scheme}") for keyid in role.keys]
    return name, _ROLE_NAMES[name], f"{role.threshold} of {len(role.keys)}", keys


def _version(one: RootReport, previous: Root | None) -> Markup:
    root = one.root
    facts: dict[str, Content] = {
        "Made": moment(root.created),
        "Expires": moment(root.expires) if root.expires else "never",
        "SHA-256 of the file": code(grouped(one.sha256)),
        "Signed by": [element("div", code(keyid)) for keyid in one.signers],
        "Changed": [element("div", change) for change in _changes(previous, root)],
    }
    return element("li", element("h3", f"Root version {root.version}"), definitions(facts))


def _changes(previous: Root | None, root: Root) -> Iterator[str]:
    """Yield what a version says that the one before it did not."""
    if previous is None:
        return
    for name in ROLES:
        before, after = previous.roles[name], root.roles[name]
        for keyid in sorted(set(after.keys) - set(before.keys)):
            yield f"{name}: key {keyid[:16]} was added"
        for keyid in sorted(set(before.keys) - set(after.keys)):
            yield f"{name}: key {keyid[:16]} was removed"
        if before.threshold != after.threshold:
            yield f"{name}: {after.threshold} signatures instead of {before.threshold}"
    for stream, rule in sorted(root.streams.items()):
        known = previous.streams.get(stream)
        if known is None or known.epoch != rule.epoch:
            yield f"stream {stream}: epoch {rule.epoch}"
        if rule.min_sequence and (known is None or known.min_sequence != rule.min_sequence):
            yield f"stream {stream}: nothing below sequence {rule.min_sequence}"
    for manifest in sorted(set(root.withdrawn) - set(previous.withdrawn)):
        yield f"withdrawn: manifest {manifest[:16]}"


def grouped(sha256: str) -> str:
    """Return a digest in groups that can be read aloud."""
    return " ".join(sha256[place : place + _GROUP] for place in range(0, len(sha256), _GROUP))
