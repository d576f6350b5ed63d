"""What finding and fetching need: the cache, the ways out, and who is told of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sealift_bundler import web
from sealift_bundler.access import read_access
from sealift_bundler.cache import Cache
from sealift_bundler.fetch import Fetching
from sealift_bundler.progress import Progress
from sealift_bundler.site import Site
from sealift_bundler.sources.pip_settings import through_pip


@dataclass(frozen=True, slots=True)
class Means:
    """What finding and fetching need; `warn` is told what a person should know.

    `upgrade` asks for everything to be looked up anew; with `names` (requests of the spec, or
    archives of the lock) for those alone.
    """

    cache: Cache
    offline: bool = False
    upgrade: bool = False
    progress: Progress = field(default_factory=Progress)
    warn: Callable[[str], None] = lambda _: None
    names: tuple[str, ...] = ()

    def fetching(self, site: Site, *, index: bool = False) -> Fetching:
        """Return how to fetch what the site wants; what stands in the package `index` on pip's way.

        Raises:
            UsageError: `[network]` of the spec names what is not there, or pip's configuration is
                malformed.
        """
        access = read_access(site.spec.network, site.directory, web.PATIENCE)
        access = through_pip(access) if index else access
        return Fetching(self.cache, access, self.offline, self.progress)
