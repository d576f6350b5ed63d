"""The wheels that travel, each read when it is asked for: together they take tens of megabytes."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sealift_installer.errors import Damaged, host_errors, mismatch
from sealift_schemas.lock import LockedWheel


class CarriedWheels(Mapping[str, bytes]):
    """Bytes of wheels by file name.

    Args:
        wheels: as the lock names them, each with the file that it was fetched to.
        own: those that are made here.
    """

    def __init__(
        self, wheels: Sequence[tuple[LockedWheel, Path]], own: Mapping[str, bytes]
    ) -> None:
        self._fetched = {wheel.filename: (wheel, path) for wheel, path in wheels}
        self._own = own

    def __iter__(self) -> Iterator[str]:
        return iter((*self._fetched, *self._own))

    def __len__(self) -> int:
        return len(self._fetched) + len(self._own)

    def __getitem__(self, filename: str) -> bytes:
        """Return the bytes of a wheel.

        Raises:
            Damaged: the file is another one than it was when it was fetched.
            HostError: it cannot be read.
        """
        if filename in self._own:
            return self._own[filename]
        wheel, path = self._fetched[filename]
        with host_errors(f"cannot read {path}"):
            data = path.read_bytes()
        computed = hashlib.sha256(data).hexdigest()
        if computed != wheel.sha256:
            raise Damaged(mismatch(f"{path} was changed", wheel.sha256, computed))
        return data
