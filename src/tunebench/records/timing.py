"""What `tunebench time` measures."""

from pathlib import Path

from pydantic import Field

from tunebench._util.files import write_json
from tunebench.records.base import StudyRecord, read_record

TIMING = "timing.json"
"""The file of `Retimed` in a study's folder."""


class RetimedCell(StudyRecord):
    """What `tunebench time` measured of one technique on one model and task.

    Attributes:
        run: the run that it was measured on.
        rounds: how often its turn came.
        seconds: per optimizer step, the median over rounds; of a baseline, for its whole fit.
        low: the fastest round.
        high: the slowest round.
        trunk_seconds: of the training split's frozen trunk, from a sample of its batches; the median over rounds.
        baseline: whether it has no steps.
        threads: of the process that measured.
        busy_cores: how many cores other processes kept busy before a round, at most.
    """

    run: str
    rounds: int
    seconds: float
    low: float
    high: float
    trunk_seconds: float = 0.0
    baseline: bool = False
    threads: int
    busy_cores: float

    def tuning(self, steps: int) -> float:
        """Seconds of tuning of a run with so many optimizer steps."""
        return self.trunk_seconds + self.seconds * (1 if self.baseline else steps)

    @property
    def spread(self) -> float:
        """From the fastest to the slowest round, as a share of the median."""
        return (self.high - self.low) / self.seconds if self.seconds else 0.0


class Retimed(StudyRecord):
    """A study's `timing.json`: the steps of its techniques, timed side by side.

    Attributes:
        cells: one for each technique that was measured.
        left_out: run -> why it was not measured.
    """

    schema_version: int = Field(default=1, alias="schema")
    cells: tuple[RetimedCell, ...] = ()
    left_out: dict[str, str] = {}


def read_retimed(out: Path) -> Retimed | None:
    """What `tunebench time` measured in a study's folder; None where it did not, or its file is damaged."""
    return read_record(out / TIMING, Retimed)


def write_retimed(out: Path, retimed: Retimed) -> None:
    """Write `timing.json`, atomically."""
    write_json(out / TIMING, retimed.model_dump(mode="json", by_alias=True))
