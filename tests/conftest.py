"""How hypothesis looks for examples: the same ones in each run, however slow the machine is.

What it finds depends on the change that is tested, then, and on nothing else. To look further, with
other examples each time: `make test T='--hypothesis-profile wide'`.
"""

from hypothesis import HealthCheck, settings

_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("wide", _ANY_MACHINE)
settings.register_profile("steady", _ANY_MACHINE, derandomize=True)
# For a run that repeats another.
settings.register_profile("few", settings.get_profile("steady"), max_examples=10)
settings.load_profile("steady")
