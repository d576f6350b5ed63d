"""Bundles on sticks and other media: what fits there, how it gets there, whether it is there."""
