"""A study's data, read before anything runs: a mistake in them is one error then, not one failed run per technique."""

from collections.abc import Sequence

from tunebench.evaluation.power import smallest_difference
from tunebench.records import PlannedData
from tunebench.study import Places, Run
from tunebench.tasks.base import Task
from tunebench.tasks.load import SPLITS, UnavailableError, load


def survey(runs: Sequence[Run], places: Places, earlier: Sequence[PlannedData] = ()) -> tuple[PlannedData, ...]:
    """What the data of each task are. Nothing is downloaded: a task whose data are not here yet is left out.

    Args:
        runs: those whose data are read.
        places: where they lie.
        earlier: what an earlier plan says of tasks that these runs do not have.

    Raises:
        UserError: data cannot be read as their task describes them.
    """
    tasks = {run.task.model_dump_json(): run.task for run in runs}
    read = [_of(places.located(task), places) for task in tasks.values()]
    names = {task.name for task in tasks.values()}
    return (*(data for data in read if data is not None), *(data for data in earlier if data.task not in names))


def _of(task: Task, places: Places) -> PlannedData | None:
    try:
        data = load(task, places.data_root, download=False)
    except UnavailableError:
        return None
    rows = {split: len(data.splits[split]) for split in SPLITS}
    return PlannedData(
        task=task.name,
        source=data.source,
        rows=dict(rows),
        files=dict(data.files),
        labels=len(data.labels),
        notes=data.notes,
        smallest_difference=smallest_difference(rows["test"]) if task.form == "class" else None,
    )
