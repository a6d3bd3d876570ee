"""Data problems that need no model to see: test inputs in train, contradictory labels, labels in the inputs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunebench.evaluation.words import words
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example
from tunebench.tasks.load import Data

_REVEALING = 0.5  # of the test inputs contain the name of their own label


@dataclass(frozen=True)
class Overlap:
    """Examples that make a test split easier, or a training split harder, than it should be.

    Attributes:
        exact: test examples whose input also occurs in train.
        near: test examples whose input differs from a training input only in case and punctuation.
        contradictory: number of training examples whose input also occurs with another label.
        revealing: share of the test inputs that contain the name of their own label, if that reveals the label.
    """

    exact: tuple[int, ...]
    near: tuple[int, ...]
    contradictory: int
    revealing: float | None

    @property
    def all(self) -> set[int]:
        """Test examples that occur in train, exactly or nearly."""
        return {*self.exact, *self.near}

    def sentences(self, tests: int) -> list[tuple[str, str]]:
        """Code and message of each finding."""
        findings = []
        if self.exact or self.near:
            text = (
                f"{len(self.exact)} of {tests} test inputs also occur in the training split, and {len(self.near)} more "
                "differ from a training input only in case and punctuation."
            )
            findings.append(("test_in_train", text))
        if self.contradictory:
            text = f"{self.contradictory} training inputs occur again with another label: no method can learn both."
            findings.append(("contradictory", text))
        if self.revealing is not None:
            text = f"{self.revealing:.0%} of the test inputs contain the name of their own label."
            findings.append(("label_in_input", text))
        return findings


def overlap(task: Task, data: Data) -> Overlap:
    """Look for overlap, contradictions and revealed labels in a task's examples."""
    train, test = ([task.input_of(example) for example in data.splits[split]] for split in ("train", "test"))
    seen, loosely, loose = set(train), {_loose(text) for text in train}, [_loose(text) for text in test]
    exact = tuple(n for n, text in enumerate(test) if text in seen)
    near = tuple(n for n, text in enumerate(test) if text not in seen and loose[n] in loosely)
    revealing = _revealing(task, zip(data.splits["test"], loose, strict=True), data.labels)
    return Overlap(exact, near, _contradictory(task, data, train), revealing)


def _loose(text: str) -> str:
    return " ".join(words(text.casefold())) or text


def _contradictory(task: Task, data: Data, inputs: Sequence[str]) -> int:
    """Counted for classes and tags only: scores, texts and answers may differ for good reason."""
    if not task.has_classes:
        return 0
    answers: dict[str, set[str]] = {}
    for text, answer in zip(inputs, task.references(data.splits["train"], data.labels), strict=True):
        answers.setdefault(text, set()).add(repr(answer))
    return sum(len(answers[text]) > 1 for text in inputs)


def _revealing(task: Task, test: Iterable[tuple[Example, str]], labels: Sequence[str]) -> float | None:
    """A share if most inputs contain the name of their own label and few that of another one; else None."""
    names = [" ".join(words(label.casefold())) for label in labels]
    rows = [(f" {text} ", classes) for example, text in test if (classes := task.classes_of(example))]
    if not rows or not names or not all(names):
        return None
    own = other = 0
    for text, classes in rows:
        contained = [f" {name} " in text for name in names]
        own += any(contained[label] for label in classes)
        other += any(flag for label, flag in enumerate(contained) if label not in classes)
    return own / len(rows) if own >= _REVEALING * len(rows) and own > 5 * other else None
