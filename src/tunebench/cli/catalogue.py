"""What there is to choose from, for listings: techniques, tasks, families, studies, recipes, parts of a study file."""

import inspect
from typing import Any

from pydantic import BaseModel

from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.words import plural
from tunebench.families import families
from tunebench.families.base import Family
from tunebench.study import built_in_studies, read_study
from tunebench.study.reference import described, parts, summary
from tunebench.tasks import tasks
from tunebench.tasks.base import Task
from tunebench.techniques import techniques
from tunebench.techniques.base import Entry
from tunebench.techniques.guide import guides
from tunebench.zoo import embedded
from tunebench.zoo.pretraining.recipe import built_in_recipes, read_recipe

About = dict[str, Any]
"""title, source, text; details as (header, rows), or None where the text is all; `entry_of` adds a task's examples.

Techniques have a `guide`, families and tasks what they can be combined with.
"""

_EXAMPLES = 3


def entries() -> dict[str, dict[str, About]]:
    """Kind -> name -> what there is to know."""
    return {
        "techniques": {name: _technique(entry) for name, entry in techniques().items()},
        "tasks": {name: _task(task) for name, task in tasks().items()},
        "families": {name: _family(family) for name, family in families().items()},
        "studies": {name: _study(name, text) for name, text in built_in_studies().items()},
        "recipes": {name: _recipe(name, text) for name, text in built_in_recipes().items()},
        "parts": {name: _part(part) for name, part in parts().items()},
    }


def entry_of(name: str) -> tuple[str, About]:
    """The kind of a name, and what there is to know of it.

    Raises:
        UserError: nothing has this name.
    """
    catalogue = entries()
    for kind, named in catalogue.items():
        if name in named:
            return kind, {**named[name], **_of_task(tasks()[name])} if kind == "tasks" else named[name]
    known = [other for named in catalogue.values() for other in named]
    raise UserError(f"show '{name}': nothing has this name. {did_you_mean(name, known)}")


def _technique(entry: type[Entry]) -> About:
    header = ["setting", "default", "meaning and source of the default", "a search tries"]
    guide = guides().get(entry.name)  # a plugin's technique has none
    return {
        "title": entry.title,
        "source": entry.paper,
        "text": _doc(entry),
        "details": (header, _settings(entry)),
        "guide": guide and guide.model_dump(exclude={"notes"}),
    }


def _settings(entry: type[Entry]) -> list[list[str]]:
    worth = entry.worth_searching()
    searched = {name: f"{one} ({one.source})" for name, one in worth.items()}
    return [
        [name, str(field.default), field.description or "", searched.get(name, "")]
        for name, field in entry.model_fields.items()
    ]


def _task(task: Task) -> About:
    first = f"{task.objective}; main metric {task.metrics[0]}. Licence: {task.licence}."
    fields = [[k, str(v)] for k, v in task.model_dump(mode="json", exclude={"caveats"}).items()]
    return {
        "title": task.title,
        "source": task.citation,
        "text": "\n".join([first, *task.caveats]),
        "details": (["field", "value"], fields),
    }


def _of_task(task: Task) -> About:
    """Examples of a task, and the fields of the problem type where it has the same name."""
    return {"examples": _examples(task), **({"fields": _fields(parts()[task.name])} if task.name in parts() else {})}


def _examples(task: Task) -> list[dict[str, Any]]:
    """The first rows of the shipped data set."""
    rows = embedded.rows(task.name)["train"][:_EXAMPLES] if task.name in embedded.DATA else []
    return [_readable(row, task) for row in rows]


def _readable(row: dict[str, Any], task: Task) -> dict[str, Any]:
    """A row with names in place of label numbers."""
    label = task.column(task.gold)
    value = row.get(label) if label else None
    if not task.labels or label is None:
        return row
    names = " ".join(task.labels[tag] for tag in value) if isinstance(value, list) else task.labels[int(value or 0)]
    words = {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()}
    return {**words, label: names}


def _family(family: Family) -> About:
    rows = [[shape, ", ".join(family.auto_classes)] for shape in family.shapes]
    header = ["shape known offline", "objectives"]
    return {
        "title": family.title,
        "source": f"{family.architecture}: {', '.join(family.model_types)}",
        "text": _doc(type(family)),
        "details": (header, rows),
    }


def _study(name: str, text: str) -> About:
    study, _ = read_study(name)
    return {"title": study.description, "source": plural(len(study.runs()), "run"), "text": text, "details": None}


def _recipe(name: str, text: str) -> About:
    recipe, _ = read_recipe(name)
    return {"title": recipe.description, "source": recipe.pretraining.paper, "text": text, "details": None}


def _part(part: type[BaseModel]) -> About:
    return {
        "title": " ".join(summary(part).split("\n\n")[0].split()),
        "source": "problem type" if issubclass(part, Task) and part is not Task else "part of a study file",
        "text": summary(part),
        "details": _fields(part),
    }


def _fields(part: type[BaseModel]) -> tuple[list[str], list[list[str]]]:
    rows = [[field.name, field.type, field.default or "must be given", field.meaning] for field in described(part)]
    return ["field", "value", "default", "meaning"], rows


def _doc(cls: type) -> str:
    return inspect.getdoc(cls) or ""
