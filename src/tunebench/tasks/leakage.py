"""What is wrong with the data before any model sees it: test inputs in train, contradictions, labels in the inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunebench.tasks.examples import Example, PromptExample, QuestionExample, TextExample
from tunebench.tasks.load import Data

_WORD = re.compile(r"\w+")
_TELLING = 0.5  # of the test inputs hold the name of their own label


@dataclass(frozen=True)
class Overlap:
    """What was found.

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
            found.append((
                "contradictory",
                f"{self.contradictory} training inputs stand there again with another answer: no method learns both.",
            ))  # fmt: skip
        if self.telling is not None:
            found.append((
                "label_in_input", f"{self.telling:.0%} of the test inputs hold the name of their own label as a word."
            ))  # fmt: skip
        return found


def overlap(data: Data) -> Overlap:
    """Look through a task's examples."""
    train, test = data.splits["train"], data.splits["test"]
    inputs = [_input(example) for example in train]
    seen, loosely = set(inputs), {_loose(text) for text in inputs}
    exact = tuple(n for n, example in enumerate(test) if _input(example) in seen)
    near = tuple(
        n for n, example in enumerate(test) if _input(example) not in seen and _loose(_input(example)) in loosely
    )
    return Overlap(exact, near, _contradictory(train, inputs), _telling(test, data.labels))


def _input(example: Example) -> str:
    """All that a model reads."""
    if isinstance(example, TextExample):
        return f"{example.text}\n{example.pair or ''}"
    if isinstance(example, PromptExample):
        return example.prompt
    if isinstance(example, QuestionExample):
        return f"{example.question}\n{example.context}"
    return " ".join(example.tokens)


def _loose(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold())) or text


def _contradictory(train: Sequence[Example], inputs: Sequence[str]) -> int:
    """Of classes and tags; scores, texts and answers may well differ."""
    answers: dict[str, set[object]] = {}
    for example, text in zip(train, inputs, strict=True):
        if not isinstance(example, PromptExample | QuestionExample):
            answers.setdefault(text, set()).add(example.label)
    scores = any(isinstance(example, TextExample) and isinstance(example.label, float) for example in train)
    return 0 if scores else sum(len(answers.get(text, ())) > 1 for text in inputs)


def _telling(test: Sequence[Example], labels: Sequence[str]) -> float | None:
    """Where most inputs hold their own label's name, and few hold another one's."""
    names = [" ".join(_WORD.findall(label.casefold())) for label in labels]
    rows = [example for example in test if isinstance(example, TextExample) and isinstance(example.label, int)]
    if not rows or not names or not all(names):
        return None
    own = other = 0
    for example in rows:
        text = f" {_loose(_input(example))} "
        held = [f" {name} " in text for name in names]
        own += held[int(example.label)]
        other += any(flag for n, flag in enumerate(held) if n != example.label)
    return own / len(rows) if own >= _TELLING * len(rows) and own > 5 * other else None
