"""Examples in task space: what a person would write down, before any tokenizer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextExample:
    """One text, or a pair of texts, with a class index (classification) or a score (regression)."""

    text: str
    label: int | float
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class TokensExample:
    """One sentence as words, with one tag index a word."""

    tokens: tuple[str, ...]
    label: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PromptExample:
    """A prompt as the model reads it, and the response that should follow."""

    prompt: str
    response: str


Example = TextExample | TokensExample | PromptExample
