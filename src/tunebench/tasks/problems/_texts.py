"""What problems about one text, or a pair of texts, share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.tasks.examples import TextExample, filled
from tunebench.tasks.reading import texts
from tunebench.tasks.written import FromSource

if TYPE_CHECKING:
    import pandas as pd


class TextTask(FromSource):
    """One answer to a text, or to a pair of texts."""

    roles: ClassVar[Mapping[str, str | None]] = {"text": "text", "pair": None, "label": "label"}
    second = "pair"
    closed = True

    def _paired(self, frame: pd.DataFrame, answers: Sequence[Any], place: str) -> list[TextExample]:
        rows = zip(
            texts(frame, self.column("text"), place), texts(frame, self.column("pair"), place), answers, strict=True
        )
        return [TextExample(text, answer, pair) for text, pair, answer in rows]

    def asked(self, text: str, second: str) -> TextExample:
        """The text, or both."""
        return TextExample(text, 0, second if self.column("pair") else None)

    def input_of(self, example: TextExample) -> str:
        """Both texts, a line each."""
        return f"{example.text}\n{example.pair or ''}"

    def shown(self, example: TextExample) -> str:
        """Both texts in one line."""
        return example.text if example.pair is None else f"{example.text} / {example.pair}"

    def prompt_of(self, example: TextExample) -> str:
        """The prompt around the texts."""
        return filled(self.prompt, text=example.text, pair=example.pair or "")
