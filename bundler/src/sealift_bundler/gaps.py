"""What a spec wants and a lock has nothing for, although it says that it was made for that spec.

So it is with one that was edited, or merged from two branches: a bundle of it would lack archives,
and nobody would be told.
"""

from sealift_bundler.addresses import shown
from sealift_installer.errors import printable
from sealift_schemas.lock import Lock
from sealift_schemas.spec import Spec


def find_gap(lock: Lock, spec: Spec) -> str | None:
    """Return what `lock` lacks for a wish of `spec`, or None.

    A wish that shares its archives with another is not told from it.
    """
    sources = {one.source for one in lock.archives}
    wishes = {"python": spec.python, "package": spec.package, "captured": spec.installed}
    for source, wanted in wishes.items():
        if wanted and source not in sources:
            return "it has no archive for any [[{}]]".format(
                "installed" if source == "captured" else source
            )
    digests = {one.sha256 for one in lock.archives}
    addresses = {one.url for one in lock.archives if one.source == "url"}
    for url in spec.url:
        accepted = (url.accept_digest or "").removeprefix("sha256:")
        if url.url not in addresses and digests.isdisjoint({url.sha256, accepted}):
            return f"it has no archive for {shown(url.url)}"
    names = {one.name for one in lock.archives}
    for expansion in lock.expansions:
        if not names.issuperset(expansion.names):
            return f"it lacks archives for {printable(expansion.request)}"
    return None
