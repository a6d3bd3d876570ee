"""Which runs of a study to make: those without a result, and those whose data or model have changed since."""

import fnmatch
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebench._util.errors import UserError
from tunebench._util.files import differing
from tunebench._util.words import plural
from tunebench.records import Done, Notice, PlannedCell, read_result
from tunebench.run.task_data import TaskData
from tunebench.study import Places, Run
from tunebench.zoo import checkpoints


@dataclass(frozen=True)
class Pending:
    """A run to make; `notices` say why, if it had a result."""

    run: Run
    family: str
    notices: tuple[Notice, ...] = ()


def pending_runs(
    runs: Sequence[Run], places: Places, out: Path, only: str | None = None, data: TaskData | None = None
) -> tuple[list[Pending], list[str]]:
    """The chosen runs to make, and remarks on what is damaged, changed or unavailable; torch is not imported.

    A finished run counts as done if its files have the digests that its result recorded, and the fingerprints of its
    data and its model have not changed, or these are unavailable.

    Args:
        runs: a study's.
        places: the folders of its models and data.
        out: its output folder.
        only: FAMILY/TASK/TECHNIQUE or MODEL/TASK/TECHNIQUE as a shell pattern; None chooses all.
        data: reads the data of its tasks; None: a reader of its own.

    Raises:
        UserError: a model of a run without a result is unknown, or `only` matches none.
    """
    families = _families(runs, places, out)
    chosen = matching(runs, places, out, only)
    comparison = _Comparison(places, data or TaskData(places))
    pending = []
    for run in chosen:
        folder = out / "runs" / run.id
        result = read_result(folder)
        notices = tuple(comparison.differences(run, folder, result)) if isinstance(result, Done) else ()
        if result is None or result.status in ("failed", "paused") or notices:
            pending.append(Pending(run, families[run.model], notices))
    return pending, comparison.remarks()


def matching(runs: Sequence[Run], places: Places, out: Path, only: str | None) -> list[Run]:
    """The runs whose cells `--only` matches.

    Raises:
        UserError: it matches none, or the model of a run without a result is unknown.
    """
    families = _families(runs, places, out)
    chosen = [run for run in runs if only is None or _matches(run, families[run.model], only)]
    if not chosen:
        raise UserError(
            f"--only '{only}': it matches no cell. Cells read FAMILY/TASK/TECHNIQUE, "
            f"such as '{families[runs[0].model]}/{runs[0].task.name}/{runs[0].technique}'."
        )
    return chosen


def costliest_first(pending: Sequence[Pending], cells: Sequence[PlannedCell]) -> list[Pending]:
    """The order for parallel workers: a long run that started last would leave the other workers idle."""
    trained = {(c.model, c.task, c.label): c.parameters.trainable if c.parameters else 0 for c in cells}
    return sorted(pending, key=lambda item: -trained[item.run.model, item.run.task.name, item.run.label])


def _families(runs: Sequence[Run], places: Places, out: Path) -> dict[str, str]:
    """Each model's family; if the model is unavailable, from a result of one of its runs."""
    families: dict[str, str] = {}
    for run in runs:
        if run.model in families:
            continue
        try:
            families[run.model] = checkpoints.find(run.source, run.revision, places.models.get(run.model)).family.name
        except UserError:
            results = (read_result(out / "runs" / other.id) for other in runs if other.model == run.model)
            known = next((result.run.family for result in results if result is not None), None)
            if known is None:
                raise
            families[run.model] = known
    return families


def _matches(run: Run, family: str, pattern: str) -> bool:
    ends = f"{run.task.name}/{run.technique}"
    return any(fnmatch.fnmatchcase(f"{start}/{ends}", pattern) for start in (family, run.model))


class _Comparison:
    """Compares finished runs with their own files and the current data and models; a fingerprint is computed once."""

    def __init__(self, places: Places, data: TaskData):
        self._places, self._data = places, data
        self._known: dict[str, str | UserError] = {}
        self._damaged: list[Path] = []
        self._changed: Counter[str] = Counter()
        self._unavailable: Counter[tuple[str, str]] = Counter()

    def differences(self, run: Run, folder: Path, done: Done) -> Iterator[Notice]:
        """One notice for damaged files, one for changed data, and one for a changed model."""
        damaged = differing(folder, done.files)
        if damaged:
            self._damaged += [folder / name for name in damaged]
            text = f"Made again: {', '.join(damaged)} of the earlier result had been damaged or removed."
            yield Notice(code="made_again", message=text)
        today = self._once(run.task.model_dump_json(), lambda: self._data.of(run.task).fingerprint)
        yield from self._compared(f"data of '{run.task.name}'", today, done.data.fingerprint)
        entry = run.entry
        if entry.reads_model and done.backbone is not None:
            key = f"{run.model} {run.revision} {entry.reads_weights}"
            today = self._once(key, lambda: self._model(run, entry.reads_weights))
            yield from self._compared(f"files of model '{run.model}'", today, done.backbone.fingerprint)

    def remarks(self) -> list[str]:
        """One sentence for each file that is damaged, and each task or model that has changed or is unavailable."""
        damaged = [f"{path} is damaged or missing, so its run is made again." for path in self._damaged]
        changed = [
            f"The {what} have changed since {_runs(count)}, so these are made again."
            for what, count in self._changed.items()
        ]
        unavailable = [
            f"The {what} are unavailable, so {_runs(count)} could not be compared with them and count as done. {why}"
            for (what, why), count in self._unavailable.items()
        ]
        return damaged + changed + unavailable

    def _compared(self, what: str, today: str | UserError, recorded: str) -> Iterator[Notice]:
        if isinstance(today, UserError):
            self._unavailable[what, str(today)] += 1
        elif today != recorded:
            self._changed[what] += 1
            text = (
                f"Made again: the {what} have changed since the earlier result "
                f"(fingerprint {today[:12]}, earlier {recorded[:12]})."
            )
            yield Notice(code="made_again", message=text)

    def _once(self, key: str, compute: Callable[[], str]) -> str | UserError:
        if key not in self._known:
            try:
                self._known[key] = compute()
            except UserError as error:
                self._known[key] = error
        return self._known[key]

    def _model(self, run: Run, weights: bool) -> str:
        checkpoint = checkpoints.find(run.source, run.revision, self._places.models.get(run.model))
        return checkpoints.fetch(checkpoint, weights, download=False)[1].fingerprint


def _runs(count: int) -> str:
    return "one finished run" if count == 1 else plural(count, "finished run")
