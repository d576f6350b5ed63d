from sealift_bundler.runtime import Pin, suffices
from sealift_schemas.lock import LockedWheel

LINUX = ["linux-x86_64-gnu"]
PINS = (
    Pin("alpha", "1.0", hashes=frozenset({"1" * 64, "2" * 64})),
    Pin("beta", "2.0", 'python_version < "3.12"', frozenset({"3" * 64})),
)
ALPHA_311 = ("alpha-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "1")
ALPHA_312 = ("alpha-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", "2")
BETA = ("beta-2.0-py3-none-any.whl", "3")


def enough(wheels, pythons, platforms=LINUX):
    locked = [
        LockedWheel(filename, f"https://example.org/{filename}", digit * 64, 1)
        for filename, digit in wheels
    ]
    return suffices(locked, pythons, platforms, pins=PINS)


def test_wheels_that_cover_every_python_are_enough():
    assert enough([ALPHA_311, ALPHA_312, BETA], ["3.11", "3.12"])
    assert enough([ALPHA_312], ["3.12"])  # beta is not for 3.12


def test_a_wheel_that_is_missing():
    assert not enough([ALPHA_311, BETA], ["3.11", "3.12"])
    assert not enough([ALPHA_311, ALPHA_312], ["3.11", "3.12"])
    assert not enough([], ["3.12"])


def test_a_platform_that_is_new():
    assert not enough([ALPHA_312], ["3.12"], [*LINUX, "linux-aarch64-gnu"])


def test_a_wheel_that_nobody_needs_any_more():
    assert not enough([ALPHA_311, ALPHA_312, BETA], ["3.12"])


def test_a_file_that_the_pins_no_longer_name():
    assert not enough([(ALPHA_312[0], "4")], ["3.12"])


def test_another_version_than_the_pinned_one():
    assert not enough([("alpha-1.1-cp312-cp312-manylinux_2_17_x86_64.whl", "2")], ["3.12"])
