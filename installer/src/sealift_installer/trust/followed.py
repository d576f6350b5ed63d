"""Where the roots of a bundle lead from what this target trusts: the host's root, the prefix's."""

from itertools import pairwise

from sealift_installer.bundle import Bundle
from sealift_installer.trust.host import NO_HOST, HostTrust
from sealift_installer.trust.roots import RootChain, TrustedRoot, walk
from sealift_installer.trust.site import check_succession
from sealift_installer.trust.state import TrustState
from sealift_schemas.lean import dataclass, replace


@dataclass(frozen=True, slots=True)
class Followed:
    """A bundle whose chain of roots was walked, and what this target trusts with them.

    They are trusted whatever becomes of the bundle: a bundle that is refused can bring the root
    that says why. `host.state` has its share of them, `new_host_roots`, as `state` has `new_roots`.
    """

    bundle: Bundle
    state: TrustState
    new_roots: tuple[TrustedRoot, ...]
    host: HostTrust = NO_HOST
    new_host_roots: tuple[TrustedRoot, ...] = ()

    @property
    def states(self) -> tuple[TrustState, ...]:
        """What has to agree to the bundle: the state of the host if there is one, the prefix's."""
        return (self.state,) if self.host.state is None else (self.host.state, self.state)

    @property
    def roots(self) -> tuple[TrustedRoot, ...]:
        """The different roots among them, the oldest first."""
        different = {state.root.sha256: state.root for state in self.states}
        return tuple(sorted(different.values(), key=lambda each: each.root.version))


def follow_roots(bundle: Bundle, state: TrustState, host: HostTrust = NO_HOST) -> Followed:
    """Walk the chain of roots in the bundle, from what the prefix trusts and what the host does.

    Raises:
        Untrusted: the chain does not hold.
        Damaged: a root is missing or malformed.
        RefusedByPolicy: a new root is signed by fewer keys, or others, than a policy asks for.
        HostError: the bundle cannot be read.
    """
    chain = RootChain(bundle)
    if host.state is None:
        roots = _walk(state.root, chain, host)
        return Followed(bundle, state.with_roots(roots), roots, host)
    host_roots = _walk(host.state.root, chain, host)
    roots = _walk(state.root, chain, host)
    followed = replace(host, state=host.state.with_roots(host_roots))
    return Followed(bundle, state.with_roots(roots), roots, followed, host_roots)


def _walk(trusted: TrustedRoot, chain: RootChain, host: HostTrust) -> tuple[TrustedRoot, ...]:
    """Walk the chain from `trusted`, and hold each step against the policies."""
    roots = walk(trusted, chain)
    for before, after in pairwise((trusted, *roots)):
        check_succession(host.policies, before.root, after)
    return roots
