"""Tasks whose answers a model may generate: the prompt, and answers as words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tunebench._util.errors import did_you_mean
from tunebench._util.words import plural
from tunebench.evaluation.unreadable import NO_LABEL, NO_NUMBER
from tunebench.tasks.base import Task

BLANK = "<extra_id_0>"
"""The first gap of span corruption (Raffel et al. 2020, section 3.1.4)."""

STEP, HIGHEST = 0.2, 5
"""The scores that are ranked: fifths from 0, on STS-B's scale."""

_WRITTEN = ("prompt", "samples", "max_new_tokens", "beams")
FROM_SOURCE = (*_WRITTEN, "target_tokens")
AFTER_PROMPT = (*_WRITTEN, "cue", "loss_on")


class Written(Task):
    """A task that a model may answer by generating text.

    Attributes:
        prompt: what the model reads; a line whose field is empty is left out. `<extra_id_0>` in it is the gap of T5's
            pretraining, and the answer, which fills the gap, begins with the same sentinel.
        samples: so many answers to test prompts are kept in the result.
        max_new_tokens: an answer that has not ended by then is cut.
        beams: width of the beam search that writes the answers.
    """

    asks: ClassVar[str]
    """The prompt unless the task has its own; its fields are roles."""
    closed: ClassVar[bool] = False
    """Whether a generated answer must consist of known labels, or be a number."""

    prompt: str = ""
    samples: int = Field(default=16, ge=1)
    max_new_tokens: int = Field(default=64, ge=1)
    beams: int = Field(default=1, ge=1)

    @classmethod
    def _filled(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {**super()._filled(values), "prompt": values.get("prompt") or cls.asks}

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        try:
            fields = [name for _, name, _, _ in Formatter().parse(self.prompt) if name is not None]
        except ValueError as error:
            raise ValueError(f"prompt: {error}. Double a brace that is part of the text: {{{{ or }}}}.") from None
        roles = [role for role in self.roles if role != self.gold]
        for field in fields:
            if field not in roles:
                raise ValueError(f"prompt: there is no field '{field}'. {did_you_mean(field, roles)}")
        for role in roles:
            if self.roles[role] is not None and role not in fields:
                raise ValueError(f"prompt: the field {{{role}}} is missing.")
        return self

    @abstractmethod
    def prompt_of(self, example: Any) -> str:
        """The text that the model reads."""

    def target_of(self, example: Any, labels: Sequence[str]) -> str:
        """The text that it should generate."""
        (reference,) = self.references([example], labels)
        return self.in_words(reference)

    def in_words(self, answer: Any) -> str:
        """An answer in task space as text."""
        return str(answer)

    def answer_of(self, text: str, labels: Sequence[str]) -> Any:
        """A generated text as an answer in task space."""
        return text

    def ranked(self, labels: Sequence[str]) -> tuple[str, ...]:
        """All possible answers as texts, if they are few enough to compare their likelihoods; else empty.

        Raises:
            UserError: the verbalizer does not fit the labels.
        """
        return ()

    def unreadable(self, answers: Sequence[Any], details: Sequence[Any], labels: Sequence[str]) -> str:
        """A sentence on generated test answers that are not valid labels or numbers; empty without any.

        `details` holds the generated `text` of each answer.
        """
        count = sum(answer in (NO_LABEL, NO_NUMBER) for answer in answers)
        verb, these = ("is", "It counts") if count == 1 else ("are", "They count")
        text = (
            f"{count} of {plural(len(answers), 'test answer')} {verb} not a valid label or number. {these} as wrong "
            f"(in regression as {NO_NUMBER})."
        )
        return text if count else ""

    def check_ranked(self, examples: Sequence[Any]) -> None:
        """Raises UserError if a reference is not among the answers that are ranked."""


class FromSource(Written):
    """A task that an encoder-decoder may answer.

    Attributes:
        target_tokens: longer targets are cut in training, and counted.
    """

    target_tokens: int = Field(default=64, ge=2)


class AfterPrompt(Written):
    """A task that one model may answer that reads a prompt and continues it.

    Attributes:
        cue: what stands between prompt and response.
        loss_on: whether the response's tokens train the model, or the prompt's as well.
    """

    cue: str = ""
    loss_on: Literal["response", "all"] = "response"


def score_as_text(score: float) -> str:
    """A score rounded to fifths, as STS-B was posed to T5 (Raffel et al. 2020, section 2.4)."""
    return f"{round(score / STEP) * STEP:.1f}"


def verbal(labels: Sequence[str], verbalizer: Mapping[str, str]) -> tuple[str, ...]:
    """The words that stand for the labels (Schick & Schütze 2021, section 3.1), a label's own name where none is given.

    Raises:
        ValueError: a label does not exist, or one word stands for two labels.
    """
    for label in verbalizer:
        if label not in labels:
            raise ValueError(f"verbalizer: there is no label '{label}'. {did_you_mean(label, labels)}")
    words = tuple(verbalizer.get(label, label) for label in labels)
    for word in words:
        if [other.casefold() for other in words].count(word.casefold()) > 1:
            raise ValueError(f"verbalizer: '{word}' stands for two labels. Give each a word of its own.")
    return words


def label_of(text: str, labels: Sequence[str]) -> str:
    """The label that a generated answer names exactly, up to surrounding blanks and case; else NO_LABEL."""
    by_name = {label.casefold(): label for label in labels}
    return by_name.get(text.strip().casefold(), NO_LABEL)


def score_of(text: str) -> float:
    """A generated answer as a number, or NO_NUMBER."""
    try:
        value = float(text)
    except ValueError:
        return NO_NUMBER
    return value if abs(value) < float("inf") else NO_NUMBER
