"""From a task to its examples: the hub, a data root, or the user's own files.

Missing splits are carved by the stated rule.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tunebench._util.errors import UserError, did_you_mean
from tunebench.tasks.base import CARVED, CARVING_SEED, EMBEDDED, Split, Task
from tunebench.tasks.examples import Example, PromptExample, QuestionExample, TextExample, TokensExample, filled
from tunebench.zoo import embedded

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_ALIASES = {"validation": ("validation", "valid", "val", "dev")}
# pandas would read the texts "None" and "NA" as missing values, and the JSON text "007" as the number 7.
_AS_WRITTEN: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
_JSON_AS_WRITTEN: dict[str, Any] = {"dtype": False, "precise_float": True}
_READERS = {
    ".csv": lambda path, texts: pd.read_csv(path, dtype=texts, **_AS_WRITTEN),
    ".tsv": lambda path, texts: pd.read_csv(path, sep="\t", dtype=texts, **_AS_WRITTEN),
    ".jsonl": lambda path, texts: pd.read_json(path, lines=True, **_JSON_AS_WRITTEN),
    ".json": lambda path, texts: pd.read_json(path, **_JSON_AS_WRITTEN),
    ".parquet": lambda path, texts: pd.read_parquet(path),
}


@dataclass(frozen=True)
class Data:
    """A task's examples.

    Attributes:
        splits: train, validation and test, none empty.
        labels: class or tag names in the order of their indices; empty for regression.
        source: where the rows came from, with the hub's resolved commit.
        notes: what was carved, limited or replaced.
    """

    splits: dict[Split, list[Example]]
    labels: tuple[str, ...]
    source: str
    notes: tuple[str, ...]

    def fingerprint(self) -> str:
        """SHA-256 over all examples and labels, as used."""
        digest = hashlib.sha256(repr(self.labels).encode())
        for split in SPLITS:
            for example in self.splits[split]:
                digest.update(repr(example).encode())
            digest.update(split.encode())
        return digest.hexdigest()


def load(task: Task, data_root: Path | str | None = None, download: bool = True) -> Data:
    """The task's examples; without `download` only from what this machine has.

    Raises:
        UserError: a file, column or split is missing, empty or malformed, or a label is outside the list.
    """
    if task.data == EMBEDDED:
        frames, source = _embedded(task)
    elif task.data is not None:
        frames, source = _own_files(task)
    elif data_root is not None:
        frames, source = _data_root(task, Path(data_root))
    else:
        frames, source = _hub(task, download)
    for split, frame in frames.items():
        if frame.empty:
            raise UserError(f"task '{task.name}': the {split} split of {source} is empty. Give at least one row.")
        _require_columns(task, frame, f"{source}, {split} split")
    frames, notes = _without_hidden_labels(task, frames)
    frames, carved = _carve(task, frames)
    frames, limited = _limit(task, frames)
    labels = _labels(task, frames["train"])
    splits: dict[Split, list[Example]] = {
        split: _examples(task, frames[split], labels, f"{source}, {split} split") for split in SPLITS
    }
    return Data(splits, labels, source, tuple(notes + carved + limited))


# Where the rows come from ---------------------------------------------------------------------------------------------


def _embedded(task: Task) -> tuple[dict[str, pd.DataFrame], str]:
    if task.name not in embedded.DATA:
        raise UserError(
            f"task '{task.name}': no data set is shipped for it. {did_you_mean(task.name, embedded.DATA)} "
            "Name the task after one, or give its own data."
        )
    return {split: pd.DataFrame(rows) for split, rows in embedded.rows(task.name).items()}, f"embedded {task.name}"


def _own_files(task: Task) -> tuple[dict[str, pd.DataFrame], str]:
    if isinstance(task.data, dict):
        if "train" not in task.data:
            raise UserError(f"task '{task.name}': data names no train file. Give data: {{train: FILE, ...}}.")
        return {split: _read(Path(path), task) for split, path in task.data.items()}, ", ".join(task.data.values())
    path = Path(str(task.data)).expanduser()
    if not path.is_dir():
        return {"train": _read(path, task)}, str(path)
    files = {split: file for split in SPLITS for file in _split_files(path, split)}
    if "train" not in files:
        raise UserError(f"task '{task.name}': the folder {path} holds no train file (train.csv, train.parquet, ...).")
    return {split: _read(file, task) for split, file in files.items()}, str(path)


def _split_files(folder: Path, split: str) -> list[Path]:
    names = _ALIASES.get(split, (split,))
    return [folder / f"{name}{end}" for name in names for end in _READERS if (folder / f"{name}{end}").is_file()][:1]


def _data_root(task: Task, root: Path) -> tuple[dict[str, pd.DataFrame], str]:
    folder = root / (task.folder or task.name)
    if not folder.is_dir():
        raise UserError(
            f"task '{task.name}': the data root has no folder {folder}. Put {task.folder}/train.parquet there, "
            "or leave --data-root out to load the data from the hub."
        )
    files = {split: folder / f"{split}.parquet" for split in SPLITS if (folder / f"{split}.parquet").is_file()}
    if "train" not in files:
        raise UserError(f"task '{task.name}': {folder} holds no train.parquet.")
    return {split: _read(path, task) for split, path in files.items()}, f"{root.name}/{folder.name}"


def _hub(task: Task, download: bool) -> tuple[dict[str, pd.DataFrame], str]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    assert task.hub is not None, "a task without own data names its hub data set"
    patterns = [task.hub.files.format(split=split) for split in SPLITS]
    try:
        found = snapshot_download(
            task.hub.id, repo_type="dataset", revision=task.hub.revision, allow_patterns=patterns,
            local_files_only=not download,
        )  # fmt: skip
        folder = Path(found)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UserError(
            f"task '{task.name}': the data set {task.hub.id} is not on this machine and the hub cannot be reached. "
            f"Give --data-root DIR with DIR/{task.folder}/<split>.parquet, or run once with network access."
        ) from error
    frames = {}
    for split, pattern in zip(SPLITS, patterns, strict=True):
        parts = sorted(folder.glob(pattern))
        if parts:
            frames[split] = pd.concat([_read(part, task) for part in parts], ignore_index=True)
    if "train" not in frames:
        raise UserError(f"task '{task.name}': {task.hub.id} has no files {patterns[0]} at {task.hub.revision}.")
    return frames, f"{task.hub.id}@{folder.name}"  # the cache names a snapshot's folder by its commit


def _read(path: Path, task: Task) -> pd.DataFrame:
    path = path.expanduser()
    if not path.is_file():
        raise UserError(f"task '{task.name}': there is no file {path}.")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"task '{task.name}': {path} is none of {', '.join(_READERS)}. Convert it to one of these.")
    texts = {column: str for role, column in task.columns.items() if column and role != "label"}  # "007" is no number
    try:
        return reader(path, texts)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parsers raise kinds of ValueError and OSError
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"task '{task.name}': {path} cannot be read as {path.suffix[1:]} ({first}).") from error


def _require_columns(task: Task, frame: pd.DataFrame, place: str) -> None:
    for role, column in task.columns.items():
        if column is not None and column not in frame.columns:
            raise UserError(
                f"task '{task.name}': {place} has no column '{column}' (for {role}). "
                f"{did_you_mean(column, map(str, frame.columns))} Name it with columns: {{{role}: NAME}}."
            )


# Splits ---------------------------------------------------------------------------------------------------------------


def _without_hidden_labels(task: Task, frames: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    if task.hidden_label is None:
        return frames, []
    hidden = [
        split for split, frame in frames.items() if bool((frame[task.columns["label"]] == task.hidden_label).all())
    ]
    notes = [f"The {split} split's labels are withheld ({task.hidden_label}); it is not used." for split in hidden]
    return {split: frame for split, frame in frames.items() if split not in hidden}, notes


def _carve(task: Task, frames: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    frames, notes = dict(frames), []
    if "test" not in frames and "validation" in frames:
        frames["test"] = frames.pop("validation")
        notes.append("There is no test split: the validation split is the test split.")
    order = np.random.default_rng(CARVING_SEED).permutation(len(frames["train"]))
    train, taken, original = frames["train"], 0, len(frames["train"])
    for split in ("validation", "test"):
        if split in frames:
            continue
        size = max(1, round(original * CARVED))
        frames[split] = train.iloc[np.sort(order[taken : taken + size])]
        taken += size
        notes.append(f"The {split} split is {size} rows carved from train (10 %, shuffle seeded with {CARVING_SEED}).")
    frames["train"] = train.iloc[np.sort(order[taken:])] if taken else train
    if frames["train"].empty:
        raise UserError(f"task '{task.name}': {original} rows are too few to carve a validation and a test split from.")
    return frames, notes


def _limit(task: Task, frames: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    frames, notes = dict(frames), []
    for split, limit in task.rows.items():
        frame = frames[split]
        if limit < len(frame):
            kept = np.random.default_rng(CARVING_SEED).permutation(len(frame))[:limit]
            frames[split] = frame.iloc[np.sort(kept)]
            notes.append(f"{limit} of {len(frame)} {split} rows, drawn by a shuffle seeded with {CARVING_SEED}.")
    return frames, notes


# Rows to examples -----------------------------------------------------------------------------------------------------


def _labels(task: Task, train: pd.DataFrame) -> tuple[str, ...]:
    if not task.has_classes:
        return ()
    if task.labels:
        return task.labels
    values = train[task.columns["label"]]
    if task.objective == "token_classification":
        found = {_name(tag, task) for row in values for tag in _as_list(row, f"task '{task.name}'")}
    else:
        found = {_name(value, task) for value in values.dropna().tolist()}
    # Integers by value, names by alphabet: an order that does not depend on the order of the rows.
    numbers = all(isinstance(value, int | np.integer) for value in found)
    labels = tuple(str(value) for value in sorted(found, key=None if numbers else str))
    if len(labels) < 2:
        raise UserError(
            f"task '{task.name}': the training split has one class only ({', '.join(labels) or 'none'}). "
            "Give examples of at least two classes."
        )
    return labels


def _name(value: Any, task: Task) -> Any:
    if isinstance(value, list | dict | np.ndarray):
        raise UserError(
            f"task '{task.name}': the label {value!r} is neither a word nor a number. Give one label a row."
        )
    return value


def _examples(task: Task, frame: pd.DataFrame, labels: tuple[str, ...], place: str) -> list[Example]:
    place = f"task '{task.name}': {place}"
    if task.objective == "token_classification":
        tokens, tags = frame[task.columns["tokens"]], frame[task.columns["label"]]
        index = _label_index(task, labels, [tag for row in tags for tag in _as_list(row, place)])
        return [
            _tokens_example(words, row, index, f"{place}, row {number}")
            for number, words, row in zip(frame.index, tokens, tags, strict=True)
        ]
    if task.objective in _IN_WORDS:
        return _IN_WORDS[task.objective](task, frame, place)
    texts = _texts(frame, task.columns["text"], place)
    pairs = _texts(frame, task.columns["pair"], place)
    raw = frame[task.columns["label"]].tolist()
    if task.objective == "regression":
        values: Sequence[Any] = [
            _number(value, f"{place}, row {row}") for row, value in zip(frame.index, raw, strict=True)
        ]
    else:
        _texts(frame, task.columns["label"], place)  # refuses missing labels
        index = _label_index(task, labels, raw)
        values = [_lookup(index, value, f"{place}, row {row}") for row, value in zip(frame.index, raw, strict=True)]
    return [TextExample(text, label, pair) for text, pair, label in zip(texts, pairs, values, strict=True)]


def _instructions(task: Task, frame: pd.DataFrame, place: str) -> list[Example]:
    column = task.columns["input"]
    inputs = frame[column].fillna("").astype(str).tolist() if column else [""] * len(frame)  # a prompt may have none
    instructions = _said(frame, task, "instruction", place)
    responses = _texts(frame, task.columns["response"], place)
    return [
        PromptExample(filled(task.prompt, instruction=instruction, input=given), response)
        for instruction, given, response in zip(instructions, inputs, responses, strict=True)
    ]


def _sources(task: Task, frame: pd.DataFrame, place: str) -> list[Example]:
    targets = _texts(frame, task.columns["target"], place)
    return [
        PromptExample(filled(task.prompt, source=source), target, source)
        for source, target in zip(_said(frame, task, "source", place), targets, strict=True)
    ]


def _questions(task: Task, frame: pd.DataFrame, place: str) -> list[Example]:
    questions, contexts = (_said(frame, task, role, place) for role in ("question", "context"))
    return [
        QuestionExample(question, context, *_answers(given, context, f"{place}, row {row}"))
        for row, question, context, given in zip(
            frame.index, questions, contexts, frame[task.columns["answers"]], strict=True
        )
    ]


def _said(frame: pd.DataFrame, task: Task, role: str, place: str) -> list[str]:
    """Texts that may not be empty."""
    texts = _texts(frame, task.columns[role], place)
    for row, text in zip(frame.index, texts, strict=True):
        if not text.strip():
            raise UserError(f"{place}, row {row}: the {role} is empty. Write one, or leave the row out.")
    return texts


def _answers(value: Any, context: str, place: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Answers and where they begin: SQuAD's form, {text: [...], answer_start: [...]}, or a text, or a list of texts."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise UserError(f"{place}: the answers {value[:60]!r} are no JSON ({error}).") from error
    given = value.get("text") if isinstance(value, dict) else value
    texts = (given,) if isinstance(given, str) else tuple(map(str, _as_list(given, place)))
    if not texts or not all(text.strip() for text in texts):
        raise UserError(
            f"{place}: it has no answer, or an empty one. Give a text, or {{text: [...], answer_start: [...]}}."
        )
    starts = _as_list(value.get("answer_start"), place) if isinstance(value, dict) else []
    if not starts:
        return texts, tuple(context.find(text) for text in texts)
    if len(starts) != len(texts):
        raise UserError(f"{place}: {len(texts)} answers but {len(starts)} places. Give one answer_start an answer.")
    for text, start in zip(texts, starts, strict=True):
        if context[start : start + len(text)] != text:
            raise UserError(f"{place}: the context does not hold the answer {text[:60]!r} at {start}. Correct the row.")
    return texts, tuple(int(start) for start in starts)


_IN_WORDS = {"causal_lm": _instructions, "text_to_text": _sources, "question_answering": _questions}


def _label_index(task: Task, labels: tuple[str, ...], values: Sequence[Any]) -> dict[Any, int]:
    """Raw value -> class index.

    With labels given, integers are already indices; otherwise values are looked up by name.
    """
    by_name: dict[Any, int] = {label: index for index, label in enumerate(labels)}
    if task.labels and all(isinstance(value, int | np.integer) for value in values):
        return {index: index for index in range(len(labels))}
    return by_name


def _lookup(index: dict[Any, int], value: Any, place: str) -> int:
    found = index.get(value if isinstance(value, int | np.integer) else str(value), index.get(str(value)))
    if found is None:
        raise UserError(f"{place}: the label {value!r} is not in the list: {', '.join(map(str, index))}.")
    return found


def _tokens_example(words: Any, row: Any, index: dict[Any, int], place: str) -> TokensExample:
    tokens, tags = _as_list(words, place), _as_list(row, place)
    if len(tokens) != len(tags):
        raise UserError(f"{place}: {len(tokens)} tokens but {len(tags)} tags. Give one tag for each token.")
    if not tokens:
        raise UserError(f"{place}: it has no token. Leave the row out.")
    return TokensExample(tuple(map(str, tokens)), tuple(_lookup(index, tag, place) for tag in tags))


def _texts(frame: pd.DataFrame, column: str | None, place: str) -> list[Any]:
    if column is None:
        return [None] * len(frame)
    missing = int(np.count_nonzero(frame[column].isna()))
    if missing:
        raise UserError(f"{place}: {missing} rows have no value in column '{column}'. Fill or remove them.")
    return frame[column].astype(str).tolist()


def _number(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise UserError(f"{place}: the score {value!r} is not a number.")
    return number


def _as_list(value: Any, place: str) -> list[Any]:
    """A list column's value; in csv and tsv a JSON list, or words separated by blanks."""
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        if parsed is None and value.startswith("[") and value.endswith("]"):
            raise UserError(
                f'{place}: the list {value[:60]} is no JSON. Write ["like", "this"], or words separated by blanks.'
            )
        return parsed if isinstance(parsed, list) else value.split()
    return list(value) if isinstance(value, list | tuple | np.ndarray) else []
