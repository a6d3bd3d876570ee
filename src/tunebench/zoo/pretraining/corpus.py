"""Texts to token ids on disk, streamed: neither the texts nor their tokens are ever all in memory."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from tunebench._util.errors import UserError
from tunebench._util.files import read_json, write_json
from tunebench.zoo.pretraining.objectives.base import Passage

_DOCUMENTS_AT_ONCE = 256
_ID = np.uint16
MOST_IDS = 65_536


@dataclass(frozen=True)
class Corpus:
    """Documents as one run of token ids.

    Attributes:
        tokens: ids, memory-mapped; where the family has a separator it ends each document.
        ends: how many tokens the first 1, 2, ... documents have.
        fingerprint: SHA-256 of texts and tokenizer.
    """

    tokens: np.ndarray
    ends: np.ndarray
    fingerprint: str

    def text(self, start: int, size: int) -> Passage:
        """`size` tokens from `start`."""
        first, last = np.searchsorted(self.ends, [start, start + size], side="right")
        ends = self.ends[first:last] - start
        return Passage(self.tokens[start : start + size].astype(np.int64), ends)

    def windows(self, size: int) -> int:
        """How many texts of `size` tokens lie in it side by side.

        Raises:
            UserError: not one does.
        """
        count = len(self.tokens) // size
        if count == 0:
            raise UserError(f"the texts have {len(self.tokens)} tokens, fewer than one sequence ({size}). Give more.")
        return count


def documents(path: Path, column: str) -> Iterator[str]:
    """The documents of a parquet or jsonl file (a row each) or a text file (parted by blank lines), one by one.

    Raises:
        UserError: no such file, another kind of file, no such column, or a row without text.
    """
    if not path.is_file():
        raise UserError(f"texts: there is no file {path}. Check the recipe's path and --data-root.")
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _parquet(path, column)
    elif kind == ".jsonl":
        yield from _json_lines(path, column)
    elif kind == ".txt":
        yield from _paragraphs(path)
    else:
        raise UserError(f"texts: {path} is not in a supported format. Use one of .parquet, .jsonl, .txt.")


def _parquet(path: Path, column: str) -> Iterator[str]:
    from pyarrow import ArrowException, parquet

    try:
        file = parquet.ParquetFile(path)
    except ArrowException as error:
        raise UserError(f"texts: {path} cannot be read as parquet ({error}).") from error
    if column not in file.schema_arrow.names:
        raise UserError(f"texts: {path} has no column '{column}', only {', '.join(file.schema_arrow.names)}.")
    row = 0
    for batch in file.iter_batches(_DOCUMENTS_AT_ONCE, columns=[column]):
        for text in batch.column(0).to_pylist():
            yield _checked(text, path, row)
            row += 1


def _json_lines(path: Path, column: str) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"texts: {path}, line {number + 1}: this is not valid JSON ({error}).") from error
            yield _checked(row.get(column) if isinstance(row, dict) else None, path, number)


def _paragraphs(path: Path) -> Iterator[str]:
    lines: list[str] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                lines.append(line.strip())
            elif lines:
                yield " ".join(lines)
                lines = []
    if lines:
        yield " ".join(lines)


def _checked(text: object, path: Path, row: int) -> str:
    if not isinstance(text, str):
        raise UserError(f"texts: {path}, row {row}: {text!r} is not a text. Remove the row or name another column.")
    return text


def files_digest(paths: Sequence[Path]) -> str:
    """SHA-256 over the files' contents, in order."""
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise UserError(f"texts: there is no file {path}. Check the recipe's path and --data-root.")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def tokenised(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, separator: int | None, key: str, target: Path
) -> Corpus:
    """The texts' tokens in the folder `target`; made once, and again where `key` is another."""
    kept = read_json(target / "corpus.json")
    if kept is None or kept.get("key") != key:
        _write(texts, tokenizer, separator, target)
        write_json(target / "corpus.json", {"key": key})
    ends = np.load(target / "ends.npy")
    if len(ends) == 0 or ends[-1] == 0:
        raise UserError("texts: the files contain no text.")
    return Corpus(np.memmap(target / "tokens.bin", dtype=_ID, mode="r"), ends, key)


def _write(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, separator: int | None, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    (target / "corpus.json").unlink(missing_ok=True)
    tail = [] if separator is None else [separator]
    lengths = []
    with (target / "tokens.bin").open("wb") as file:
        for some in _in_batches(texts):
            # verbose=False: no word about texts longer than the model, they are cut into windows
            for ids in tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"]:  # type: ignore[union-attr]
                np.asarray([*ids, *tail], dtype=_ID).tofile(file)
                lengths.append(len(ids) + len(tail))
    np.save(target / "ends.npy", np.cumsum(np.asarray(lengths, dtype=np.int64)))


def _in_batches(texts: Iterable[str]) -> Iterator[list[str]]:
    some: list[str] = []
    for text in texts:
        some.append(text)
        if len(some) == _DOCUMENTS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some
