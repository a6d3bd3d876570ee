"""What a study file may hold: every field with its type, range, default and meaning, read off the classes."""

import inspect
import json
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunebench.study.document import Study
from tunebench.study.experiment import Experiment
from tunebench.study.models import ModelChoice
from tunebench.study.search import Search
from tunebench.study.training import AutoEpochs, StudyTraining
from tunebench.tasks.base import HubData, Splitting, Task
from tunebench.tasks.problems import problems

_PARTS: Mapping[str, type[BaseModel]] = {
    "study": Study,
    "experiment": Experiment,
    "model": ModelChoice,
    "task": Task,
    "training": StudyTraining,
    "auto_epochs": AutoEpochs,
    "search": Search,
    "split": Splitting,
    "hub": HubData,
}
_TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


@dataclass(frozen=True)
class Described:
    """A field of a part of a study file; `default` is None where the field must be given."""

    name: str
    type: str
    default: str | None
    meaning: str


def parts() -> dict[str, type[BaseModel]]:
    """The parts of a study file by name, then the problem types, whose fields are those of a `task`."""
    return {**_PARTS, **problems()}


def described(part: type[BaseModel]) -> list[Described]:
    """The fields of a part, in their order."""
    known = meanings(part)
    return [
        Described(name, _type_of(part, name, field), _default(part, name, field), known.get(name, ""))
        for name, field in part.model_fields.items()
    ]


def summary(part: type[BaseModel]) -> str:
    """The part's docstring without its sections."""
    return re.split(r"\n\n(?:Attributes|Examples):\n", inspect.getdoc(part) or "")[0]


def meanings(part: type[BaseModel]) -> dict[str, str]:
    """What each field means: from the docstrings of the class and its bases, else from the field's description."""
    known: dict[str, str] = {}
    for base in reversed(part.__mro__):
        known.update(_attributes(inspect.cleandoc(base.__doc__ or "")))
    return {name: known.get(name) or field.description or "" for name, field in part.model_fields.items()}


def _attributes(doc: str) -> Iterator[tuple[str, str]]:
    """Name and text of each entry of a docstring's section `Attributes`."""
    section = re.search(r"^Attributes:\n((?:[ ]{4}.*(?:\n|$))+)", doc, re.MULTILINE)
    for entry in re.split(r"\n(?=[ ]{4}\w)", section[1].rstrip()) if section else ():
        name, _, text = entry.strip().partition(":")
        yield name, " ".join(text.split())


def _default(part: type[BaseModel], name: str, field: FieldInfo) -> str | None:
    if (part is Experiment and name == "task") or name == "objective":
        return None
    if part is not Task and issubclass(part, Task):
        of_problem = {"columns": part.roles, "metrics": part.default_metrics, "prompt": getattr(part, "asks", None)}
        if name in of_problem:
            return written(of_problem[name])
    if issubclass(part, Task) and name == "name":
        return "the data file's name"
    return None if field.is_required() else written(field.default)


def written(value: Any) -> str:
    """A default as a study file writes it."""
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {written(item)}' for key, item in value.items())}}}"
    if value is None or isinstance(value, bool) or value == "" or "\n" in str(value):
        return json.dumps(value)
    return str(value)


_TYPED: Mapping[tuple[type[BaseModel], str], str] = {
    (Experiment, "model"): "text, or see `model`",
    (Experiment, "task"): "name of a built-in task, or see `task`",
    (Experiment, "techniques"): "list of names, or of {name: NAME, SETTING: ...}",
    (Experiment, "training"): "see `training`",
    (Study, "experiments"): "list, see `experiment`",
    (StudyTraining, "epochs"): "whole number ≥ 1, or auto",
    (StudyTraining, "auto_epochs"): "see `auto_epochs`, or null",
    (Study, "search"): "see `search`, or null",
    (Task, "objective"): "name of a problem type",
    (Task, "metrics"): "list of names of metrics",
}


def _type_of(part: type[BaseModel], name: str, field: FieldInfo) -> str:
    if (part, name) in _TYPED:
        return _TYPED[part, name]
    if issubclass(part, Task) and name == "objective":
        return str(field.default)
    if issubclass(part, Task) and name == "metrics":
        return f"list of {_either(part.allowed_metrics())}"
    first, *others = _type(field.annotation).split(" or null")
    return " ".join([first, *_range(field.metadata)]) + "".join(f" or null{other}" for other in others)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return " ".join([_type(arguments[0]), *_range(arguments[1:])])
    if origin is Literal:
        return _either(arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0]).replace('number', 'numbers', 1)}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    named = [f"see `{name}`" for name, part in _PARTS.items() if part is annotation]
    return named[0] if named else _TYPES[annotation]


def _either(options: tuple[Any, ...]) -> str:
    return " or ".join(f"`{option}`" for option in options)


def _range(rules: Any) -> Iterator[str]:
    bounds = [(sign, getattr(rule, name)) for rule in rules for name, sign in _SIGNS.items() if hasattr(rule, name)]
    yield from (f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
