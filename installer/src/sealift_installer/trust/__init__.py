"""Who sealed a bundle, and may it be installed here: signatures, roots, policy, state."""
