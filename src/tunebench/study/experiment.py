"""An experiment of a study: one model on one task with several techniques."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tunebench._util.base import Strict
from tunebench._util.errors import did_you_mean
from tunebench._util.ranges import Range
from tunebench.study.models import ModelChoice
from tunebench.study.run import PoolingChoice
from tunebench.study.search import ranges_of
from tunebench.tasks import tasks
from tunebench.tasks.base import EMBEDDED, Task, problem_of
from tunebench.techniques import techniques
from tunebench.techniques.base import Entry


class TechniqueChoice(Strict):
    """A technique with its settings, as one item of an experiment's list.

    Attributes:
        name: the technique's.
        entry: its settings; where the study gives a range, its default.
        ranges: what the study lets a search draw settings from.
        fixed: the settings that the study gives as one value.
        epochs: its own number, where `epochs: auto` is settled.
    """

    name: str
    entry: SerializeAsAny[Entry]
    ranges: dict[str, Range] = {}
    fixed: frozenset[str] = frozenset()
    epochs: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, item: Any) -> Any:
        return _choice(item)


class Experiment(Strict):
    """One model on one task with several techniques.

    Attributes:
        model: hub id, local folder, or a model that tunebench ships; with a name of your choice, see `model`.
        revision: branch, tag or commit on the hub.
        pooling: how an encoder's text vector is made; `auto`: as the checkpoint's sentence-transformers files say, else
            (and for pairs of texts) from the first token.
        task: built-in task by name, or a mapping with the fields of its problem type: your own data, or
            `{name: TASK, ...}`, a built-in task with changes.
        techniques: each is compared with the others; `{name: lora, rank: 16}` has settings. In a study with a `search`
            a setting may be a range: `{choices: [4, 16]}` or `{low: 1e-4, high: 3e-3, log: true}`.
        training: what differs from the study's `training`.
    """

    model: ModelChoice
    revision: str | None = None
    pooling: PoolingChoice = "auto"
    task: SerializeAsAny[Task]
    techniques: tuple[TechniqueChoice, ...] = Field(min_length=1)
    training: dict[str, Any] = {}

    @field_validator("task", mode="before")
    @classmethod
    def _task_by_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _built_in(value)
        if isinstance(value, dict) and value.get("hub") and value.get("data") is None and "objective" in value:
            return {**value, "name": value.get("name") or _name_of(value["hub"])}
        if isinstance(value, dict) and value.get("data") in (None, EMBEDDED):
            base = _built_in(value.get("name"))
            kept = base.model_dump(exclude={"metrics"} if "objective" in value else set())
            known = problem_of(value.get("objective", base.objective)).model_fields
            return {**{name: field for name, field in kept.items() if name in known}, **value}
        if isinstance(value, dict) and "name" not in value:
            data = value["data"]
            files = data.get("train") if isinstance(data, dict) else data
            first = files[0] if isinstance(files, list | tuple) and files else files
            if isinstance(data, dict) and not isinstance(first, str):
                raise ValueError("data names no train file. Give data: FILE, or data: {train: FILE, ...}.")
            return {**value, "name": _name_of(first)}
        return value


def _name_of(source: Any) -> str:
    """A task's name by its hub id, or by its file, pattern or folder."""
    path = Path(str(source.get("id") if isinstance(source, dict) else source))
    return re.sub(r"[*?\[\]]+", "", path.stem).strip("-_. ") or path.parent.name


def _built_in(name: Any) -> Task:
    if not isinstance(name, str) or name not in tasks():
        raise ValueError(
            f"there is no task '{name}'. {did_you_mean(str(name), tasks())} "
            "Own files: task: {objective: ..., data: FILE, columns: {...}}."
        )
    return tasks()[name]


def _choice(item: Any) -> Any:
    """A list item, `lora` or `{name: lora, rank: 8}`, as a TechniqueChoice's fields."""
    settings = {"name": item} if isinstance(item, str) else item
    if not isinstance(settings, dict) or not isinstance(settings.get("name"), str):
        raise ValueError(f"{item!r} is no technique. Write a name, or {{name: lora, rank: 8}}.")
    name = settings["name"]
    if name not in techniques():
        raise ValueError(f"there is no technique '{name}'. {did_you_mean(name, techniques())}")
    cls = techniques()[name]
    for field in settings:
        if field != "name" and field not in cls.model_fields and cls.model_config.get("extra") != "allow":
            ways_out = did_you_mean(field, cls.model_fields) if cls.model_fields else "It has no settings."
            text = f"{name} has no field '{field}'. {ways_out}"
            problem = PydanticCustomError("unknown_setting", "{text}", {"text": text})
            raise ValidationError.from_exception_data(name, [{"type": problem, "loc": (field,), "input": item}])
    given = {k: v for k, v in settings.items() if k != "name"}
    plain, ranges = ranges_of(cls, given)
    return {"name": name, "entry": cls.model_validate(plain), "ranges": ranges, "fixed": frozenset(given) - set(ranges)}


def labels_of(choices: Sequence[TechniqueChoice]) -> list[str]:
    """Names for tables: the technique's, with the settings that tell it from others of its name."""
    labels = []
    for choice in choices:
        siblings = [other.entry.model_dump() for other in choices if other.name == choice.name]
        settings = choice.entry.model_dump()
        differing = [key for key in settings if any(other[key] != settings[key] for other in siblings)]
        labels.append(" ".join([choice.name, *(f"{key}={_shown(settings[key])}" for key in differing)]))
    return labels


def _shown(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
