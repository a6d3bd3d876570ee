"""CoNLL files as they are: one word per line with its columns, sentences separated by blank lines.

Columns are numbered from 1. Without `columns` the first is the word and the last its tag (CoNLL 2000, 2002, 2003).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.tasks.tables import FileTable

DOCUMENT = "-DOCSTART-"


def read_conll(text: str, place: str) -> FileTable:
    """Sentences: lists of cells in the columns `tokens` and `tags` (the first and the last), `1`, `2`, ...

    A line that begins with # is a comment, unless it has the width of a word and its last cell is a tag: one that
    another word has, or that has a mark as `B-` does. Lines of CoNLL 2003's document marks are left out, and counted.

    Raises:
        UserError: a line has another number of cells than the first one.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    tabs = any("\t" in line for line in lines)
    rows = [(number, line.split("\t") if tabs else line.split()) for number, line in enumerate(lines, 1)]
    words = [(number, cells if any(cell.strip() for cell in cells) else []) for number, cells in rows]
    plain = [cells for _, cells in words if cells and cells[0] != DOCUMENT and not cells[0].startswith("#")]
    if not plain:
        return FileTable({})
    first, tags = plain[0], {cells[-1] for cells in plain}
    sentences, comments, documents = [[]], 0, 0
    for number, cells in words:
        if not cells:
            sentences.append([])
        elif cells[0].startswith("#") and not (len(cells) == len(first) and _is_tag(cells[-1], tags)):
            comments += 1
        elif cells[0] == DOCUMENT:
            documents += 1
        elif len(cells) != len(first):
            raise UserError(
                f"{place}, line {number}: it has {plural(len(cells), 'cell')}, the first word {len(first)}. Give each "
                "word the same columns, and separate sentences by a blank line."
            )
        else:
            sentences[-1].append(cells)
    return _table([sentence for sentence in sentences if sentence], len(first), place, (comments, documents))


def _is_tag(cell: str, tags: Collection[str]) -> bool:
    return cell in tags or re.fullmatch(r"O|[BIESLUM]-.+", cell) is not None


def _table(
    sentences: Sequence[Sequence[Sequence[str]]], width: int, place: str, left_out: tuple[int, int]
) -> FileTable:
    columns = {str(at + 1): [[cells[at] for cells in sentence] for sentence in sentences] for at in range(width)}
    words = sum(len(sentence) for sentence in sentences)
    notes = [f"{Path(place).name}: {plural(words, 'word')} in {plural(len(sentences), 'sentence')}."]
    for count, what in zip(left_out, ("comment line", f"{DOCUMENT} line"), strict=True):
        if count:
            notes.append(f"{Path(place).name}: {plural(count, what)} left out.")
    return FileTable({**columns, "tokens": columns["1"], "tags": columns[str(width)]}, notes=tuple(notes))
