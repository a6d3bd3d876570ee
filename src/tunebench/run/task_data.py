"""What the data of a study's tasks are: each task's data are read once, whoever asks."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunebench._util.errors import UserError
from tunebench.evaluation.power import smallest_difference
from tunebench.records import PlannedData
from tunebench.study import Places
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example, PromptExample
from tunebench.tasks.load import SPLITS, load
from tunebench.tasks.origin import UnavailableError

_LETTERS = 4  # of a token, about


@dataclass(frozen=True)
class SeenData:
    """What is kept of a task's data.

    Attributes:
        record: for the plan.
        labels: as a model learns them.
        fingerprint: of the examples.
    """

    record: PlannedData
    labels: tuple[str, ...]
    fingerprint: str


class TaskData:
    """Reads tasks' data where they lie and keeps what they are, or why they cannot be read."""

    def __init__(self, places: Places):
        self._places = places
        self._seen: dict[str, SeenData | UserError] = {}

    def of(self, task: Task, *, download: bool = False) -> SeenData:
        """What a task's data are; with `download` also where they are not on this machine yet.

        Raises:
            UserError: they are unavailable (`UnavailableError`), or cannot be read as their task describes them.
        """
        key = task.model_dump_json()
        if key not in self._seen or (download and isinstance(self._seen[key], UnavailableError)):
            try:
                self._seen[key] = self._read(self._places.located(task), download)
            except UserError as error:
                self._seen[key] = error
        seen = self._seen[key]
        if isinstance(seen, UserError):
            raise seen
        return seen

    def _read(self, task: Task, download: bool) -> SeenData:
        data = load(task, self._places.data_root, download)
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
        return SeenData(record, data.labels, data.fingerprint())


def _tokens(task: Task, examples: Sequence[Example]) -> int:
    """About how many tokens a model reads and writes."""
    most = _LETTERS * task.max_tokens
    texts = [task.input_of(example) for example in examples]
    texts += [example.response for example in examples if isinstance(example, PromptExample)]
    return sum(min(len(text), most) for text in texts) // _LETTERS
