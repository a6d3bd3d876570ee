"""YAML documents that users write: finding and reading them, and saying what is wrong in them."""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tunebench._util.errors import UserError, did_you_mean, shown
from tunebench._util.files import is_file
from tunebench._util.plain import refuse_others

Document = TypeVar("Document", bound=BaseModel)

_LARGEST, _MOST_MISTAKES = 1_000_000, 10


def shipped(folder: str) -> dict[str, str]:
    """Name -> YAML text of what tunebench ships in a folder of the package."""
    return {
        entry.name.removesuffix(".yaml"): entry.read_text("utf-8")
        for entry in sorted((resources.files("tunebench") / folder).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def read(
    name: str, root: type[Document], inside: Mapping[str, type[BaseModel]], built_in: Mapping[str, str]
) -> tuple[Document, str]:
    """A document and its text, by built-in name or path of a YAML file.

    Args:
        name: the name, or the path.
        root: the record that the document is.
        inside: field -> the record that its value is, for messages about mistakes there.
        built_in: name -> text.

    Raises:
        UserError: no such document, no YAML, or a mistake in it, named with its place, its value and the way out.
    """
    kind, path = root.__name__.lower(), Path(name)
    if name in built_in:
        source, text = name, built_in[name]
    elif is_file(path):
        source = path.name
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{kind} '{name}': it cannot be read as UTF-8 text ({error}).") from error
    else:
        raise UserError(f"{kind} '{shown(name)}': no such file and no built-in {kind}. {did_you_mean(name, built_in)}")
    return of_text(text, source, root, inside, next(iter(built_in))), text


def of_text(
    text: str, source: str, root: type[Document], inside: Mapping[str, type[BaseModel]], example: str
) -> Document:
    """The document that a YAML text is.

    Args:
        text: YAML.
        source: what messages call it.
        root: as `read`.
        inside: as `read`.
        example: the name of a built-in document.

    Raises:
        UserError: as `read`.
    """
    content = _parsed(text, source)
    if not isinstance(content, dict):
        required = " and ".join(name for name, field in root.model_fields.items() if field.is_required())
        kind = root.__name__.lower()
        raise UserError(f"{source}: a {kind} is a mapping with {required}. See 'tunebench show {example}'.")
    try:
        return root.model_validate(content)
    except ValidationError as error:
        raise UserError("\n".join(f"{source}: {line}" for line in _lines(error, root, inside))) from error


def _parsed(text: str, source: str) -> Any:
    if len(text) > _LARGEST:
        raise UserError(f"{source}: it has {len(text):,} characters. A document has at most {_LARGEST:,}.")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, ArithmeticError, AttributeError, TypeError) as error:  # of dates and numbers
        reason = " ".join(str(error).split())
        raise UserError(f"{source}: this is not valid YAML: {shown(reason, 300)}") from error
    except RecursionError:
        raise UserError(f"{source}: its lists and mappings nest too deep.") from None
    refuse_others(content, source)
    return content


def _lines(error: ValidationError, root: type[BaseModel], inside: Mapping[str, type[BaseModel]]) -> list[str]:
    problems = error.errors()
    # A list whose only item is wrong is also reported as too short: the item's own error says it better.
    places = [problem["loc"] for problem in problems]
    distinct = [
        problem
        for problem in problems
        if problem["type"] != "too_short" or sum(loc[: len(problem["loc"])] == problem["loc"] for loc in places) == 1
    ]
    lines = [
        f"{place(problem['loc'])}: {sentence(problem, _model_at(problem['loc'], root, inside))}"
        if problem["loc"]
        else sentence(problem, root)
        for problem in distinct[:_MOST_MISTAKES]
    ]
    more = len(distinct) - len(lines)
    return [*lines, f"and {more} more mistakes."] if more else lines


def place(loc: Sequence[int | str]) -> str:
    """Where in the document: `experiments[0].task`."""
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in loc)
    return written.lstrip(".")


def _model_at(
    loc: Sequence[int | str], root: type[BaseModel], inside: Mapping[str, type[BaseModel]]
) -> type[BaseModel]:
    """The record whose field a validation error is about."""
    model = root
    for part in loc[:-1]:
        model = inside.get(str(part), model)
    return model


def sentence(problem: Any, model: type[BaseModel]) -> str:
    """Pydantic's error as one sentence with the value and the way out."""
    field = str(problem["loc"][-1]) if problem["loc"] else ""
    if problem["type"] == "extra_forbidden":
        return f"there is no field '{shown(field)}'. {did_you_mean(field, model.model_fields)}"
    if problem["type"] == "missing":
        return "this field is required."
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "unknown_setting":
        return problem["msg"]
    if problem["type"] == "too_short":
        return "it is empty. Give at least one."
    if problem["type"] == "string_pattern_mismatch":
        return f"use letters, digits, '.', '_' and '-' only, not {shown(repr(problem['input']))}."
    message = re.sub(r"a valid (dictionary|tuple)( or instance of \w+)?", _in_yaml, problem["msg"])
    return f"{message.replace('Input should', 'it should')}, not {shown(_quoted(problem['input']))}."


def _quoted(value: Any) -> Any:
    return repr(value) if isinstance(value, str) else value


def _in_yaml(kind: re.Match[str]) -> str:
    return "a mapping" if kind[1] == "dictionary" else "a list"
