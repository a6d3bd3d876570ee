"""A study of the user's own file, from options in place of a YAML file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError, did_you_mean

_MOST_CLASSES = 0.2
"""Share of the rows: numbers with more distinct values than this are scores, not names of classes."""


def columns_of(options: list[str] | None) -> dict[str, str]:
    """Role -> column of `--columns text=review,label=stars`.

    Raises:
        UserError: an item has no role, or no name.
    """
    columns = {}
    for item in (item for option in options or [] for item in option.split(",")):
        role, equals, name = item.partition("=")
        if not equals or not role.strip() or not name.strip():
            raise UserError(f"--columns {item}: write ROLE=COLUMN, such as --columns text=review,label=stars.")
        columns[role.strip()] = name.strip()
    return columns


def study_text(data: Path, model: Any, columns: Mapping[str, str], objective: str | None) -> str:
    """The study of a file, in YAML.

    Args:
        data: a file, or a folder with train, validation and test files.
        model: as a study names it.
        columns: role -> column.
        objective: the problem type; None: by the columns, and by the labels.

    Raises:
        UserError: the file cannot be read, or its columns fit no problem type.
    """
    import yaml

    from tunebench.tasks.problems import problems

    files = _files(data)
    if objective is not None and objective not in problems():
        raise UserError(f"--objective {objective}: there is no such problem. {did_you_mean(objective, problems())}")
    chosen = objective or _objective(Path(files if isinstance(files, str) else files["train"]), columns)
    name = re.sub(r"[^\w.-]+", "_", data.name.split(".")[0]).strip("_.-") or "data"
    task = {"name": name, "objective": chosen, "data": files, "columns": dict(columns)}
    experiment = {"model": model, "task": task, "techniques": _all_techniques()}
    study = {"name": name, "experiments": [experiment]}
    return yaml.safe_dump(study, sort_keys=False, allow_unicode=True)


def _all_techniques() -> list[dict[str, Any]]:
    """Every technique that may be chosen without settings of its own, at each choice of targets worth searching."""
    from tunebench.techniques import techniques
    from tunebench.techniques.base import Baseline, Trained

    found: list[dict[str, Any]] = []
    for name, cls in techniques().items():
        trains = issubclass(cls, Trained) and cls.reads_weights
        if (trains or issubclass(cls, Baseline)) and not any(one.is_required() for one in cls.model_fields.values()):
            targets = cls.worth_searching().get("targets")
            found += [{"name": name, "targets": list(one)} for one in targets.choices] if targets else [{"name": name}]
    return found


def _files(data: Path) -> Any:
    """A file as it is; of a folder the file of each split."""
    if not data.is_dir():
        return str(data.absolute())
    by_split = {}
    for split, names in {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}.items():
        files = [path for path in sorted(data.iterdir()) if path.name.split(".")[0] in names]
        if files:
            by_split[split] = str(files[0].absolute())
    if "train" not in by_split:
        raise UserError(f"--data {data}: the folder holds no train file, such as train.csv. Give a file, or add it.")
    return by_split


def _objective(path: Path, columns: Mapping[str, str]) -> str:
    """The problem type whose roles the columns play; a text with a number as its label is classification or regression.

    Raises:
        UserError: no problem type fits, or several do.
    """
    from tunebench.tasks.files import read
    from tunebench.tasks.problems import problems

    table = read(path, list(columns.values()), {})
    fitting = []
    for name, problem in problems().items():
        wanted = {role: columns.get(role, default) for role, default in problem.roles.items()}
        played = {role: column for role, column in wanted.items() if column is not None}
        if set(columns) <= set(wanted) and all(column in table.columns for column in played.values()):
            fitting.append(name)
    if set(fitting) == {"sequence_classification", "regression"}:
        return _of_labels(table.columns[columns.get("label", "label")])
    if len(fitting) == 1:
        return fitting[0]
    why = "several problem types fit" if fitting else "its columns fit no problem type"
    raise UserError(
        f"--data {path}: {why} ({', '.join(table.columns)}). Name them, such as --columns text=review,label=stars, "
        "and the problem type with --objective (tunebench list parts)."
    )


def _of_labels(labels: list[Any]) -> str:
    known = [label for label in labels if label is not None]
    try:
        numbers = [float(label) for label in known]
    except (TypeError, ValueError):
        return "sequence_classification"
    whole = all(number.is_integer() for number in numbers)
    few = len(set(known)) <= max(20, _MOST_CLASSES * len(known)) if whole else False
    return "sequence_classification" if few else "regression"
