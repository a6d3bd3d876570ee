"""Every cell of a study before anything runs: applicable or why not, and its parameter counts.

No weights are loaded.
"""

import functools
from collections.abc import Sequence

import transformers

from tunebench._util.errors import UserError
from tunebench.engine.measure import count_parameters
from tunebench.objectives import objectives
from tunebench.records import Parameters, PlannedCell
from tunebench.run.execute import not_applicable, posed_as
from tunebench.study import Places, Run
from tunebench.tasks import load as data
from tunebench.tasks.base import Task
from tunebench.techniques.base import Technique
from tunebench.zoo import checkpoints

transformers.logging.set_verbosity_error()

_ON_THE_HUB = Places()


def plan(
    runs: Sequence[Run], places: Places = _ON_THE_HUB, earlier: Sequence[PlannedCell] = ()
) -> tuple[PlannedCell, ...]:
    """One entry per cell (a run without its seed), in the study's order.

    Args:
        runs: a study's.
        places: where its models and data lie.
        earlier: an earlier plan, whose cells stand in where a model or its data are unavailable now.

    Raises:
        UserError: a model's shape is unknown here, or a setting does not fit the model.
    """
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.model_copy(update={"seed": 0}).id, run)
    return tuple(_cell(run, places, earlier) for run in first.values())


def _cell(run: Run, places: Places, earlier: Sequence[PlannedCell]) -> PlannedCell:
    try:
        return _computed(run, places)
    except UserError:
        same = (run.model, run.task.name, run.technique, run.entry.model_dump(mode="json"))
        for cell in earlier:
            if (cell.model, cell.task, cell.technique, cell.settings) == same:
                return cell.model_copy(update={"label": run.label})
        raise


def _computed(run: Run, places: Places) -> PlannedCell:
    found = checkpoints.find(run.model, run.revision, places.models.get(run.model))
    reason = not_applicable(run, found)
    return PlannedCell(
        model=run.model,
        family=found.family.name,
        task=run.task.name,
        technique=run.technique,
        label=run.label,
        title=run.entry.title,
        settings=run.entry.model_dump(mode="json"),
        applicable=reason is None,
        reason=reason,
        parameters=None if reason else _parameters(run, places, found),
    )


def _parameters(run: Run, places: Places, found: checkpoints.Checkpoint) -> Parameters | None:
    """Counts on the meta device; None for a baseline, whose size depends on the data."""
    if not isinstance(run.entry, Technique):
        return None
    family = found.family
    posed = posed_as(run, family)
    head = objectives()[posed].head(_labels(run.task, places))
    model = family.skeleton(found.config, posed, head, found.folder if run.entry.reads_weights else None)
    try:
        model = run.entry.apply(model, family, total_steps=1000)
    except UserError as error:
        raise UserError(f"{run.model} x {run.task.name}: {error}") from None
    return count_parameters(model, family)


def _labels(task: Task, places: Places) -> tuple[str, ...]:
    if task.labels or not task.has_classes:
        return task.labels
    return _inferred_labels(places.located(task).model_dump_json(), places.data_root)


@functools.cache
def _inferred_labels(task: str, data_root: str | None) -> tuple[str, ...]:
    """Labels of a task whose list only its data knows; cached by content, as a Task holds dicts and has no hash."""
    return data.load(Task.model_validate_json(task), data_root).labels
