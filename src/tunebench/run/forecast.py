"""How long a study still takes: the size of its runs, and how fast their steps were so far.

The size of a run is counted in parameters x tokens of a pass forward. A training step is three passes where all weights
train (outputs, gradients of outputs, gradients of weights), two where few do, one where a part of the model is frozen
below what trains. Where only a head trains, the frozen layers are passed once.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tunebench.engine.events import Event, ResultWritten, Resumed, Step, Testing
from tunebench.records import PlannedCell, PlannedData

_START = 5e10  # of any run: reading, building, the baselines' own work
_UNKNOWN = {"train": 100_000, "validation": 20_000, "test": 20_000}  # tokens of data that are not here yet
_FEW, _ALL = 0.1, 0.9  # shares of parameters that train


@dataclass(frozen=True)
class Size:
    """The work of a run: that of its epochs, and the rest."""

    epochs: float
    rest: float = 0.0

    @property
    def whole(self) -> float:
        """All of it."""
        return self.epochs + self.rest


def size_of(cell: PlannedCell | None, data: PlannedData | None, epochs: int) -> Size:
    """The size of a cell's run that uses all its epochs."""
    counts = cell.parameters if cell and cell.applicable else None
    if counts is None:
        return Size(0.0, _START)
    tokens = (data.tokens if data else None) or _UNKNOWN
    train, validation = tokens["train"], tokens["validation"]
    rest = _START + counts.total * (tokens["test"] + validation)
    if not counts.trainable:
        return Size(0.0, rest)
    if not counts.technique:
        return Size(0.1 * counts.total * train, rest + counts.total * train)
    return Size(counts.total * epochs * (_passes(counts.trainable / counts.total) * train + validation), rest)


def _passes(share: float) -> float:
    if share < _FEW:
        return 2.0
    return 3.0 if share > _ALL else 1.0 + share


class Forecast:
    """The time left, from the work that is done and the time that it took.

    Args:
        runs: how many are to be made.
        workers: how many at once.
        sizes: by run; a run without one is as large as any other.
        clock: seconds; None: of this machine.
    """

    def __init__(
        self,
        runs: int,
        workers: int = 1,
        sizes: Mapping[str, Size] | None = None,
        clock: Callable[[], float] | None = None,
    ):
        self._clock = clock or time.monotonic
        self._workers = workers
        self._planned = dict(sizes or {})
        self._sizes = dict(self._planned)
        self._unnamed = runs - len(self._sizes)
        self._progress: dict[str, float] = {}
        self._resumed: dict[str, int] = {}
        self._done = 0.0
        self._start = self._clock()

    def observe(self, key: str, event: Event) -> None:
        """Take note of what happened in a run."""
        if key not in self._sizes:
            self._sizes[key] = self._planned[key] = Size(1.0)
            self._unnamed -= 1
        size = self._sizes[key]
        if isinstance(event, ResultWritten):
            self._progress.pop(key, None)
            self._done += size.whole
            self._sizes[key] = Size(0.0)
        elif isinstance(event, Resumed):
            self._resumed[key] = event.step
        elif isinstance(event, Step):
            begun = self._resumed.get(key, 0)
            epochs = self._planned[key].epochs / event.steps
            self._sizes[key] = Size(epochs * (event.steps - begun), size.rest)
            self._progress[key] = epochs * (event.step - begun)
        elif isinstance(event, Testing):
            self._progress[key] = size.epochs

    @property
    def left(self) -> float | None:
        """Seconds; None before anything is done."""
        done = self._done + sum(self._progress.values())
        if not done:
            return None
        waiting = [size.whole - self._progress.get(key, 0.0) for key, size in self._sizes.items()]
        work = sum(waiting) + max(self._unnamed, 0)
        # As many as there are workers share the rest, but none is shorter than its longest run.
        pace = (self._clock() - self._start) * self._workers / done
        return pace * max(work / self._workers, max(waiting, default=0.0))
