"""All hostile archives."""

from hostile.generator import Case, tar_cases, zip_cases
from hostile.seven_cases import seven_cases
from hostile.shapes import shape_cases
from hostile.sparse import sparse_cases
from hostile.streams import stream_cases


def all_cases() -> list[Case]:
    """Return every case; the same bytes each time."""
    return [
        *tar_cases(),
        *sparse_cases(),
        *stream_cases(),
        *zip_cases(),
        *seven_cases(),
        *shape_cases(),
    ]


CASES = tuple(all_cases())
