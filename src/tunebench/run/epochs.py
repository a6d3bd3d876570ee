"""Settles `epochs: auto`: each technique gets the epochs that fit into the tuning seconds of a reference.

Techniques are timed side by side with the reference before anything trains. The numbers are kept in the study's folder
and decided once: a command that is repeated, also on another machine, measures only what the folder does not have.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebench._util.errors import UserError
from tunebench._util.files import write_json
from tunebench.records import EPOCHS, EpochsRecord, SettledEpochs, TuningPace, read_epochs
from tunebench.run.cell import Cell
from tunebench.run.job import Job
from tunebench.run.timing import Request, Turn, turns_of
from tunebench.study import Places, Run, Study, Unsettled

ROUNDS = 3
"""How often each technique is timed; the shortest time counts, because other processes can only add to it."""


@dataclass(frozen=True)
class Settling:
    """What is known and what is to be measured.

    Attributes:
        known: of the study's techniques, what the folder has.
        missing: techniques to be timed; those that are not applicable are in neither.
    """

    known: tuple[tuple[Unsettled, SettledEpochs], ...]
    missing: tuple[Unsettled, ...]

    def study(self, study: Study) -> Study:
        """The study with the numbers that are known."""
        return study.settled({one.place: settled.epochs for one, settled in self.known})


def settling(study: Study, places: Places, out: Path) -> Settling:
    """What a folder knows of a study's `epochs: auto`.

    Raises:
        UserError: a model is unknown, a reference is not applicable, or the folder's record is damaged.
    """
    recorded = {_key(one): one for one in _recorded(out)}
    known, missing = [], []
    for one in study.unsettled:
        settled = recorded.get((one.run.id, one.reference.label, one.auto.times))
        if settled is not None:
            known.append((one, settled))
        elif Cell.of(one.run, places).reason is None:
            _refuse_inapplicable(one, places)
            missing.append(one)
    return Settling(tuple(known), tuple(missing))


def settle(missing: Sequence[Unsettled], places: Places, out: Path, observe: Callable[[Run, Turn], None]) -> None:
    """Time techniques side by side with their reference and keep the numbers, an experiment at a time.

    Args:
        missing: the techniques.
        places: where models and data lie.
        out: the study's folder, which is locked.
        observe: called with each turn.

    Raises:
        UserError: a reference cannot be measured, or the process that measures ended.
    """
    for number in sorted({one.place[0] for one in missing}):
        together = [one for one in missing if one.place[0] == number]
        runs = list({run.id: run for one in together for run in (one.reference, one.run)}.values())
        jobs = tuple(_job(run, places, out) for run in runs)
        turns: dict[str, list[Turn]] = {run.id: [] for run in runs}
        for turn in turns_of(out, Request(comparisons=(jobs,), rounds=ROUNDS)):
            turns[turn.run].append(turn)
            observe(next(run for run in runs if run.id == turn.run), turn)
        _keep(out, list(_settled(together, turns)))


def turns_in(missing: Sequence[Unsettled]) -> int:
    """How many turns settling takes."""
    timed = {(one.place[0], run.id) for one in missing for run in (one.reference, one.run)}
    return ROUNDS * len(timed)


def _settled(together: Sequence[Unsettled], turns: dict[str, list[Turn]]) -> Iterator[SettledEpochs]:
    for one in together:
        epochs = one.auto.epochs
        reference = _pace(turns[one.reference.id], epochs)
        if reference is None:
            raise UserError(
                f"training.epochs: auto: {one.reference.label} on {one.run.model} x {one.run.task.name} cannot be "
                f"measured: {turns[one.reference.id][0].reason}. Name another reference, or give a number."
            )
        pace = _pace(turns[one.run.id], epochs)
        fits = epochs if pace is None else pace.epochs_within(reference.seconds(epochs))
        yield SettledEpochs(
            model=one.run.model,
            task=one.run.task.name,
            technique=one.run.technique,
            label=one.run.label,
            run=one.run.id,
            epochs=min(one.auto.most, max(epochs, fits)),
            pace=pace,
            reason=None if pace else turns[one.run.id][0].reason,
            reference=one.reference.label,
            reference_pace=reference,
            reference_epochs=epochs,
            times=one.auto.times,
        )


def _pace(turns: Sequence[Turn], epochs: int) -> TuningPace | None:
    timed = [turn for turn in turns if turn.reason is None and not turn.skipped]
    if not timed:
        return None
    return TuningPace(
        step_seconds=min(turn.seconds for turn in timed),
        trunk_seconds=min(turn.trunk_seconds for turn in timed),
        steps=timed[0].steps // epochs,
    )


def _keep(out: Path, settled: Sequence[SettledEpochs]) -> None:
    new = {_key(one): one for one in settled}
    kept = [one for one in _recorded(out) if _key(one) not in new]
    record = EpochsRecord(techniques=(*kept, *settled))
    write_json(out / EPOCHS, record.model_dump(mode="json", by_alias=True))


def _recorded(out: Path) -> tuple[SettledEpochs, ...]:
    """What was decided; a damaged record is no reason to decide again."""
    record = read_epochs(out)
    if record is None and (out / EPOCHS).exists():
        raise UserError(
            f"{out / EPOCHS}: it is damaged, and runs here may have its numbers. Restore it, or remove it to settle "
            "training.epochs: auto again."
        )
    return record.techniques if record else ()


def _key(one: SettledEpochs) -> tuple[str, str, float]:
    """What a number answers: which run, within whose seconds, with which limit."""
    return one.run, one.reference, one.times


def _refuse_inapplicable(one: Unsettled, places: Places) -> None:
    reason = Cell.of(one.reference, places).reason
    if reason is not None:
        raise UserError(
            f"training.epochs: auto: its reference {one.reference.label} is not applicable to {one.run.model} x "
            f"{one.run.task.name}: {reason}. Name another one (auto_epochs: {{reference: lora}}), or give a number."
        )


def _job(run: Run, places: Places, out: Path) -> Job:
    family = Cell.of(run, places).family.name
    return Job(
        run=run,
        places=places.of(run),
        family=family,
        folder=str(out / "runs" / run.id),
        cache=str(out / "cache"),
    )
