"""What several tests of `media write` and `media check` need."""

from sealift_bundler.progress import Progress


def on_the_medium(watch):
    """Return what makes a Progress for `media write`: `watch`, but nobody watches the source."""
    return lambda done: Progress() if done == "verified" else watch
