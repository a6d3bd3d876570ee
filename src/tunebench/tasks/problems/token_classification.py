"""One tag for each word of a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.tasks.base import Converted, Split, Task
from tunebench.tasks.conll import read_conll
from tunebench.tasks.examples import Example
from tunebench.tasks.punctuation import Punctuation, has_attached
from tunebench.tasks.reading import as_list, classes_as_written, lookup
from tunebench.tasks.tables import FileTable
from tunebench.tasks.tagging import PLAIN, labels_in_iob2, scheme_of, to_iob2
from tunebench.tasks.weighing import WeighingTask

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class TokensExample(Example):
    """One sentence as words, with one tag index per word."""

    tokens: tuple[str, ...]
    label: tuple[int, ...]


class TokenClassificationTask(WeighingTask):
    """A tag from a list belongs to each word of a sentence.

    Sentences are rows of lists, CoNLL files, or rows of one word each: then blank lines separate sentences, or the
    column that plays `sentence` names the sentence of each word. Entity tags of any scheme are brought to IOB2.

    Attributes:
        label_subwords: whether each sub-word of a word carries its label in the loss, or the first only.

    Examples:
        {"tokens": ["maria", "visited", "london"], "tags": ["B-PER", "O", "B-LOC"]}
        {"tokens": ["new", "york", "won"], "tags": ["B-ORG", "I-ORG", "O"]}
    """

    roles: ClassVar[Mapping[str, str | None]] = {"tokens": "tokens", "label": "tags"}
    optional = ("sentence", *Task.optional)
    formats = dict.fromkeys((".conll", ".bio", ".iob", ".iob2", ".txt"), read_conll)
    form = "tags"
    poses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "token_classification": ("label_subwords", *WeighingTask.weighing)
    }
    default_metrics = ("entity_f1", "entity_precision", "entity_recall", "tag_accuracy")

    objective: str = "token_classification"
    label_subwords: Literal["all", "first"] = "all"

    def assembled(self, table: FileTable, place: str) -> FileTable:
        """Sentences of a csv or tsv file with one word per row: blank lines, or a column `sentence`, separate them."""
        by = self.column("sentence")
        if by in table.columns:
            blocks = _numbered(table.columns[by])
        elif table.blocks and self._one_word_per_row(table):
            blocks = table.blocks
        else:
            return table
        if by is None and len(set(blocks)) == 1 and len(table) > 1:
            raise UserError(
                f"{place}: each row holds one word, and nothing says where a sentence ends. Separate sentences by "
                "blank lines, name their column with columns: {sentence: NAME}, or give one sentence per row."
            )
        numbers = {block: number for number, block in enumerate(dict.fromkeys(blocks))}
        columns: dict[str, list[Any]] = {}
        for name, cells in table.columns.items():
            columns[name] = [[] for _ in numbers]
            for block, cell in zip(blocks, cells, strict=True):
                columns[name][numbers[block]].append(cell)
        for name in {self.column("group"), self.split.by, self.split.column}:
            if name in columns:  # one value per sentence
                columns[name] = [cells[0] for cells in columns[name]]
        note = f"{Path(place).name}: {plural(len(table), 'word')}, one per row, in {plural(len(numbers), 'sentence')}."
        return FileTable(columns, notes=(*table.notes, note))

    def _one_word_per_row(self, table: FileTable) -> bool:
        names = [name for role in ("tokens", "label") if (name := self.column(role)) in table.columns]
        cells = [cell for name in names for cell in table.columns[name]]
        return all(isinstance(cell, str) and len(cell.split()) == 1 and cell[0] != "[" for cell in cells)

    def converted(self, frames: Mapping[Split, pd.DataFrame], place: str) -> Converted:
        """Tags in IOB2, whatever their scheme.

        Raises:
            UserError: the tags are numbers without names, or a word has none.
        """
        rows = {split: self.labels_of(frame, f"{place}, {split} split") for split, frame in frames.items()}
        tags = {tag for sentences in rows.values() for sentence in sentences for tag in sentence}
        if "" in tags:
            raise UserError(f"{place}: some words have an empty tag. Write O for words outside of entities.")
        if self.labels:
            names = {tag: self.labels[index] for tag, index in classes_as_written(self.labels, tags).items()}
            rows = {split: [[names.get(tag, tag) for tag in row] for row in part] for split, part in rows.items()}
        elif tags and all(tag.isdecimal() for tag in tags) and set(self.metrics) != {"tag_accuracy"}:
            raise UserError(
                f"{place}: the tags are numbers ({', '.join(sorted(tags)[:5])}), which say nothing of entities. Name "
                "them in their order with labels: [O, B-PER, ...], or take metrics: [tag_accuracy]."
            )
        scheme = scheme_of((row for part in rows.values() for row in part), self.labels)
        if scheme.is_iob2:
            note = "Tags have no mark such as B- or I-: a run of words with one tag counts as one entity."
            return Converted(frames, self.labels, (note,) if scheme.name == PLAIN else ())
        column = self.columns_of("label")[0]
        in_iob2: dict[Split, pd.DataFrame] = {
            split: frame.assign(**{column: [to_iob2(row, scheme) for row in rows[split]]})
            for split, frame in frames.items()
        }
        note = f"The tags' scheme is {scheme}; they are converted to IOB2."
        return Converted(in_iob2, labels_in_iob2(self.labels, scheme), (note,))

    def labels_of(self, frame: pd.DataFrame, place: str) -> list[Sequence[str]]:
        """The tags of the words."""
        rows = zip(frame.index, frame[self.column("label")], strict=True)
        return [_words(row, f"{place}, row {number}", "tag") for number, row in rows]

    def examples(self, frame: pd.DataFrame, classes: Mapping[str, int], place: str) -> list[TokensExample]:
        """Sentences with tag indices."""
        rows = zip(frame.index, frame[self.column("tokens")], self.labels_of(frame, place), strict=True)
        return [_sentence(words, tags, classes, f"{place}, row {number}") for number, words, tags in rows]

    def asked(self, text: str, second: str) -> TokensExample:
        """The text split at blanks."""
        return TokensExample(tuple(text.split()), (0,) * len(text.split()))

    def text_of(self, cell: Any, place: str) -> str:
        """The words of a list, or of a text in which they are separated by blanks."""
        words = _words(cell, place, "token")
        if not words:
            raise UserError(f"{place} has no token. Remove the row.")
        if broken := [word for word in words if len(word.split()) != 1]:
            raise UserError(f"{place}: the token {broken[0]!r} is empty or holds a blank. Write one word.")
        return " ".join(words)

    def as_written(self, texts: Sequence[str], seen: Callable[[], Sequence[str]]) -> tuple[list[str], str]:
        """Words separated from their punctuation where it stands alone in the data."""
        punctuation = Punctuation.of([text.split() for text in seen()])
        attached = next((text for text in texts if has_attached(text.split())), None)
        if punctuation.alone is None and attached is not None:
            return list(texts), (
                f"The data hold no punctuation, so words are separated at blanks only, also in {attached[:60]!r}. "
                "Put blanks around punctuation if it is not part of a word."
            )
        return [" ".join(punctuation.words(text)) for text in texts], ""

    def input_of(self, example: TokensExample) -> str:
        """The words."""
        return " ".join(example.tokens)

    def references(self, examples: Sequence[TokensExample], labels: Sequence[str]) -> list[list[str]]:
        """Tag names of each sentence."""
        return [[labels[tag] for tag in example.label] for example in examples]

    def answered(self, text: str, answer: list[str], details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """Words with their tags, and each tag's probability."""
        return {"tokens": text.split(), "tags": answer, "scores": details}


def _numbered(cells: Sequence[Any]) -> tuple[int, ...]:
    """A number for each row's sentence: it changes where the cell does; an empty cell continues the sentence."""
    numbers, last = [], None
    for cell in cells:
        if (cell is not None and cell != last) or not numbers:
            numbers.append(numbers[-1] + 1 if numbers else 0)
            last = cell
        else:
            numbers.append(numbers[-1])
    return tuple(numbers)


def _words(value: Any, place: str, what: str) -> list[str]:
    words = as_list(value, place)
    for word in words:
        if not isinstance(word, str):
            raise UserError(f"{place}: the {what} {str(word)[:60]} is not a text. Write a list of texts.")
    return words


def _sentence(cell: Any, tags: Sequence[str], classes: Mapping[str, int], place: str) -> TokensExample:
    tokens = _words(cell, place, "token")
    if len(tokens) != len(tags):
        raise UserError(
            f"{place}: {plural(len(tokens), 'token')} but {plural(len(tags), 'tag')}. Give one tag for each token."
        )
    if not tokens:
        raise UserError(f"{place}: it has no token. Remove the row.")
    return TokensExample(tuple(tokens), tuple(lookup(classes, tag, place) for tag in tags))
