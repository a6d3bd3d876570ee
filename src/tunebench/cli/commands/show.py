"""`tunebench show`: details of one technique, task, family, study, recipe, or part of a study file."""

import sys
from typing import Annotated, Any

import typer

from tunebench._util.errors import UserError
from tunebench.cli.options import Json
from tunebench.cli.printing import print_json, print_table, say


def show(
    name: Annotated[str, typer.Argument(help="a technique, task, family, study, recipe, or part of a study file")],
    json_: Json = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="with 'study': print the JSON schema of study files, for editors")
    ] = False,
) -> None:
    """Show a technique with its settings, a task with its data, a family with its models, a study's text.

    'tunebench show study' explains every field of a study file, and so do experiment, model, task, training, split and
    the problem types (tunebench list parts).
    """
    if json_schema:
        _print_schema(name)
        return
    from tunebench.cli.catalogue import entry_of

    kind, about = entry_of(name)
    if json_:
        print_json({"kind": kind, "name": name, **about})
        return
    if about["details"] is None:  # a study's or a recipe's text
        sys.stdout.write(about["text"])
        return
    if kind == "parts":
        say(f"{name}: {about['text']}\n")
    else:
        say(f"{name}: {about['title']}\n\n{about['text']}\n\nSource: {about['source']}\n")
    for title, lines in _guide(about.get("guide")):
        say(f"{title}:\n" + "".join(f"  {line}\n" for line in lines))
    print_table("", *about["details"])
    for example in about.get("examples", []):
        say("\n" + "\n".join(f"{column}: {value}" for column, value in example.items()))
    if "fields" in about:
        say(f"\nThe problem type {name}, for your own data:\n")
        print_table("", *about["fields"])


def _print_schema(name: str) -> None:
    from tunebench.study.schema import json_schema

    if name != "study":
        raise UserError(
            f"show {name} --json-schema: only a study file has one. Write: tunebench show study --json-schema"
        )
    print_json(json_schema())


def _guide(guide: dict[str, Any] | None) -> list[tuple[str, list[str]]]:
    """A technique's guide, as titles with lines."""
    if guide is None:
        return []
    counts = [
        f"{model:18} {count['trained']:>11,} {'in' if count['head'] else 'without'} the head = {count['form']}"
        for model, count in guide["counts"].items()
    ]
    given = ", ".join(f"{name}={value}" for name, value in guide["example"].items())
    sections = {
        "Equations": guide["equations"].splitlines(),
        f"Trainable parameters, with {given or 'the defaults'}": counts,
        "Use it when": [f"- {line}" for line in guide["use"]],
        "Avoid it when": [f"- {line}" for line in guide["leave"]],
        "What it forgets": [guide["forgets"]] if guide["forgets"] else [],
    }
    return [(title, lines) for title, lines in sections.items() if lines]
