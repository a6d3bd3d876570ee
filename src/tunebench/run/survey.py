"""A study's data, read before anything runs: a mistake in them is one error then, not one failed run per technique."""

from collections.abc import Sequence

from tunebench.evaluation.power import smallest_difference
from tunebench.records import PlannedData
from tunebench.study import Places, Run
from tunebench.tasks.base import Task
from tunebench.tasks.load import SPLITS, Unavailable, load


def survey(runs: Sequence[Run], places: Places) -> tuple[PlannedData, ...]:
    """What the data of each task are; nothing is downloaded, and a task whose data are not here yet is left out.

    Raises:
        UserError: data cannot be read as their task describes them.
    """
    tasks = {run.task.model_dump_json(): run.task for run in runs}
    surveyed = (_of(places.located(task), places) for task in tasks.values())
    return tuple(data for data in surveyed if data is not None)


def _of(task: Task, places: Places) -> PlannedData | None:
    try:
        data = load(task, places.data_root, download=False)
    except Unavailable:
        return None
    rows = {split: len(data.splits[split]) for split in SPLITS}
    return PlannedData(
        task=task.name,
        source=data.source,
        rows=rows,
        files=dict(data.files),
        labels=len(data.labels),
        notes=data.notes,
        smallest_difference=smallest_difference(rows["test"]) if task.form == "class" else None,
    )
