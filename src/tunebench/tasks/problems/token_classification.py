"""One tag for each word of a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tunebench._util.errors import UserError
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example
from tunebench.tasks.reading import as_list, class_names, label_index, lookup

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class TokensExample(Example):
    """One sentence as words, with one tag index per word."""

    tokens: tuple[str, ...]
    label: tuple[int, ...]


class TokenClassificationTask(Task):
    """A tag from a list belongs to each word of a sentence.

    Attributes:
        label_subwords: whether each sub-word of a word carries its label in the loss, or the first only.

    Examples:
        {"tokens": ["maria", "visited", "london"], "tags": ["B-PER", "O", "B-LOC"]}
        {"tokens": ["new", "york", "won"], "tags": ["B-ORG", "I-ORG", "O"]}
    """

    roles: ClassVar[Mapping[str, str | None]] = {"tokens": "tokens", "label": "tags"}
    typed = ("label",)
    form = "tags"
    poses: ClassVar[Mapping[str, tuple[str, ...]]] = {"token_classification": ("label_subwords",)}
    default_metrics = ("entity_f1", "entity_precision", "entity_recall", "tag_accuracy")

    objective: str = "token_classification"
    label_subwords: Literal["all", "first"] = "all"

    def labels_in(self, train: pd.DataFrame, place: str) -> tuple[str, ...]:
        """The distinct tags."""
        return class_names((tag for row in train[self.column("label")] for tag in as_list(row, place)), place)

    def examples(self, frame: pd.DataFrame, labels: tuple[str, ...], place: str) -> list[TokensExample]:
        """Sentences with tag indices."""
        tokens, tags = frame[self.column("tokens")], frame[self.column("label")]
        index = label_index(bool(self.labels), labels, [tag for row in tags for tag in as_list(row, place)])
        return [
            _sentence(words, row, index, f"{place}, row {number}")
            for number, words, row in zip(frame.index, tokens, tags, strict=True)
        ]

    def asked(self, text: str, second: str) -> TokensExample:
        """The text split at blanks."""
        return TokensExample(tuple(text.split()), (0,) * len(text.split()))

    def input_of(self, example: TokensExample) -> str:
        """The words."""
        return " ".join(example.tokens)

    def references(self, examples: Sequence[TokensExample], labels: Sequence[str]) -> list[list[str]]:
        """Tag names of each sentence."""
        return [[labels[tag] for tag in example.label] for example in examples]

    def answered(self, text: str, answer: list[str], details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """Words with their tags, and each tag's probability."""
        return {"tokens": text.split(), "tags": answer, "scores": details}


def _sentence(words: Any, row: Any, index: dict[Any, int], place: str) -> TokensExample:
    tokens, tags = as_list(words, place), as_list(row, place)
    if len(tokens) != len(tags):
        raise UserError(f"{place}: {len(tokens)} tokens but {len(tags)} tags. Give one tag for each token.")
    if not tokens:
        raise UserError(f"{place}: it has no token. Remove the row.")
    return TokensExample(tuple(map(str, tokens)), tuple(lookup(index, tag, place) for tag in tags))
