"""Train, validation and test: what is carved where a split is missing, and how many rows of each are used."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.tasks.base import CARVING_SEED, SPLITS, Split, Splitting, Task
from tunebench.tasks.origin import ALIASES

Frames = dict[Split, pd.DataFrame]


def without_hidden_labels(task: Task, frames: Frames) -> tuple[Frames, list[str]]:
    """The splits whose labels are known, and a note for each that was left out."""
    if task.hidden_label is None:
        return frames, []
    column = task.column(task.gold)
    hidden = [split for split, frame in frames.items() if all(_is(task.hidden_label, cell) for cell in frame[column])]
    notes = [f"The {split} split's labels are withheld ({task.hidden_label}); it is not used." for split in hidden]
    return {split: frame for split, frame in frames.items() if split not in hidden}, notes


def _is(hidden: int, cell: object) -> bool:
    try:
        return float(str(cell)) == hidden
    except ValueError:
        return False


def by_column(task: Task, frames: Frames, place: str) -> tuple[Frames, list[str]]:
    """The splits that a column names, and what became of the rows; without such a column, the frames.

    Raises:
        UserError: a value names no split, no row is train, or there are files of several splits.
    """
    column = task.split.column
    if column is None:
        return frames, []
    if len(frames) > 1:
        raise UserError(f"{place}: split.column: {' and '.join(frames)} have files of their own. Remove one of both.")
    rows = frames["train"]
    where = [_split_of(cell, task.split) for cell in rows[column]]
    if unknown := Counter(str(cell) for cell, split in zip(rows[column], where, strict=True) if split == ""):
        value, count = unknown.most_common(1)[0]
        raise UserError(
            f"{place}: column '{column}' has {value!r} in {plural(count, 'row')}, which names no split. Say what its "
            f"values mean: split: {{column: {column}, values: {{validation: [...], test: [...]}}}}."
        )
    parts = {split: rows.iloc[[at for at, one in enumerate(where) if one == split]] for split in SPLITS}
    if parts["train"].empty:
        raise UserError(f"{place}: column '{column}' makes no row train. Correct split.values.")
    counts = ", ".join(f"{len(part):,} {split}" for split, part in parts.items() if len(part))
    notes = [f"Column '{column}' names the split of each row: {counts}."]
    if left := where.count(None):
        notes.append(f"{plural(left, 'row')} with other values of '{column}' left out.")
    return {split: part for split, part in parts.items() if len(part)}, notes


def _split_of(cell: object, rule: Splitting) -> Split | Literal[""] | None:
    """The split that a cell names; "": none; None: its row is left out."""
    if not rule.values:
        for split, names in ALIASES.items():
            if str(cell).strip().lower() in names:
                return split
        return ""
    for split, values in rule.values.items():
        if str(cell) in values:
            return split
    return None if "train" in rule.values else "train"


def on_shared_groups(task: Task, frames: Frames) -> list[str]:
    """That groups stand in train and in another split, which carving never does, but files and columns may."""
    by, notes = task.split.by, []
    known = set(frames["train"][by]) if by in frames["train"].columns else set()
    for split in ("validation", "test"):
        shared = known & set(frames[split][by]) if by in frames[split].columns else set()
        if shared:
            notes.append(
                f"{plural(len(shared), 'group')} of '{by}' {'stands' if len(shared) == 1 else 'stand'} in train and in "
                f"{split}, as the data divide them."
            )
    return notes


def carve(task: Task, frames: Frames, place: str) -> tuple[Frames, list[str]]:
    """All three splits: a missing one leaves train by a shuffle, so that train keeps a row of each class.

    Raises:
        UserError: there are too few rows, or too few of a class.
    """
    frames, notes = dict(frames), []
    if "test" not in frames and "validation" in frames and task.split.fold is None:
        frames["test"] = frames.pop("validation")
        notes.append("There is no test split: the validation split is the test split.")
    missing: list[Split] = [split for split in ("validation", "test") if split not in frames]
    if not missing:
        return frames, notes
    train, seed = frames["train"], task.split.seed
    groups = _groups(task, train)
    order = np.random.default_rng(seed).permutation(len(set(groups))).tolist()
    shares: dict[Split, float] = {split: getattr(task.split, split) for split in missing}
    sizes: dict[Split, int] = {split: max(1, round(len(order) * share)) for split, share in shares.items()}
    if "test" in sizes and task.split.fold is not None:
        order, sizes = _with_fold(task.split, order, sizes)
    if sum(sizes.values()) >= len(order):
        what = f"groups of '{task.split.by}'" if task.split.by else "rows"
        raise UserError(
            f"task '{task.name}': {len(order)} {what} are too few to carve a "
            f"{' and a '.join(missing)} split from. Give more, or files of these splits."
        )
    classes = _classes(task, groups, train, place)
    order, kept = _with_each_class_in_train(task, order, sum(sizes.values()), classes)
    taken = 0
    for split, size in sizes.items():
        frames[split] = _rows_of(train, groups, order[taken : taken + size])
        taken += size
        notes.append(f"The {split} split is {_carved(task.split, split, len(frames[split]), size)}.")
    frames["train"] = _rows_of(train, groups, order[taken:])
    return frames, notes + kept


def _with_fold(split: Splitting, order: list[int], sizes: dict[Split, int]) -> tuple[list[int], dict[Split, int]]:
    """The order in which the test rows, the fold-th of equal parts, follow the validation rows."""
    assert split.fold is not None and split.folds is not None, "Splitting checks it"
    begin, end = ((split.fold + step) * len(order) // split.folds for step in (-1, 0))
    rest, before = order[:begin] + order[end:], sizes.get("validation", 0)
    return rest[:before] + order[begin:end] + rest[before:], {**sizes, "test": end - begin}


def _carved(split: Splitting, name: Split, rows: int, groups: int) -> str:
    what = (
        plural(rows, "row")
        if split.by is None
        else f"{plural(rows, 'row')} ({plural(groups, 'group')} of '{split.by}')"
    )
    if name == "test" and split.fold is not None:
        return f"{what} carved from train (fold {split.fold} of {split.folds}, shuffle seeded with {split.seed})"
    return f"{what} carved from train ({100 * getattr(split, name):g} %, shuffle seeded with {split.seed})"


def _groups(task: Task, frame: pd.DataFrame) -> list[int]:
    """A number for each row; rows of one group, which stay together, have the same."""
    if task.split.by is None:
        return list(range(len(frame)))
    numbers: dict[str, int] = {}
    return [numbers.setdefault(str(cell), len(numbers)) for cell in frame[task.split.by]]


def _rows_of(frame: pd.DataFrame, groups: Sequence[int], chosen: Sequence[int]) -> pd.DataFrame:
    wanted = set(chosen)
    return frame.iloc[[at for at, group in enumerate(groups) if group in wanted]]


def _classes(task: Task, groups: Sequence[int], train: pd.DataFrame, place: str) -> dict[int, set[str]]:
    """The classes of each group; nothing where the task lists its classes, or has none."""
    classes: dict[int, set[str]] = {}
    if not task.labels and task.has_classes:
        for group, row in zip(groups, task.labels_of(train, place), strict=True):
            classes.setdefault(group, set()).update(row)
    return classes


def _with_each_class_in_train(
    task: Task, order: list[int], taken: int, classes: Mapping[int, set[str]]
) -> tuple[list[int], list[str]]:
    """The order in which each class that the data have stands behind the carved rows, too.

    A row of a class that the shuffle carved out of train wholly changes places with a row whose classes train can
    spare. Where all classes are in train, as in nearly all data, the order stays as it is.
    """
    if not classes:
        return order, []
    order, notes = list(order), []
    left = Counter(name for group in order[taken:] for name in classes[group])
    for name in sorted(set().union(*classes.values()) - set(left)):
        if left[name]:  # it came with a row of another class
            continue
        carved = next(at for at in range(taken) if name in classes[order[at]])
        spare = [at for at in range(taken, len(order)) if all(left[other] > 1 for other in classes[order[at]])]
        if not spare:
            raise UserError(
                f"task '{task.name}': no row can stay in train for the class '{name}': the rows are too few for a "
                "split in three. Give more rows of it, files of the three splits, or remove the class."
            )
        left.update(classes[order[carved]])
        left.subtract(classes[order[spare[0]]])
        order[carved], order[spare[0]] = order[spare[0]], order[carved]
        rows = plural(sum(name in row for row in classes.values()), "row")
        notes.append(f"The class '{name}' has {rows}; the shuffle left train none, so one was moved there.")
    return order, notes


def limit(task: Task, frames: Frames) -> tuple[Frames, list[str]]:
    """At most as many rows of each split as the task allows."""
    frames, notes = dict(frames), []
    for split, most in task.rows.items():
        frame = frames[split]
        if most < len(frame):
            kept = np.random.default_rng(CARVING_SEED).permutation(len(frame))[:most]
            frames[split] = frame.iloc[np.sort(kept)]
            notes.append(f"{most} of {len(frame)} {split} rows, drawn by a shuffle seeded with {CARVING_SEED}.")
    return frames, notes
