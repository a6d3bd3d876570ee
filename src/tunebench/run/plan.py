"""Every cell of a study before anything runs: applicable or why not, and its parameter counts.

No weights are loaded.
"""

import functools
from collections.abc import Sequence

from tunebench._util.errors import UserError
from tunebench.records import PlannedCell
from tunebench.run.cell import Cell
from tunebench.run.soundness import refuse_impossible
from tunebench.study import Places, Run
from tunebench.tasks import load as data
from tunebench.tasks.base import Task
from tunebench.techniques.base import Technique

_ON_THE_HUB = Places()
_Sound = set[tuple[str, str | None, bool]]
"""Models that were looked at, with the objective, and whether their weights count."""


def plan(
    runs: Sequence[Run], places: Places = _ON_THE_HUB, earlier: Sequence[PlannedCell] = ()
) -> tuple[PlannedCell, ...]:
    """One entry per cell (a run without its seed), in the study's order.

    Args:
        runs: a study's.
        places: the folders of its models and data.
        earlier: an earlier plan, whose cells are used if a model or its data are unavailable now.

    Raises:
        UserError: a model's shape is unknown here, or a setting does not fit the model.
    """
    first: dict[str, Run] = {}
    sound: _Sound = set()
    for run in runs:
        first.setdefault(run.model_copy(update={"seed": 0}).id, run)
    return tuple(_cell(run, places, earlier, sound) for run in first.values())


def _cell(run: Run, places: Places, earlier: Sequence[PlannedCell], sound: _Sound) -> PlannedCell:
    try:
        return _computed(run, places, sound)
    except UserError:
        same = (run.model, run.task.name, run.technique, run.entry.model_dump(mode="json"))
        for cell in earlier:
            if (cell.model, cell.task, cell.technique, cell.settings) == same:
                return cell.model_copy(update={"label": run.label})
        raise


def _computed(run: Run, places: Places, sound: _Sound) -> PlannedCell:
    cell = Cell.of(run, places)
    parameters = None
    if cell.reason is None and isinstance(run.entry, Technique):
        labels = _labels(run.task, places)
        checked = (run.model, cell.posed, run.entry.reads_weights)
        if checked not in sound:
            refuse_impossible(cell, labels)
            sound.add(checked)
        parameters = cell.count(labels)
    return PlannedCell(
        model=run.model,
        family=cell.family.name,
        task=run.task.name,
        technique=run.technique,
        label=run.label,
        title=run.entry.title,
        settings=run.entry.model_dump(mode="json"),
        applicable=cell.reason is None,
        reason=cell.reason,
        parameters=parameters,
    )


def _labels(task: Task, places: Places) -> tuple[str, ...]:
    if task.labels or not task.has_classes:
        return task.labels
    return _inferred_labels(places.located(task).model_dump_json(), places.data_root)


@functools.cache
def _inferred_labels(task: str, data_root: str | None) -> tuple[str, ...]:
    """Labels of a task that only its data contain; cached by content, because a Task is not hashable."""
    return data.load(Task.model_validate_json(task), data_root).labels
