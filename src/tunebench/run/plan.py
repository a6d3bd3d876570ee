"""Every cell of a study before anything runs: applicable or why not, and its parameter counts.

No weights are loaded.
"""

import functools
from collections.abc import Sequence

from tunebench._util.errors import UserError
from tunebench.records import Parameters, PlannedCell
from tunebench.run.cell import Cell
from tunebench.run.soundness import refuse_impossible
from tunebench.run.survey import Survey
from tunebench.study import Places, Run
from tunebench.tasks import load as data
from tunebench.tasks.base import Task
from tunebench.techniques.base import Technique, Trained

_ON_THE_HUB = Places()
_NOTHING = Survey()


def plan(
    runs: Sequence[Run],
    places: Places = _ON_THE_HUB,
    earlier: Sequence[PlannedCell] = (),
    surveyed: Survey = _NOTHING,
) -> tuple[PlannedCell, ...]:
    """One entry per cell (a run without its seed), in the study's order.

    Args:
        runs: a study's.
        places: the folders of its models and data.
        earlier: an earlier plan, whose cells are used if a model or its data are unavailable now.
        surveyed: their data; labels of tasks without are those that they state, else their data are read.

    Raises:
        UserError: a model's shape is unknown here, or a setting does not fit the model.
    """
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.model_copy(update={"seed": 0}).id, run)
    planner = _Planner(places, earlier, surveyed)
    return tuple(planner.cell(run) for run in first.values())


class _Planner:
    """What the cells of one plan share."""

    def __init__(self, places: Places, earlier: Sequence[PlannedCell], surveyed: Survey):
        self._places, self._earlier, self._surveyed = places, earlier, surveyed
        self._sound: set[tuple[str, str | None, bool]] = set()  # model, objective, and whether its weights count

    def cell(self, run: Run) -> PlannedCell:
        """A run's cell, or that of the earlier plan if this one cannot be computed now."""
        try:
            return self._computed(run)
        except UserError:
            same = (run.model, run.task.name, run.technique, run.entry.model_dump(mode="json"))
            for cell in self._earlier:
                if (cell.model, cell.task, cell.technique, cell.settings) == same:
                    return cell.model_copy(update={"label": run.label})
            raise

    def _computed(self, run: Run) -> PlannedCell:
        cell = Cell.of(run, self._places)
        counts = cell.reason is None and isinstance(run.entry, Technique)
        return PlannedCell(
            model=run.model,
            family=cell.family.name,
            task=run.task.name,
            technique=run.technique,
            label=run.label,
            title=run.entry.title,
            paper=run.entry.paper,
            settings=run.entry.model_dump(mode="json"),
            applicable=cell.reason is None,
            reason=cell.reason,
            parameters=self._counted(cell, run) if counts else None,
            epochs=run.training.epochs if isinstance(run.entry, Trained) else None,
        )

    def _counted(self, cell: Cell, run: Run) -> Parameters:
        """The parameters of a cell whose model is looked at first, once for all techniques."""
        labels = self._labels(run.task)
        checked = (run.model, cell.posed, cell.technique.reads_weights)
        if checked not in self._sound:
            refuse_impossible(cell, labels)
            self._sound.add(checked)
        return cell.count(labels)

    def _labels(self, task: Task) -> tuple[str, ...]:
        """As a model learns them: those of the data, which may write a stated list in another scheme of tags."""
        known = self._surveyed.labels(task)
        if known is not None:
            return known
        if task.labels or not task.has_classes:
            return task.labels
        return _inferred_labels(self._places.located(task).model_dump_json(), self._places.data_root)


@functools.cache
def _inferred_labels(task: str, data_root: str | None) -> tuple[str, ...]:
    """Labels of a task that only its data contain; cached by content, because a Task is not hashable."""
    return data.load(Task.model_validate_json(task), data_root).labels
