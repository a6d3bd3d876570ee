"""`tunebench show`: details of one technique, task, family, study or recipe."""

import sys
from typing import Annotated, Any

import typer

from tunebench.cli.options import Json
from tunebench.cli.printing import print_json, print_table, say


def show(
    name: Annotated[str, typer.Argument(help="a technique, task, family, study or recipe")], json_: Json = False
) -> None:
    """Show a technique with its settings, a task with its data, a family with its models, a study's text."""
    from tunebench.cli.catalogue import entry_of

    kind, about = entry_of(name)
    if json_:
        print_json({"kind": kind, "name": name, **about})
        return
    if about["details"] is None:  # a study's or a recipe's text
        sys.stdout.write(about["text"])
        return
    say(f"{name}: {about['title']}\n\n{about['text']}\n\nSource: {about['source']}\n")
    for title, lines in _guide(about.get("guide")):
        say(f"{title}:\n" + "".join(f"  {line}\n" for line in lines))
    print_table("", *about["details"])
    for example in about.get("examples", []):
        say("\n" + "\n".join(f"{column}: {value}" for column, value in example.items()))


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
    }
    return [(title, lines) for title, lines in sections.items() if lines]
