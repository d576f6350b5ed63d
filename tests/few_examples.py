"""A pytest plugin: few examples of hypothesis, for a run that repeats another. `-p few_examples`."""

from hypothesis import settings

settings.register_profile("few", max_examples=10, deadline=None)
settings.load_profile("few")
