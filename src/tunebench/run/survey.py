"""A study's data and models, looked at before anything runs: a mistake in them is one error, not many."""

from collections.abc import Sequence

from tunebench.evaluation.power import smallest_difference
from tunebench.records import PlannedCell, PlannedData
from tunebench.study import Places, Run
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example, PromptExample
from tunebench.tasks.load import SPLITS, UnavailableError, load
from tunebench.techniques.base import Baseline
from tunebench.zoo import checkpoints

_LETTERS = 4  # of a token, about


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
        tokens={split: _tokens(task, data.splits[split]) for split in SPLITS},
        labels=len(data.labels),
        notes=data.notes,
        smallest_difference=smallest_difference(rows["test"]) if task.form == "class" else None,
    )
