"""The JSON schema of study files, by which editors complete, explain and check them."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from tunebench.study.document import Study
from tunebench.study.experiment import Experiment
from tunebench.study.models import ModelChoice
from tunebench.study.reference import meanings, summary
from tunebench.study.search import Search
from tunebench.study.training import AUTO, AutoEpochs, StudyTraining
from tunebench.tasks import tasks
from tunebench.tasks.base import HubData, Splitting, Task
from tunebench.tasks.problems import problems
from tunebench.techniques import techniques
from tunebench.techniques.base import Entry

Schema = dict[str, Any]


def json_schema() -> Schema:
    """The schema of a study file."""
    parts = [_object(part) for part in (Study, Experiment, StudyTraining, ModelChoice, Search, AutoEpochs)]
    parts += [_problem(part) for part in problems().values()] + [_technique(entry) for entry in techniques().values()]
    study, experiment, training, *_ = parts
    written: Schema = {
        "model": {"anyOf": [{"type": "string", "minLength": 1}, _at(ModelChoice)]},
        "task": {"anyOf": [{"enum": [*tasks()]}, *map(_at, problems().values())]},
        "techniques": {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [{"enum": [*techniques()]}, *map(_at, techniques().values())]},
        },
        "training": _at(StudyTraining),
    }
    for name, schema in written.items():
        experiment["properties"][name] = {"description": meanings(Experiment)[name], **schema}
    epochs = training["properties"]["epochs"]
    training["properties"]["epochs"] = {
        "description": epochs.pop("description"),
        "anyOf": [epochs, {"const": AUTO}],
        "default": epochs.pop("default"),
    }
    inner = [_object(part) for part in (Splitting, HubData)]
    for part in parts:
        part.pop("$defs", None)
    named = {part["title"]: part for part in [*parts[1:], *inner, _RANGE]}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **study, "$defs": named}


def _at(part: type[BaseModel]) -> Schema:
    return {"$ref": f"#/$defs/{part.__name__}"}


def _object(part: type[BaseModel]) -> Schema:
    """A part as pydantic reads it, with the meanings of its fields."""
    schema = part.model_json_schema()
    known = meanings(part)
    fields = {name: {**field, "description": known[name]} for name, field in schema["properties"].items()}
    for field in fields.values():
        field.pop("title", None)
    return {**schema, "description": summary(part), "properties": fields}


def _problem(part: type[Task]) -> Schema:
    """A task of a problem type: its objective is given, or the name of a built-in task."""
    schema = _object(part)
    fields = schema["properties"]
    fields["objective"] = {**fields["objective"], "const": part.model_fields["objective"].default}
    fields["columns"] = {**fields["columns"], "properties": _roles(part), "additionalProperties": False}
    fields["metrics"] = {**fields["metrics"], "items": {"enum": [*part.allowed_metrics()]}}
    built_in = [name for name, task in tasks().items() if type(task) is part]
    by_name = {"required": ["name"], "properties": {"name": {"enum": built_in}}}
    return {**schema, "required": [], "anyOf": [{"required": ["objective"]}, by_name]}


def _roles(part: type[Task]) -> Schema:
    one: list[Schema] = [{"type": "string"}, {"type": "integer"}]  # columns of CoNLL files have numbers
    many: Schema = {"type": "array", "items": {"type": "string"}}
    return {
        role: {"anyOf": [*one, {"type": "null"}, *([many] if role in part.several else [])]}
        for role in (*part.roles, *part.optional)
    }


def _technique(entry: type[Entry]) -> Schema:
    schema = _object(entry) if entry.model_fields else {**entry.model_json_schema(), "description": summary(entry)}
    settings = {name: _or_range(field) for name, field in schema.get("properties", {}).items()}
    fields = {"name": {"const": entry.name}, **settings}
    return {**schema, "properties": fields, "required": ["name", *_required(entry)]}


def _or_range(field: Schema) -> Schema:
    """A setting, or the range that a search draws it from."""
    return {"description": field.get("description", ""), "anyOf": [field, {"$ref": "#/$defs/range"}]}


_RANGE: Schema = {
    "title": "range",
    "type": "object",
    "description": "What a search draws a setting from: {low, high, log} or {choices}, each with a default.",
    "anyOf": [{"required": ["low", "high"]}, {"required": ["choices"]}],
    "properties": {
        "low": {"type": "number"},
        "high": {"type": "number"},
        "log": {"type": "boolean"},
        "choices": {"type": "array", "minItems": 1},
        "default": {},
    },
    "additionalProperties": False,
}


def _required(entry: type[Entry]) -> Sequence[str]:
    return [name for name, field in entry.model_fields.items() if field.is_required()]
