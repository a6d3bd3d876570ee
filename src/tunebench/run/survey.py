"""A study's data and models, looked at before anything runs: a mistake in them is one error, not many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunebench.evaluation.power import smallest_difference
from tunebench.records import PlannedCell, PlannedData
from tunebench.study import Places, Run
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example, PromptExample
from tunebench.tasks.load import SPLITS, UnavailableError, load
from tunebench.techniques.base import Baseline
from tunebench.zoo import checkpoints

_LETTERS = 4  # of a token, about


@dataclass(frozen=True)
class Survey:
    """What the data of a study's tasks are.

    Attributes:
        records: for the plan, in the order of the tasks.
        by_task: a task as JSON -> its record, and its labels as a model learns them.
    """

    records: tuple[PlannedData, ...] = ()
    by_task: Mapping[str, tuple[PlannedData, tuple[str, ...]]] = field(default_factory=dict)

    def data(self, task: Task) -> PlannedData | None:
        """The record of a task; None if its data are not here."""
        known = self.by_task.get(task.model_dump_json())
        return known and known[0]

    def labels(self, task: Task) -> tuple[str, ...] | None:
        """The labels of a task; None if its data are not here."""
        known = self.by_task.get(task.model_dump_json())
        return known and known[1]


def survey(runs: Sequence[Run], places: Places, earlier: Sequence[PlannedData] = ()) -> Survey:
    """Read the data of each task. Nothing is downloaded: a task whose data are not here yet is left out.

    Args:
        runs: those whose data are read.
        places: where they lie.
        earlier: what an earlier plan says of tasks that these runs do not have.

    Raises:
        UserError: data cannot be read as their task describes them.
    """
    tasks = {run.task.model_dump_json(): run.task for run in runs}
    read = {key: _of(places.located(task), places) for key, task in tasks.items()}
    by_task = {key: known for key, known in read.items() if known is not None}
    names = {task.name for task in tasks.values()}
    others = (data for data in earlier if data.task not in names)
    return Survey((*(data for data, _ in by_task.values()), *others), by_task)


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


def _tokens(task: Task, examples: Sequence[Example]) -> int:
    """About how many tokens a model reads and writes."""
    most = _LETTERS * task.max_tokens
    texts = [task.input_of(example) for example in examples]
    texts += [example.response for example in examples if isinstance(example, PromptExample)]
    return sum(min(len(text), most) for text in texts) // _LETTERS


def _of(task: Task, places: Places) -> tuple[PlannedData, tuple[str, ...]] | None:
    try:
        data = load(task, places.data_root, download=False)
    except UnavailableError:
        return None
    rows = {split: len(data.splits[split]) for split in SPLITS}
    record = PlannedData(
        task=task.name,
        source=data.source,
        rows=dict(rows),
        files=dict(data.files),
        tokens={split: _tokens(task, data.splits[split]) for split in SPLITS},
        labels=len(data.labels),
        notes=data.notes,
        smallest_difference=smallest_difference(rows["test"]) if task.form == "class" else None,
    )
    return record, data.labels
