"""What else ran on the machine while a run was made: other workers, and how long its threads waited for a core."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import psutil

from tunebench.engine.events import Event

_MARK = ".running"
_SECONDS = 1.0  # between two counts of the other workers


@dataclass(frozen=True)
class Load:
    """What else ran, where it is known.

    Attributes:
        other_workers: how many other workers made runs of the study, on average.
        waiting_share: share of the time in which the process's threads could compute that they waited for a core.
        averages: the system's load average over a minute, at the start and at the end.
    """

    other_workers: float | None
    waiting_share: float | None
    averages: tuple[float | None, float | None]


class LoadWatch:
    """Observes the load from its start; a context, which marks the run's folder as one that a process is at work in.

    Args:
        folder: the run's folder; those of other runs lie beside it.
    """

    def __init__(self, folder: Path):
        self._runs, self._marker = folder.parent, folder / f"{_MARK}.{os.getpid()}"
        self._counts: list[int] = []
        self._counted = 0.0

    def __enter__(self) -> "LoadWatch":
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        self._marker.touch()
        self._average = _load_average()
        self._waited, self._cpu = _waited_seconds(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self._marker.unlink(missing_ok=True)

    def observe(self, event: Event) -> None:
        """Count the other workers now and then."""
        if time.monotonic() - self._counted >= _SECONDS:
            self._counted = time.monotonic()
            self._counts.append(sum(self._is_of_another(path) for path in self._runs.glob(f"*/{_MARK}.*")))

    def until_now(self) -> Load:
        """The load from the start until now."""
        return Load(fmean(self._counts) if self._counts else None, self._share(), (self._average, _load_average()))

    def _share(self) -> float | None:
        now = _waited_seconds()
        if self._waited is None or now is None:
            return None
        waited, computed = max(0.0, now - self._waited), time.process_time() - self._cpu
        return waited / (waited + computed) if waited + computed > 0 else 0.0

    def _is_of_another(self, marker: Path) -> bool:
        number = marker.name.rpartition(".")[2]
        return marker != self._marker and number.isdecimal() and psutil.pid_exists(int(number))


def _load_average() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # Windows has none
        return None


def _waited_seconds() -> float | None:
    """How long the threads of this process have waited for a core so far (Linux); None where nothing says so."""
    nanoseconds, known = 0, False
    for thread in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError, ValueError, IndexError):  # a thread may have ended
            nanoseconds += int(thread.read_text().split()[1])
            known = True
    return nanoseconds / 1e9 if known else None
