"""What is trusted, in lines for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from sealift_installer.errors import printable

# The rules of a policy in words. Those of roles have a line for each.
_RULES = {
    "schemes": "schemes that count",
    "forbidden_overrides": "forbidden overrides",
    "streams": "streams",
    "platforms": "platforms",
    "archives": "archives",
    "evidence": "evidence that must be carried",
}


def trust_lines(trust: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is trusted, as `first_root.describe_trust` returns it."""
    if "version" not in trust:
        yield "this host trusts no root of its own; every prefix has one"
    else:
        yield from _prefix_lines(trust)
    host = trust["host"]
    if host is not None and not trust["from_host"] and host["head"] != trust["head"]:
        yield ""
        yield f"this host, {printable(host['directory'])}, which counts as well:"
        yield from (f"  {line}" for line in _host_lines(host, trust))
    if not trust["policies"]:
        yield "no policy but the root's"
    for policy in trust["policies"]:
        yield ""
        yield f"policy in force: {printable(policy['file'])}"
        yield from (f"  {line}" for line in _policy_lines(policy))


def _prefix_lines(trust: Mapping[str, Any]) -> Iterator[str]:
    if trust["removed"]:
        yield "removed: no root is trusted any more, until another one is imported"
    if trust["from_host"]:
        yield "nothing was installed to this prefix yet: it will trust what the host does"
    yield from _root_lines(trust)
    yield from _counter_lines(trust)


def _host_lines(host: Mapping[str, Any], trust: Mapping[str, Any]) -> Iterator[str]:
    if host["sha256"] == trust["sha256"]:
        yield f"the same root version {host['version']}"
    else:
        yield from _root_lines(host)
    yield from _counter_lines(host)


def _root_lines(state: Mapping[str, Any]) -> Iterator[str]:
    yield f"root version {state['version']}, made {state['created']}"
    yield f"sha256 {state['sha256']}"
    if state["expires"]:
        yield f"expires {state['expires']}"
    for name, role in state["roles"].items():
        yield f"{name}: {role['threshold']} of {len(role['keys'])}"
        yield from (f"  {keyid}" for keyid in role["keys"])
    for name, rule in state["rules"].items():
        least = f", sequence {rule['min_sequence']} or higher" if rule["min_sequence"] else ""
        yield f"stream {name}: the root asks for epoch {rule['epoch']}{least}"
    yield from (f"withdrawn: {manifest}" for manifest in state["withdrawn"])


def _counter_lines(state: Mapping[str, Any]) -> Iterator[str]:
    for name, stream in state["streams"].items():
        yield f"stream {name}: epoch {stream['epoch']}, sequence {stream['sequence']}"
    yield f"newest signed time accepted: {state['floor']}"
    yield f"{state['receipts']} receipts, head {state['head']}"


def _policy_lines(policy: Mapping[str, Any]) -> Iterator[str]:
    for role, least in policy.get("thresholds", {}).items():
        yield f"{role}: at least {least} signers"
    for role, least in policy.get("minimum_keys", {}).items():
        yield f"{role}: at least {least} keys in the root"
    for name, words in _RULES.items():
        if name in policy:
            yield f"{words}: {', '.join(policy[name])}"
    if policy.get("require_expiry"):
        yield "a bundle must expire"
    if "maximum_age_days" in policy:
        yield f"a bundle may be {policy['maximum_age_days']} days old"
    if len(policy) == len(("file", "format")):
        yield "asks for nothing"
