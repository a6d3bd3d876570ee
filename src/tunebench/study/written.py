"""A study as the YAML text that describes it, for a study that was made in Python."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import yaml

from tunebench._util.errors import UserError, shown
from tunebench._util.ranges import Range
from tunebench.study.document import Study, study_of
from tunebench.study.experiment import Experiment, TechniqueChoice
from tunebench.study.training import AUTO
from tunebench.tasks import tasks
from tunebench.tasks.base import EMBEDDED, Task


class _Dumper(yaml.SafeDumper):
    """Writes paths as texts."""


_Dumper.add_multi_representer(PurePath, lambda dumper, path: dumper.represent_str(str(path)))
_Dumper.ignore_aliases = lambda self, data: True  # type: ignore[method-assign]


def as_yaml(study: Study | Mapping[str, Any]) -> str:
    """A study, or a mapping with a study's fields, as YAML.

    Raises:
        UserError: the mapping holds something that YAML has no word for.
    """
    content = _content(study) if isinstance(study, Study) else dict(study)
    try:
        text = yaml.dump(
            content, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110
        )
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the study holds what no study file can: {shown(reason, 200)}") from error
    if isinstance(study, Study) and study_of(text) != study:
        raise UserError(f"study '{study.name}': it holds values that its file would not. Give it as a dict instead.")
    return text


def _content(study: Study) -> dict[str, Any]:
    own = study.model_dump(mode="json", exclude_unset=True, exclude={"training", "search", "experiments"})
    if "training" in study.model_fields_set:
        own["training"] = _training(study.training.model_dump(mode="json", exclude_unset=True))
    if study.search is not None:
        own["search"] = study.search.model_dump(mode="json", exclude_unset=True)
    return {**own, "experiments": [_experiment(one) for one in study.experiments]}


def _training(given: dict[str, Any]) -> dict[str, Any]:
    """With `epochs: auto` where the number stands for it."""
    return {**given, "epochs": AUTO} if given.get("auto_epochs") is not None else given


def _experiment(one: Experiment) -> dict[str, Any]:
    own = one.model_dump(mode="json", exclude_unset=True, exclude={"model", "task", "techniques"})
    model = {name: value for name, value in one.model.model_dump().items() if value is not None}
    return {
        "model": model["id"] if list(model) == ["id"] else model,
        "task": _task(one.task),
        "techniques": [_technique(choice) for choice in one.techniques],
        **own,
    }


def _task(task: Task) -> str | dict[str, Any]:
    """A built-in task by its name, with what was changed."""
    own = task.model_dump(mode="json", exclude_unset=True)
    base = tasks().get(task.name)
    if base is None or task.data not in (None, EMBEDDED) or base.objective != task.objective:
        return own
    known = base.model_dump(mode="json")
    changed = {name: value for name, value in own.items() if name not in known or known[name] != value}
    return {"name": task.name, **changed} if changed else task.name


def _technique(choice: TechniqueChoice) -> str | dict[str, Any]:
    settings = choice.entry.model_dump(mode="json")
    known = type(choice.entry).model_fields
    changed = {name for name, value in choice.entry if name not in known or value != known[name].default}
    given = {name: settings[name] for name in settings if name in (choice.fixed | changed) - set(choice.ranges)}
    given |= {name: _range(one) for name, one in choice.ranges.items()}
    return {"name": choice.name, **given} if given else choice.name


def _range(one: Range) -> dict[str, Any]:
    if one.choices:
        return {"choices": list(one.choices), "default": one.default}
    return {"low": one.low, "high": one.high, "log": one.log, "default": one.default}
