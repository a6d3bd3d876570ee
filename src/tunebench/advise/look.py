"""What there is to say of a task's data before anything is trained on them."""

from collections import Counter
from dataclasses import dataclass

from tunebench._util.words import plural
from tunebench.evaluation.power import smallest_difference
from tunebench.tasks.base import Task
from tunebench.tasks.leakage import overlap
from tunebench.tasks.load import Data

FEW_ROWS, FEW_OF_A_LABEL, MOST = 200, 8, 0.8
_LETTERS = 4  # of a token, about


@dataclass(frozen=True)
class Look:
    """A task's data at a glance.

    Attributes:
        rows: examples of each split.
        labels: how many; 0 where an answer is no label.
        largest: share of the commonest label among training examples; None where an answer is not one label.
        letters: mean per training text.
        findings: what is wrong, or weakens a conclusion, the worst first.
    """

    rows: dict[str, int]
    labels: int
    largest: float | None
    letters: float
    findings: tuple[str, ...]

    @property
    def summary(self) -> str:
        """In one line."""
        rows = ", ".join(f"{split} {count:,}" for split, count in self.rows.items())
        labels = f"; {plural(self.labels, 'label')}" if self.labels else ""
        share = f", the commonest {self.largest:.0%}" if self.largest is not None else ""
        return f"{rows} rows{labels}{share}; {self.letters:.0f} letters per text"


def look(task: Task, data: Data) -> Look:
    """Look at a task's data."""
    train = data.splits["train"]
    texts = [task.input_of(example) for example in train]
    counts = Counter(label for one in train if isinstance(label := getattr(one, "label", None), int))
    findings = [text for _, text in overlap(task, data).sentences(len(data.splits["test"]))]
    findings += _small(task, data) + _unbalanced(data, counts) + _repeated(texts) + _long(task, texts)
    return Look(
        rows={split: len(examples) for split, examples in data.splits.items()},
        labels=len(data.labels),
        largest=max(counts.values()) / len(train) if counts else None,
        letters=sum(map(len, texts)) / len(texts),
        findings=(*findings, *data.notes),
    )


def _small(task: Task, data: Data) -> list[str]:
    found = []
    train, validation = len(data.splits["train"]), len(data.splits["validation"])
    if train < FEW_ROWS:
        found.append(f"{plural(train, 'training row')}: differences between techniques are mostly chance. Add rows.")
    if task.form == "class":
        difference = smallest_difference(validation)
        found.append(
            f"With {plural(validation, 'validation row')}, a difference below {100 * difference:.1f} points of "
            "accuracy will mostly not be significant."
        )
    return found


def _unbalanced(data: Data, counts: Counter[int]) -> list[str]:
    if not counts:
        return []
    rare = [data.labels[label] for label in range(len(data.labels)) if counts[label] < FEW_OF_A_LABEL]
    found = []
    if rare:
        named = ", ".join(rare[:5]) + (", ..." if len(rare) > 5 else "")
        found.append(f"{plural(len(rare), 'label')} with fewer than {FEW_OF_A_LABEL} training rows: {named}.")
    if max(counts.values()) > MOST * sum(counts.values()):
        found.append(f"{max(counts.values()) / sum(counts.values()):.0%} of the training rows have one label.")
    return found


def _repeated(texts: list[str]) -> list[str]:
    repeated = len(texts) - len(set(texts))
    return [f"{plural(repeated, 'training row')} repeat the input of another one."] if repeated else []


def _long(task: Task, texts: list[str]) -> list[str]:
    cut = sum(len(text) > _LETTERS * task.max_tokens for text in texts)
    if not cut:
        return []
    share = cut / len(texts)
    return [f"About {share:.0%} of the texts are longer than {task.max_tokens} tokens and are cut (max_tokens)."]
