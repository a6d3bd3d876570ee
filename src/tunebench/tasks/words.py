"""An example as words in, words out: how every task is posed to models that answer by writing."""

from collections.abc import Mapping, Sequence

from tunebench._util.errors import did_you_mean
from tunebench.evaluation.unreadable import NO_LABEL, NO_NUMBER
from tunebench.tasks.examples import Example, PromptExample, QuestionExample, TextExample, filled

BLANK = "<extra_id_0>"
"""The first gap of span corruption (Raffel et al. 2020, section 3.1.4)."""

STEP, HIGHEST = 0.2, 5
"""The scores that are ranked: fifths from 0, on STS-B's scale."""


def prompt_of(example: Example, template: str) -> str:
    """What the model reads."""
    if isinstance(example, PromptExample):
        return example.prompt
    if isinstance(example, QuestionExample):
        return filled(template, question=example.question, context=example.context)
    assert isinstance(example, TextExample), "tags are not posed in words"
    return filled(template, text=example.text, pair=example.pair or "")


def target_of(example: Example, labels: Sequence[str]) -> str:
    """What it should write: the response, the first answer, the label's name, or the score as a string."""
    if isinstance(example, PromptExample):
        return example.response
    if isinstance(example, QuestionExample):
        return example.answers[0]
    assert isinstance(example, TextExample), "tags are not posed in words"
    return labels[int(example.label)] if labels else score_as_text(float(example.label))


def score_as_text(score: float) -> str:
    """A score rounded to fifths, as STS-B was posed to T5 (Raffel et al. 2020, section 2.4)."""
    return f"{round(score / STEP) * STEP:.1f}"


def verbal(labels: Sequence[str], verbalizer: Mapping[str, str]) -> tuple[str, ...]:
    """The words that stand for the labels (Schick & Schütze 2021, section 3.1), a label's own name where none is given.

    Raises:
        ValueError: a label that there is not, or one word for two labels.
    """
    for label in verbalizer:
        if label not in labels:
            raise ValueError(f"verbalizer: there is no label '{label}'. {did_you_mean(label, labels)}")
    found = tuple(verbalizer.get(label, label) for label in labels)
    for word in found:
        if [other.casefold() for other in found].count(word.casefold()) > 1:
            raise ValueError(f"verbalizer: '{word}' stands for two labels. Give each a word of its own.")
    return found


def label_of(text: str, labels: Sequence[str]) -> str:
    """The label that a written answer names, letter by letter but for blanks around it and capitals."""
    by_name = {label.casefold(): label for label in labels}
    return by_name.get(text.strip().casefold(), NO_LABEL)


def score_of(text: str) -> float:
    """The number that a written answer is; NO_NUMBER if it is none."""
    try:
        value = float(text)
    except ValueError:
        return NO_NUMBER
    return value if abs(value) < float("inf") else NO_NUMBER
