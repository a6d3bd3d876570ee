"""What there is to say of a task's data before anything is trained on them."""

from dataclasses import dataclass

from tunebench._util.words import plural
from tunebench.advise.facts import Facts, facts
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
        facts: what was counted.
        findings: what is wrong, or weakens a conclusion, the worst first.
    """

    facts: Facts
    findings: tuple[str, ...]

    @property
    def summary(self) -> str:
        """In one line."""
        known = self.facts
        rows = ", ".join(f"{split} {count:,}" for split, count in known.rows.items())
        labels = f"; {plural(known.labels, 'label')}" if known.labels else ""
        share = f", the commonest {known.largest:.0%}" if known.largest is not None else ""
        return f"{rows} rows{labels}{share}; {known.letters:.0f} letters per text"


def look(task: Task, data: Data) -> Look:
    """Look at a task's data."""
    texts = [task.input_of(example) for example in data.splits["train"]]
    known = facts(task, data)
    findings = [text for _, text in overlap(task, data).sentences(len(data.splits["test"]))]
    findings += _small(task, data) + _unbalanced(data, known) + _repeated(texts) + _long(task, texts)
    return Look(known, (*findings, *data.notes))


def _small(task: Task, data: Data) -> list[str]:
    findings = []
    train, validation = len(data.splits["train"]), len(data.splits["validation"])
    if train < FEW_ROWS:
        findings.append(f"{plural(train, 'training row')}: differences between techniques are mostly chance. Add rows.")
    if task.form == "class":
        difference = smallest_difference(validation)
        findings.append(
            f"With {plural(validation, 'validation row')}, a difference below {100 * difference:.1f} points of "
            "accuracy will mostly not be significant."
        )
    return findings


def _unbalanced(data: Data, known: Facts) -> list[str]:
    if known.largest is None:
        return []
    rare = [name for label, name in enumerate(data.labels) if known.counts.get(label, 0) < FEW_OF_A_LABEL]
    findings = []
    if rare:
        named = ", ".join(rare[:5]) + (", ..." if len(rare) > 5 else "")
        findings.append(f"{plural(len(rare), 'label')} with fewer than {FEW_OF_A_LABEL} training rows: {named}.")
    if known.largest > MOST:
        findings.append(f"{known.largest:.0%} of the training rows have one label.")
    return findings


def _repeated(texts: list[str]) -> list[str]:
    repeated = len(texts) - len(set(texts))
    return [f"{plural(repeated, 'training row')} repeat the input of another one."] if repeated else []


def _long(task: Task, texts: list[str]) -> list[str]:
    cut = sum(len(text) > _LETTERS * task.max_tokens for text in texts)
    if not cut:
        return []
    share = cut / len(texts)
    return [f"About {share:.0%} of the texts are longer than {task.max_tokens} tokens and are cut (max_tokens)."]
