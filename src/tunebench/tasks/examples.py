"""Examples in task space: what a person would write down, before any tokenizer."""

from dataclasses import dataclass
from string import Formatter


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
    """A prompt as the model reads it, and the response that should follow; `source` is the text inside the prompt."""

    prompt: str
    response: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class QuestionExample:
    """A question about a context, and the answers that people gave; `starts`: where each begins in it, or -1."""

    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]


Example = TextExample | TokensExample | PromptExample | QuestionExample


SHOWN = 400
"""Characters of an input that are kept beside its prediction: enough for a reader, small beside a review of a film."""


def shown(example: Example) -> str:
    """What the model was asked, as a person reads it, cut after `SHOWN` characters with a visible ellipsis."""
    match example:
        case TextExample():
            words = example.text if example.pair is None else f"{example.text} / {example.pair}"
        case TokensExample():
            words = " ".join(example.tokens)
        case PromptExample():
            words = example.source or example.prompt
        case QuestionExample():
            words = f"{example.question} / {example.context}"
    return words if len(words) <= SHOWN else words[: SHOWN - 1] + "…"


def filled(template: str, **fields: str) -> str:
    """A template with its fields, without the lines whose field is empty."""
    lines = template.split("\n")
    kept = [line for line in lines if all(fields[name] for _, name, _, _ in Formatter().parse(line) if name)]
    return "\n".join(kept).format(**fields)
