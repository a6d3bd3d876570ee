"""Every cell of a study before anything runs: applicable or why not, and its parameter counts.

No weights are loaded.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers

from tunebench._util.errors import UserError
from tunebench.engine.measure import count_parameters
from tunebench.objectives import objectives
from tunebench.records import Parameters
from tunebench.run.execute import not_applicable, posed_as
from tunebench.study import Run
from tunebench.tasks import load as data
from tunebench.tasks.base import Task
from tunebench.techniques.base import Technique
from tunebench.zoo import checkpoints

transformers.logging.set_verbosity_error()


def plan(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One entry a cell (a run without its seed), in the study's order.

    Raises:
        UserError: a model's shape is not known here, or a setting does not fit the model.
    """
    cells: dict[str, dict[str, Any]] = {}
    for run in runs:
        # Not run.model_copy(update={"seed": 0}).id: a copy keeps the cached id of its original.
        key = run.model_dump_json(exclude={"seed": True, "training": {"checkpoint_seconds", "cache_gigabytes"}})
        if key not in cells:
            cells[key] = _cell(run)
    return list(cells.values())


def _cell(run: Run) -> dict[str, Any]:
    found = checkpoints.find(run.model, run.revision, run.folder)
    reason = not_applicable(run, found)
    counted = None if reason else _parameters(run, found)
    return {
        "model": run.model,
        "family": found.family.name,
        "task": run.task.name,
        "technique": run.technique,
        "label": run.label,
        "settings": run.entry.model_dump(mode="json"),
        "applicable": reason is None,
        "reason": reason,
        "parameters": counted.model_dump() if counted else None,
    }


def _parameters(run: Run, found: checkpoints.Checkpoint) -> Parameters | None:
    """Counts on the meta device; None for a baseline, whose size depends on the data."""
    if not isinstance(run.entry, Technique):
        return None
    family = found.family
    posed = posed_as(run, family)
    head = objectives()[posed].head(_labels(run.task, run.data_root))
    model = family.skeleton(found.config, posed, head, found.folder if run.entry.reads_weights else None)
    try:
        model = run.entry.apply(model, family, total_steps=1000)
    except UserError as error:
        raise UserError(f"{run.model} x {run.task.name}: {error}") from None
    return count_parameters(model, family)


def _labels(task: Task, data_root: str | None) -> tuple[str, ...]:
    if task.labels or not task.has_classes:
        return task.labels
    return _inferred_labels(task.model_dump_json(), data_root)


@functools.cache
def _inferred_labels(task: str, data_root: str | None) -> tuple[str, ...]:
    """Labels of a task whose list only its data knows; cached by content, as a Task holds dicts and has no hash."""
    return data.load(Task.model_validate_json(task), Path(data_root) if data_root else None).labels
