"""Times the finished techniques of a study side by side, in a process of its own, and keeps what it measures.

The process (`run/pace.py`) has the settings of a lone worker: all cores, and its way to keep memory.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from tunebench._util import python
from tunebench._util.errors import UserError
from tunebench.records import Record, Retimed, RetimedCell, read_retimed, write_retimed
from tunebench.run.executors.local import environment_of
from tunebench.run.job import Job

QUIET = 0.2
"""Busy cores of other processes up to which a machine counts as quiet."""
_CHILD = "import gc; gc.disable(); from tunebench.run.pace import main; main()"


class Request(Record):
    """What to time: the jobs of each comparison, turn by turn, so many rounds; `priced`: all costs."""

    comparisons: tuple[tuple[Job, ...], ...]
    rounds: int
    priced: bool = False


class Turn(Record):
    """What one turn measured.

    Attributes:
        run: of which run.
        seconds: per optimizer step; of a baseline, for its fit.
        trunk_seconds: of one pass of the frozen trunk over the training split.
        baseline: whether it has no steps.
        reason: why nothing could be measured.
        skipped: it was not tried again after it had failed.
        threads: of the process.
        busy_cores: how many cores other processes kept busy just before.
        steps: optimizer steps of the whole run.
        evaluation_seconds: of one pass over the validation split; where a trunk is kept, of the first one.
        peak_memory_bytes: of the process while it measured.
        saved_bytes: of the weights that a run keeps, in float32.
        latency_seconds: of one answer to the text of median length.
        ordinary: whether the tuned model can be saved as an ordinary one, with nothing added.
        keeps_backbone: whether no pretrained weight changes, so that many tasks can share them.
        trainable: parameters.
    """

    run: str
    seconds: float = 0.0
    trunk_seconds: float = 0.0
    baseline: bool = False
    reason: str | None = None
    skipped: bool = False
    threads: int = 1
    busy_cores: float = 0.0
    steps: int = 0
    evaluation_seconds: float = 0.0
    peak_memory_bytes: int = 0
    saved_bytes: int = 0
    latency_seconds: float | None = None
    ordinary: bool = False
    keeps_backbone: bool = True
    trainable: int = 0


def measured(out: Path, comparisons: Sequence[Sequence[Job]], rounds: int) -> Iterator[Turn]:
    """The turns as they are taken. After each of them `timing.json` holds what is known, and what it held of others.

    Raises:
        UserError: the process that measures ended.
    """
    turns: dict[str, list[Turn]] = {}
    earlier = read_retimed(out) or Retimed()
    for turn in turns_of(out, Request(comparisons=tuple(map(tuple, comparisons)), rounds=rounds)):
        if not turn.skipped:
            turns.setdefault(turn.run, []).append(turn)
            write_retimed(out, _joined(earlier, turns))
        yield turn


def turns_of(out: Path, request: Request) -> Iterator[Turn]:
    """The turns of a request, as a process of its own takes them; `timing.log` in `out` has its output.

    Raises:
        UserError: the process ended.
    """
    with (out / "timing.log").open("wb") as log:
        process = python.start("-c", _CHILD, stderr=log, env=environment_of(0, 1))
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(request.model_dump_json().encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                yield Turn.model_validate_json(line)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
    if code:
        raise UserError(
            f"time {out}: the process that measures ended with code {code}; timing.log shows its last output. "
            "What was measured before is kept."
        )


def _joined(earlier: Retimed, turns: dict[str, list[Turn]]) -> Retimed:
    """What is measured now, and before of other runs."""
    known = {run: [turn for turn in of if turn.reason is None] for run, of in turns.items()}
    cells = [_cell(run, of) for run, of in known.items() if of]
    left_out = {turn.run: turn.reason for of in turns.values() for turn in of if turn.reason is not None}
    return Retimed(
        cells=(*(cell for cell in earlier.cells if cell.run not in turns), *cells),
        left_out={run: why for run, why in earlier.left_out.items() if run not in turns} | left_out,
    )


def _cell(run: str, turns: Sequence[Turn]) -> RetimedCell:
    seconds = [turn.seconds for turn in turns]
    return RetimedCell(
        run=run,
        rounds=len(turns),
        seconds=median(seconds),
        low=min(seconds),
        high=max(seconds),
        trunk_seconds=median(turn.trunk_seconds for turn in turns),
        baseline=turns[0].baseline,
        threads=turns[0].threads,
        busy_cores=max(turn.busy_cores for turn in turns),
    )
