"""Questions about a context, whose answers are parts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.tasks.examples import Example, filled
from tunebench.tasks.json_rows import loads
from tunebench.tasks.reading import full_texts
from tunebench.tasks.tables import FileTable, table_of
from tunebench.tasks.written import AFTER_PROMPT, FROM_SOURCE, AfterPrompt, FromSource

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class QuestionExample(Example):
    """A question about a context, and the answers that people gave; `starts`: where each begins in it, or -1."""

    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]


class QuestionAnsweringTask(FromSource, AfterPrompt):
    """A part of the context answers each question.

    Attributes:
        stride: tokens that two windows over a long context share.

    Examples:
        {"question": "who won", "context": "maria lopez won the cup", "answers": ["maria lopez"]}
        {"question": "what is red", "context": "the apple is red", "answers": ["the apple", "apple is red"]}
    """

    roles: ClassVar[Mapping[str, str | None]] = {"question": "question", "context": "context", "answers": "answers"}
    gold = "answers"
    form = "text"
    poses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "question_answering": ("stride",),
        "text_to_text": FROM_SOURCE,
        "causal_lm": AFTER_PROMPT,
    }
    default_metrics = ("token_f1", "exact_match")
    second = "context"
    natural_group = "context"
    asks = "question: {question}\ncontext: {context}"

    objective: str = "question_answering"
    stride: int = Field(default=128, ge=1)

    def assembled(self, table: FileTable, place: str) -> FileTable:
        """SQuAD's own file, articles with paragraphs with questions, as one row per question."""
        articles = table.columns.get("paragraphs")
        if articles is None or self.column("question") in table.columns:
            return table
        try:
            rows = [
                {"question": one["question"], "context": paragraph["context"], "answers": one["answers"]}
                for paragraphs in articles
                for paragraph in paragraphs
                for one in paragraph["qas"]
            ]
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{place}: an article lacks {error}. SQuAD's form is paragraphs with context and qas, each with "
                "question and answers."
            ) from None
        note = f"{Path(place).name}: {plural(len(rows), 'question')} in {plural(len(articles), 'article')}."
        return replace(table_of(rows), notes=(*table.notes, note))

    def examples(self, frame: pd.DataFrame, classes: Mapping[str, int], place: str) -> list[QuestionExample]:
        """Questions with contexts and answers."""
        questions, contexts = (full_texts(frame, self.column(role), role, place) for role in ("question", "context"))
        rows = zip(frame.index, questions, contexts, frame[self.column("answers")], strict=True)
        return [
            QuestionExample(question, context, *_answers(given, context, f"{place}, row {row}"))
            for row, question, context, given in rows
        ]

    def asked(self, text: str, second: str) -> QuestionExample:
        """A question about a context."""
        return QuestionExample(text, second, ("",), (0,))

    def input_of(self, example: QuestionExample) -> str:
        """Question and context, a line each."""
        return f"{example.question}\n{example.context}"

    def shown(self, example: QuestionExample) -> str:
        """Question and context in one line."""
        return f"{example.question} / {example.context}"

    def prompt_of(self, example: QuestionExample) -> str:
        """The prompt around question and context."""
        return filled(self.prompt, question=example.question, context=example.context)

    def target_of(self, example: QuestionExample, labels: Sequence[str]) -> str:
        """The first answer."""
        return example.answers[0]

    def references(self, examples: Sequence[QuestionExample], labels: Sequence[str]) -> list[list[str]]:
        """All answers that people gave."""
        return [list(example.answers) for example in examples]

    def answered(self, text: str, answer: str, details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """The answer, and its score or what was written."""
        return {**(details or {}), "text": text, "answer": answer}


_FORM = 'Give a text, a list of texts, {"text": [...], "answer_start": [...]}, or [{"text": ..., "answer_start": ...}].'


def _answers(value: Any, context: str, place: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Answers and where they begin: a text, a list of texts, or SQuAD's forms, one object or a list of objects."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            value = loads(value)
        except ValueError as error:
            raise UserError(f"{place}: the answers {value[:60]!r} are not valid JSON ({error}). {_FORM}") from error
    texts, starts = _listed(value, place)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError(f"{place}: it has no answer, or an empty one. {_FORM}")
    if not starts:
        return tuple(texts), tuple(context.find(text) for text in texts)
    if len(starts) != len(texts):
        both = f"{plural(len(texts), 'answer')} but {plural(len(starts), 'position')}"
        raise UserError(f"{place}: {both}. Give one answer_start per answer.")
    for text, start in zip(texts, starts, strict=True):
        if context[start : start + len(text)] != text:
            raise UserError(f"{place}: the context lacks the answer {text[:60]!r} at {start}. Correct the row.")
    return tuple(texts), tuple(starts)


def _listed(value: Any, place: str) -> tuple[list[Any], list[int]]:
    """Texts, and where they begin; no places where none are given."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        pairs = [item if isinstance(item, dict) else {"text": item} for item in value]
    elif isinstance(value, dict):
        texts = value.get("text")
        starts = value.get("answer_start")
        several = isinstance(texts, list)
        texts, starts = (texts, starts or []) if several else ([texts], [] if starts is None else [starts])
        return texts, [_start(start, place) for start in starts]
    else:
        return value if isinstance(value, list) else [value], []
    places = [item["answer_start"] for item in pairs if item.get("answer_start") is not None]
    return [item.get("text") for item in pairs], [_start(start, place) for start in places]


def _start(value: Any, place: str) -> int:
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal():
        raise UserError(f"{place}: the answer_start {str(value)[:60]!r} is not a whole number. {_FORM}")
    return int(value)
