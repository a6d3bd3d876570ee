"""A response that follows a prompt, judged by how likely the model finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.tasks.examples import PromptExample, filled
from tunebench.tasks.reading import full_texts, texts
from tunebench.tasks.written import AFTER_PROMPT, AfterPrompt

if TYPE_CHECKING:
    import pandas as pd


class CausalLmTask(AfterPrompt):
    """A response follows an instruction, which may have an input.

    Examples:
        {"instruction": "name a colour", "response": "red"}
        {"instruction": "name a fruit", "response": "an apple"}
    """

    roles: ClassVar[Mapping[str, str | None]] = {"instruction": "instruction", "input": None, "response": "response"}
    gold = "response"
    form = "likelihoods"
    poses: ClassVar[Mapping[str, tuple[str, ...]]] = {"causal_lm": AFTER_PROMPT}
    default_metrics = ("perplexity", "perplexity_all")
    second = "input"
    second_is_optional = True
    asks = "Instruction: {instruction}\nInput: {input}\nResponse:"

    objective: str = "causal_lm"

    def examples(self, frame: pd.DataFrame, classes: Mapping[str, int], place: str) -> list[PromptExample]:
        """Filled prompts with responses."""
        column = self.column("input")
        inputs = texts(frame.fillna({column: ""}), column, place) if column else [""] * len(frame)  # it may be empty
        instructions = full_texts(frame, self.column("instruction"), "instruction", place)
        responses = texts(frame, self.column("response"), place)
        return [
            PromptExample(filled(self.prompt, instruction=instruction, input=given), response)
            for instruction, given, response in zip(instructions, inputs, responses, strict=True)
        ]

    def asked(self, text: str, second: str) -> PromptExample:
        """The prompt around an instruction and its input."""
        return PromptExample(filled(self.prompt, instruction=text, input=second), "")

    def input_of(self, example: PromptExample) -> str:
        """The prompt."""
        return example.prompt

    def prompt_of(self, example: PromptExample) -> str:
        """The prompt, filled already."""
        return example.prompt

    def references(self, examples: Sequence[PromptExample], labels: Sequence[str]) -> list[str]:
        """Responses."""
        return [example.response for example in examples]

    def answered(self, text: str, answer: str, details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """The response, and whether it ended by itself."""
        return {"text": text, "response": answer, "ended": details}
