"""The new texts that `predict` answers, from options, a file or standard input: none is lost, and none is split."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunebench._util.errors import UserError, did_you_mean
from tunebench.tasks.files import READERS, content_of, decoded, ending_of, parsed
from tunebench.tasks.tables import FileTable
from tunebench.tasks.templates import fields_of, filled_in

if TYPE_CHECKING:
    from tunebench.tasks.base import Task

InputFormat = Literal["text", "csv", "tsv", "jsonl"]
STDIN = Path("-")


@dataclass(frozen=True)
class NewTexts:
    """Texts to answer.

    Attributes:
        texts: one per answer.
        seconds: the second texts of pairs, or None.
        raw: whether words are as people write them, not yet separated as in a data file.
        notes: what the reader of the file did.
    """

    texts: list[str]
    seconds: list[str] | None
    raw: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextInput:
    """A file or standard input, read once; `ending` is `.text` for one text per line."""

    content: bytes
    ending: str
    place: str

    @classmethod
    def of(cls, file: Path, given: InputFormat | None) -> "TextInput":
        """The content of a file; its ending names its format unless one is given.

        Raises:
            UserError: it cannot be read, or it is a text file that is not UTF-8 or has an empty line.
        """
        if file == STDIN:
            content, place = sys.stdin.buffer.read(), f"standard input.{given or 'text'}"
            source = cls(content, f".{given or 'text'}", place)
        else:
            ending = ending_of(file) if ending_of(file) in READERS else ".text"
            try:
                content = content_of(file)
            except UserError as error:
                raise UserError(f"--file {error}") from None
            source = cls(content, f".{given}" if given else ending, str(file))
        if source.ending == ".text":
            source._lines()  # a mistake is found before a model is loaded
        return source

    def texts_for(self, task: "Task") -> NewTexts:
        """The texts, from the columns that the task's roles name, or from lines.

        Raises:
            UserError: a column or a text is missing.
        """
        if self.ending == ".text":
            return self._from_lines(task)
        first, second = task.columns_of(next(iter(task.roles)))[0], task.second_column
        columns = [column for column in (first, second) if column is not None]
        wanted = [name for column in columns for name in fields_of(column) or [column]]
        table = filled_in(parsed(self.content, self.ending, self.place, wanted, {}), columns, f"--file {self.place}")
        table = task.assembled(table, self.place)
        if not len(table):
            raise UserError(f"--file {self.place}: it contains no text.")
        texts = self._column(table, first, task, optional=False)
        has_seconds = second in table.columns or (second is not None and not task.second_is_optional)
        seconds = self._column(table, str(second), task, task.second_is_optional) if has_seconds else None
        return NewTexts(texts, seconds, raw=False, notes=table.notes)

    def _column(self, table: FileTable, column: str, task: "Task", optional: bool) -> list[str]:
        if column not in table.columns:
            known = did_you_mean(column, table.columns)
            raise UserError(f"--file {self.place}: there is no column '{column}', which the run's task reads. {known}")
        rows = enumerate(table.columns[column], 1)
        return [
            "" if optional and cell is None else task.text_of(cell, f"--file {self.place}, row {at}: '{column}'")
            for at, cell in rows
        ]

    def _lines(self) -> list[str]:
        """One text per line; only a line feed, or a carriage return before it, ends a line."""
        text, _ = decoded(self.content, f"--file {self.place}")
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        while lines and not lines[-1].strip():
            lines.pop()
        if not lines:
            raise UserError(f"--file {self.place}: it contains no text.")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                raise UserError(f"--file {self.place}, line {number}: it is empty. Remove it: each line is answered.")
        return lines

    def _from_lines(self, task: "Task") -> NewTexts:
        lines = self._lines()
        if task.second_column is None:
            return NewTexts(lines, None)
        parts = [line.split("\t") for line in lines]
        for number, cells in enumerate(parts, 1):
            if len(cells) != 2 and not (len(cells) == 1 and task.second_is_optional):
                raise UserError(
                    f"--file {self.place}, line {number}: {task.name} takes two texts (text and {task.second}). "
                    "Separate them by one tab."
                )
        return NewTexts([cells[0] for cells in parts], [cells[1] if len(cells) > 1 else "" for cells in parts])
