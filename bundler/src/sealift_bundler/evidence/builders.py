"""Who signs the evidence while a bundle is built: the keys of the role `builder`."""

from collections.abc import Callable, Sequence

from sealift_bundler.keys import AskSecret
from sealift_bundler.sign import Signer
from sealift_bundler.sign.references import open_signers
from sealift_bundler.site import Site
from sealift_installer.errors import HostError, UsageError


def find_builders(
    site: Site,
    signers: Sequence[Signer] | None,
    ask: AskSecret | None,
    report: Callable[[str], None],
) -> Sequence[Signer]:
    """Return who may sign the evidence of a bundle of `site`; the root says which of them count.

    Args:
        site: whose spec names them.
        signers: who signs the bundle, None where that is left for later, perhaps to another
            machine: then keys that are not here are no error.
        ask: asked for passphrases and PINs; None where nobody can be asked.
        report: told why a key that is here cannot be used.

    Raises:
        UsageError, HostError, Damaged: as open_signers, for those that the spec names as builders
            and for those of a bundle that is signed now.
    """
    if site.spec.builders:
        return open_signers(site, "builder", ask)
    if signers is not None:
        # Opened already: nobody is asked twice for one passphrase.
        return signers
    try:
        return open_signers(site, "builder", ask)
    except UsageError:
        # The keys are elsewhere, as they should be.
        return ()
    except HostError as error:
        report(error.message)
        return ()
