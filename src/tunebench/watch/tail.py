"""The new lines of a file that another process appends to."""

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

_MOST = 10_000_000  # bytes of one look


class Tail:
    """Reads the whole lines that came since the last look; the rest of a file is read before the one in its place."""

    def __init__(self, path: Path):
        self._path = path
        self._file: IO[bytes] | None = None
        self._rest = b""

    def lines(self) -> list[bytes]:
        """The new lines, without their ends; none where there is no file, or it cannot be read."""
        found: list[bytes] = []
        with suppress(OSError):
            found += self._read()
            if self._replaced():
                self._close()
                found += self._read()
        return [line for line in found if line]

    def _read(self) -> list[bytes]:
        if self._file is None:
            self._file = self._path.open("rb")
        *whole, self._rest = (self._rest + self._file.read(_MOST)).split(b"\n")
        return whole

    def _replaced(self) -> bool:
        """Whether another file has the name now, or the file was cut."""
        assert self._file is not None
        there = self._path.stat()
        return there.st_ino != _inode(self._file) or there.st_size < self._file.tell()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""


def _inode(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_ino
