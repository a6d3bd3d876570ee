"""What is counted of a task's data: the look at them reports it, and evidence is compared by it."""

from collections import Counter
from dataclasses import dataclass

from tunebench.tasks.base import Task
from tunebench.tasks.load import Data


@dataclass(frozen=True)
class Facts:
    """A task's data in numbers.

    Attributes:
        rows: examples of each split.
        counts: training examples of each label, by its index; empty where an answer is not one label.
        labels: how many; 0 where an answer is no label.
        largest: share of the commonest label among training examples; None where an answer is not one label.
        letters: mean per training text.
    """

    rows: dict[str, int]
    counts: dict[int, int]
    labels: int
    largest: float | None
    letters: float


def facts(task: Task, data: Data) -> Facts:
    """Count a task's data."""
    train = data.splits["train"]
    counts = Counter(label for one in train if isinstance(label := getattr(one, "label", None), int))
    return Facts(
        rows={split: len(examples) for split, examples in data.splits.items()},
        counts=dict(counts),
        labels=len(data.labels),
        largest=max(counts.values()) / len(train) if counts else None,
        letters=sum(len(task.input_of(example)) for example in train) / len(train),
    )
