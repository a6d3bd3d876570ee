"""Words in, words out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.tasks.examples import PromptExample, filled
from tunebench.tasks.reading import full_texts, texts
from tunebench.tasks.written import AFTER_PROMPT, FROM_SOURCE, AfterPrompt, FromSource

if TYPE_CHECKING:
    import pandas as pd


class TextToTextTask(FromSource, AfterPrompt):
    """A target text belongs to each source text: a summary, a translation, an answer.

    Examples:
        {"source": "the man is reading a book outside", "target": "a man is reading"}
        {"source": "the dog is eating an apple", "target": "the dog eats"}
    """

    roles: ClassVar[Mapping[str, str | None]] = {"source": "source", "target": "target"}
    gold = "target"
    form = "text"
    poses: ClassVar[Mapping[str, tuple[str, ...]]] = {"text_to_text": FROM_SOURCE, "causal_lm": AFTER_PROMPT}
    default_metrics = ("rouge_1", "rouge_2", "rouge_l", "rouge_lsum", "token_f1", "exact_match")
    asks = "{source}"

    objective: str = "text_to_text"

    def examples(self, frame: pd.DataFrame, classes: Mapping[str, int], place: str) -> list[PromptExample]:
        """Filled prompts with targets."""
        targets = texts(frame, self.column("target"), place)
        sources = full_texts(frame, self.column("source"), "source", place)
        return [
            PromptExample(filled(self.prompt, source=source), target, source)
            for source, target in zip(sources, targets, strict=True)
        ]

    def asked(self, text: str, second: str) -> PromptExample:
        """The prompt around a source."""
        return PromptExample(filled(self.prompt, source=text), "", text)

    def input_of(self, example: PromptExample) -> str:
        """The prompt."""
        return example.prompt

    def shown(self, example: PromptExample) -> str:
        """The source without the prompt."""
        return example.source or example.prompt

    def prompt_of(self, example: PromptExample) -> str:
        """The prompt, filled already."""
        return example.prompt

    def references(self, examples: Sequence[PromptExample], labels: Sequence[str]) -> list[str]:
        """Targets."""
        return [example.response for example in examples]

    def answered(self, text: str, answer: str, details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """The text."""
        return {**(details or {}), "text": text, "answer": answer}
