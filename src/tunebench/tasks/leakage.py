"""What is wrong with the data before any model sees it: test inputs in train, contradictions, labels in the inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example
from tunebench.tasks.load import Data

_WORD = re.compile(r"\w+")
_TELLING = 0.5  # of the test inputs hold the name of their own label


@dataclass(frozen=True)
class Overlap:
    """Examples that make a test split easier, or a training split harder, than it should be.

    Attributes:
        exact: test examples whose input stands in train letter by letter.
        near: those whose input stands there with the same words in the same order, but for capitals and punctuation.
        contradictory: training examples whose input stands in train with another answer, too.
        telling: share of the test inputs that hold their own label's name as a word, where that gives labels away.
    """

    exact: tuple[int, ...]
    near: tuple[int, ...]
    contradictory: int
    telling: float | None

    @property
    def all(self) -> set[int]:
        """Test examples that are no test."""
        return {*self.exact, *self.near}

    def sentences(self, tests: int) -> list[tuple[str, str]]:
        """Code and message of each finding."""
        found = []
        if self.exact or self.near:
            text = (
                f"{len(self.exact)} of {tests} test inputs stand in the training split letter by letter, "
                f"{len(self.near)} more but for capitals and punctuation."
            )
            found.append(("test_in_train", text))
        if self.contradictory:
            text = f"{self.contradictory} training inputs stand there again with another answer: no method learns both."
            found.append(("contradictory", text))
        if self.telling is not None:
            text = f"{self.telling:.0%} of the test inputs hold the name of their own label as a word."
            found.append(("label_in_input", text))
        return found


def overlap(task: Task, data: Data) -> Overlap:
    """Look through a task's examples."""
    train, test = ([task.input_of(example) for example in data.splits[split]] for split in ("train", "test"))
    seen, loosely = set(train), {_loose(text) for text in train}
    exact = tuple(n for n, text in enumerate(test) if text in seen)
    near = tuple(n for n, text in enumerate(test) if text not in seen and _loose(text) in loosely)
    return Overlap(exact, near, _contradictory(task, data, train), _telling(task, data.splits["test"], data.labels))


def _loose(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold())) or text


def _contradictory(task: Task, data: Data, inputs: Sequence[str]) -> int:
    """Of classes and tags; scores, texts and answers may well differ."""
    if not task.has_classes:
        return 0
    answers: dict[str, set[str]] = {}
    for text, answer in zip(inputs, task.references(data.splits["train"], data.labels), strict=True):
        answers.setdefault(text, set()).add(repr(answer))
    return sum(len(answers[text]) > 1 for text in inputs)


def _telling(task: Task, test: Sequence[Example], labels: Sequence[str]) -> float | None:
    """Where most inputs hold the name of a label of their own, and few hold another one's."""
    names = [" ".join(_WORD.findall(label.casefold())) for label in labels]
    rows = [(example, classes) for example in test if (classes := task.classes_of(example))]
    if not rows or not names or not all(names):
        return None
    own = other = 0
    for example, classes in rows:
        text = f" {_loose(task.input_of(example))} "
        held = [f" {name} " in text for name in names]
        own += any(held[label] for label in classes)
        other += any(flag for label, flag in enumerate(held) if label not in classes)
    return own / len(rows) if own >= _TELLING * len(rows) and own > 5 * other else None
