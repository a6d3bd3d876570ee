"""A study's data and models, looked at before anything runs: a mistake in them is one error, not many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunebench.records import PlannedCell, PlannedData
from tunebench.run.task_data import SeenData, TaskData
from tunebench.study import Places, Run
from tunebench.tasks.base import Task
from tunebench.tasks.origin import UnavailableError
from tunebench.techniques.base import Baseline
from tunebench.zoo import checkpoints


@dataclass(frozen=True)
class Survey:
    """What the data of a study's tasks are.

    Attributes:
        records: for the plan, in the order of the tasks.
        by_task: a task as JSON -> what its data are.
    """

    records: tuple[PlannedData, ...] = ()
    by_task: Mapping[str, SeenData] = field(default_factory=dict)

    def data(self, task: Task) -> PlannedData | None:
        """The record of a task; None if its data are not here."""
        known = self.by_task.get(task.model_dump_json())
        return known and known.record

    def labels(self, task: Task) -> tuple[str, ...] | None:
        """The labels of a task; None if its data are not here."""
        known = self.by_task.get(task.model_dump_json())
        return known and known.labels


def survey(
    runs: Sequence[Run], data: TaskData, earlier: Sequence[PlannedData] = (), *, download: bool = False
) -> Survey:
    """Look at the data of each task.

    Args:
        runs: those whose data are read.
        data: reads them.
        earlier: what an earlier plan says of tasks that these runs do not have.
        download: what is not on this machine is downloaded, as every run would; without it such a task is left out.

    Raises:
        UserError: data cannot be read as their task describes them, or cannot be downloaded.
    """
    by_task: dict[str, SeenData] = {}
    for key, task in {run.task.model_dump_json(): run.task for run in runs}.items():
        try:
            by_task[key] = data.of(task, download=download)
        except UnavailableError:
            if download:
                raise
    names = {run.task.name for run in runs}
    others = (record for record in earlier if record.task not in names)
    records: list[PlannedData] = []
    for seen in by_task.values():  # tasks that differ in their loss alone have the same data
        records += [] if seen.record in records else [seen.record]
    return Survey((*records, *others), by_task)


def models_here(runs: Sequence[Run], places: Places, cells: Sequence[PlannedCell]) -> None:
    """Make sure that the weights and the tokenizer of each model are on this machine; what is missing is downloaded.

    Every run would look for them: a model that cannot be found is one error then, not one failed run per technique.

    Args:
        runs: those that will be made.
        places: the folders of models.
        cells: which of them apply.

    Raises:
        UserError: a model's files are not here, and the hub does not have them or cannot be reached.
    """
    applicable = {(cell.model, cell.task, cell.label) for cell in cells if cell.applicable}
    needed: dict[tuple[str, bool], Run] = {}
    for run in runs:
        if run.entry.reads_model and (run.model, run.task.name, run.label) in applicable:
            weights = run.entry.reads_weights or isinstance(run.entry, Baseline)
            needed.setdefault((run.model, weights), run)
    for (_, weights), run in needed.items():
        checkpoints.gather(checkpoints.find(run.source, run.revision, places.models.get(run.model)), weights)
