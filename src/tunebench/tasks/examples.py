"""Examples in task space: what a person would write down, before any tokenizer.

An example of only one problem type is defined in that type's file.
"""

from dataclasses import dataclass
from string import Formatter

SHOWN = 400
"""Characters of an input that are stored with its prediction: enough for a reader, less than a film review."""


class Example:
    """What all examples derive from."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TextExample(Example):
    """One text, or a pair of texts, with a class index, several class indices, or a score."""

    text: str
    label: int | float | tuple[int, ...]
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class PromptExample(Example):
    """A prompt as the model reads it, and the response that should follow; `source` is the text inside the prompt."""

    prompt: str
    response: str
    source: str = ""


def shortened(words: str) -> str:
    """An input, cut after `SHOWN` characters with a visible ellipsis."""
    return words if len(words) <= SHOWN else words[: SHOWN - 1] + "…"


def filled(template: str, **fields: str) -> str:
    """A template with its fields, without the lines whose field is empty."""
    lines = template.split("\n")
    kept = [line for line in lines if all(fields[name] for _, name, _, _ in Formatter().parse(line) if name)]
    return "\n".join(kept).format(**fields)
