"""Generates the pages of techniques, families, tasks and study files from code, guides and results: `make docs`.

A test checks that the pages are up to date.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from docs.figure import Block, Row, draw
from docs.measured import Measured, measured
from pydantic.fields import FieldInfo

from tunebench.evaluation.metrics import METRICS
from tunebench.families import families
from tunebench.families.base import Family, base_of
from tunebench.objectives import objectives
from tunebench.study.reference import described, parts, summary
from tunebench.tasks import tasks
from tunebench.tasks.base import Task
from tunebench.tasks.written import Written
from tunebench.techniques import techniques
from tunebench.techniques.base import Entry, Technique
from tunebench.techniques.guide import Guide, guides
from tunebench.zoo.checkpoints import find

DOCS = Path(__file__).parent
_NOTE = "<!-- Made by `make docs`. Change the code, src/tunebench/techniques/guide/ or docs/results/ instead. -->"
_CLASSES = tuple("abcdef")
_DRAWN_ON = "bert-base-uncased"


def pages() -> dict[str, str]:
    """Path below `docs/` -> text, of every page and figure."""
    written: dict[str, str] = {}
    results = measured(DOCS / "results")
    for name, entry in techniques().items():
        guide = guides()[name]
        rows = figure(entry, guide)
        if rows:
            written[f"techniques/{name}.svg"] = draw(f"{entry.title}: what it trains", rows)
        written[f"techniques/{name}.md"] = technique(name, entry, guide, bool(rows), results.get(name, []))
    for name, family in families().items():
        written[f"families/{name}.md"] = family_page(name, family)
    for name, task in tasks().items():
        written[f"tasks/{name}.md"] = task_page(name, task)
    for kind, named in (("techniques", techniques()), ("families", families()), ("tasks", tasks())):
        lines = [f"- [{entry.title}]({name}.md): `{name}`" for name, entry in named.items()]
        lines += ["- [Every `model_type`](types.md): what works, and what is refused"] if kind == "families" else []
        written[f"{kind}/index.md"] = _joined([f"# {kind.capitalize()}", _NOTE, "\n".join(lines)])
    written["families/types.md"] = types_page(yaml.safe_load((DOCS / "types.yaml").read_text()))
    written["reference.md"] = reference_page()
    return written


# Techniques -----------------------------------------------------------------------------------------------------------


def technique(name: str, entry: type[Entry], guide: Guide, drawn: bool, results: Sequence[Measured]) -> str:
    """What it trains, its equations, counts, uses, settings and figures."""
    picture = f"![What it trains, on {_DRAWN_ON}]({name}.svg)" if drawn else ""
    return _joined(
        [
            f"# {entry.title} (`{name}`)",
            _NOTE,
            _doc(entry),
            _source(entry.paper),
            *(["## What it trains", picture] if drawn else []),
            "## Equations",
            f"```text\n{guide.equations.rstrip()}\n```",
            *(
                [
                    "## Trainable parameters",
                    _counted(guide),
                    _table(["model", "parameters", "closed form"], _counts(guide)),
                ]
                if guide.counts
                else []
            ),
            "## When to use it",
            _bullets(guide.use),
            "## When not to use it",
            _bullets(guide.leave),
            *(["## What it forgets", guide.forgets] if guide.forgets else []),
            "## Settings",
            _settings(entry),
            "## What our studies measured",
            _bullets(guide.notes),
            _results(results),
        ]
    )


def _counted(guide: Guide) -> str:
    given = ", ".join(f"`{name}: {_plain(value)}`" for name, value in guide.example.items())
    what = f"With {given}" if given else "With the defaults"
    head = "" if any(count.head for count in guide.counts.values()) else ", without the head"
    return (
        f"{what}{head}. `hidden` is the width of the states, `inner` that of the feed-forward network, `layers` the "
        "number of layers (of an encoder-decoder: the encoder's)."
    )


def _counts(guide: Guide) -> list[list[str]]:
    return [[f"`{model}`", f"{count.trained:,}", f"`{count.form}`"] for model, count in guide.counts.items()]


def _settings(entry: type[Entry]) -> str:
    worth = entry.worth_searching()
    rows = [
        [
            f"`{name}`",
            f"`{_plain(field.default)}`" if not field.is_required() else "must be given",
            _range(field),
            field.description or "",
            f"{worth[name]} ({worth[name].source})" if name in worth else "",
        ]
        for name, field in entry.model_fields.items()
    ]
    header = ["setting", "default", "allowed", "meaning, and source of the default", "a search tries"]
    return _table(header, rows) if rows else "None."


def _range(field: FieldInfo) -> str:
    """The values that a setting takes."""
    if options := _options(field.annotation):
        return ", ".join(f"`{option}`" for option in options)
    signs = {"gt": "> ", "ge": "≥ ", "lt": "< ", "le": "≤ "}
    bounds = [
        f"{sign}{getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in signs.items()
        if hasattr(rule, name)
    ]
    return " and ".join(bounds) or "any"


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if str(get_origin(annotation)) == "typing.Literal" else ()


def _results(results: Sequence[Measured]) -> str:
    if not results:
        return "Not yet measured on real data."
    rows = [[f"[{one.where}](../results/{one.page})", one.value, one.best, one.trained] for one in results]
    return _table(["cell", "this", "best in this cell", "trained parameters, head included"], rows)


# What trains, read off the code ---------------------------------------------------------------------------------------


def figure(entry: type[Entry], guide: Guide) -> list[Row]:
    """The blocks of a model, head first, and whether a technique trains each; empty for a baseline."""
    if not issubclass(entry, Technique):
        return []
    checkpoint = find(_DRAWN_ON)
    family = checkpoint.family
    head = objectives()["sequence_classification"].head(_CLASSES)
    model = family.skeleton(checkpoint.config, "sequence_classification", head)
    before = {id(parameter) for parameter in model.parameters()}
    count = len(family.layers(model))
    paths = {role: path for role, (path, *_) in family.projections(model).items()}
    state: dict[tuple[str, str], str] = {}
    for name, parameter in _tuned(entry, guide, model, family):
        place = _place(name, paths)
        at_head = place == ("head", "head")
        if parameter.requires_grad:
            state[place] = "trained" if at_head or id(parameter) in before else "added"
    rows = [Row("head", [Block("classifier", state.get(("head", "head"), "frozen"))])]
    rows.append(Row("pooler", [Block("pooler", state.get(("pooler", "pooler"), "frozen"))]))
    layers = [_layer(state, str(index)) for index in range(count)]
    for first, last in reversed(list(_equal(layers))):
        rows.append(Row(f"layers {first + 1} to {last + 1}", layers[first]))
    prompt = [Block("prompt", "added")] if ("virtual", "prompt") in state else []
    return [*rows, Row("embeddings", [Block("embeddings", state.get(("embeddings", "embeddings"), "frozen")), *prompt])]


def _tuned(entry: type[Technique], guide: Guide, model: Any, family: Family) -> Iterator[tuple[str, Any]]:
    tuned = entry(**guide.example).apply(model, family, 100)
    yield from tuned.named_parameters()


_PARTS = ("query", "key", "value", "output", "norm", "mlp_in", "mlp_out", "last_norm")
_NAMES = {"mlp_in": "feed-forward in", "mlp_out": "feed-forward out", "last_norm": "norm"}


def _place(name: str, paths: dict[str, str]) -> tuple[str, str]:
    """(layer's index or part of the model, block) of a parameter."""
    if inside := re.search(r"encoder\.layer\.(\d+)\.(.*)", name):
        index, rest = inside.groups()
        if "LayerNorm" in rest:
            return index, "norm" if rest.startswith("attention") else "last_norm"
        return index, next(role for role, path in paths.items() if rest.startswith(path + "."))
    for part, sign in (("head", "classifier"), ("pooler", "pooler."), ("embeddings", "embeddings.")):
        if sign in name:
            return part, part
    virtual = re.search(r"(prompt|prefix)", name)
    assert virtual is not None, f"{name} has no place in the figure"
    return "virtual", virtual.group()


def _layer(state: dict[tuple[str, str], str], index: str) -> list[Block]:
    blocks = [Block(_NAMES.get(part, part), state.get((index, part), "frozen")) for part in _PARTS]
    if ("virtual", "prefix") in state:
        blocks.insert(0, Block("prefix: keys, values", "added"))
    return blocks


def _equal(layers: Sequence[list[Block]]) -> Iterator[tuple[int, int]]:
    """First and last index of each run of equal layers."""
    first = 0
    for index in range(1, len(layers) + 1):
        if index == len(layers) or layers[index] != layers[first]:
            yield first, index - 1
            first = index


# Families and tasks ---------------------------------------------------------------------------------------------------


def family_page(name: str, family: Family) -> str:
    """What it loads, how tasks are posed to it, its shapes and what techniques reach."""
    checkpoint = find(next(iter(family.shapes))) if family.shapes else None
    sections = [
        f"# {family.title} (`{name}`)",
        _NOTE,
        _doc(type(family)),
        f"{'A' if family.architecture == 'decoder' else 'An'} {family.architecture} family. "
        + (
            "It loads checkpoints whose `model_type` is " + ", ".join(f"`{kind}`" for kind in family.model_types) + "."
            if family.model_types
            else "It loads checkpoints of every `model_type` of this shape that no other family names."
        ),
        "## Tasks",
        _table(["task", "posed as", "class of transformers"], _posed(family)),
        "## Techniques that do not apply",
        _bullets(_refused(family)),
    ]
    if checkpoint is not None:
        posed = next(iter(family.auto_classes))
        model = base_of(family.skeleton(checkpoint.config, posed, objectives()[posed].head(_CLASSES)))
        inside = [
            [f"`{role}`", ", ".join(f"`{path}`" for path in at)] for role, at in family.projections(model).items()
        ]
        stages = ", ".join(stage.name for stage in family.stages(model))
        sections += [
            "## Stages",
            f"Where a model can be cut, lowest first (`{checkpoint.name}`): {stages}.",
            "## Targets",
            "What `targets` of LoRA and similar techniques select in each layer:",
            _table(["role", "modules"], inside),
            "## Shapes known offline",
            "`tunebench plan` counts these without a network:",
            _bullets([f"`{shape}`" for shape in family.shapes]),
        ]
    return _joined(sections)


_COLUMNS = {
    "sequence_classification": "texts",
    "token_classification": "tokens",
    "question_answering": "spans",
    "causal_lm": "continues",
    "text_to_text": "writes",
}


def types_page(known: dict[str, Any]) -> str:
    """Every text type of transformers: what it can be asked, which techniques apply, and what is refused."""
    rows = known["types"]
    tuned = {kind: row for kind, row in rows.items() if "heads" in row}
    refused = {kind: row["refused"] for kind, row in rows.items() if "refused" in row}
    uncut = [kind for kind, row in tuned.items() if "uncut" in row]
    untried = [f"`{kind}`" for kind, row in rows.items() if "untried" in row]
    looked = [f"`{kind}`" for kind, row in tuned.items() if not row.get("trained", True)]
    sections = [
        "# Every `model_type`",
        _NOTE,
        f"transformers {known['transformers']} has {len(rows)} types of text models. {len(tuned)} are loaded, "
        f"{len(refused)} are refused. Of those that are loaded, {len(uncut)} are not cut above every frozen stage, and "
        "train uncut there, which takes longer.",
        f"A tiny model with random weights of {len(tuned) - len(looked)} types was trained for a step with every "
        "technique on every objective. *Texts* are classes, several labels, or scores; *tokens* are tags; *spans* are "
        "answers in a text; *continues* is a language model, *writes* an encoder-decoder. `classifier_head` applies "
        "where the head is new, `llrd` where `full` does, `dora`, `adalora` and `peft` where `lora` does, "
        "`prefix_tuning` where `p_tuning_v2` does. Pretrained weights of most types were not at hand.",
        *([f"{len(untried)} types were not tried, for want of a tiny model: {', '.join(untried)}."] * bool(untried)),
        *(
            [f"Of {len(looked)} types the parts were found, and nothing was trained: {', '.join(looked)}."]
            * bool(looked)
        ),
    ]
    for shape in dict.fromkeys(row["shape"] for row in tuned.values()):
        lines = [_type_row(kind, row) for kind, row in tuned.items() if row["shape"] == shape]
        header = ["type", *_COLUMNS.values(), "techniques that do not apply", "uncut"]
        sections += [f"## {shape.capitalize()}s", _table(header, lines)]
    sections += ["## Refused", _table(["type", "why"], [[f"`{kind}`", why] for kind, why in refused.items()])]
    return _joined(sections)


def _type_row(kind: str, row: dict[str, Any]) -> list[str]:
    heads = ["yes" if head in row["heads"] else "" for head in _COLUMNS]
    reasons: dict[str, list[str]] = {}
    for technique, why in row.get("not_applicable", {}).items():
        if technique != "classifier_head":
            reasons.setdefault(why, []).append(f"`{technique}`")
    refused = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
    uncut = [f"`{name}`" for name in sorted({name for names in row.get("uncut", {}).values() for name in names})]
    return [f"`{kind}`", *heads, refused, ", ".join(uncut)]


def _posed(family: Family) -> list[list[str]]:
    rows = []
    for name, task in tasks().items():
        posed = task.objective_of(family.auto_classes)
        rows.append(
            [
                f"[`{name}`](../tasks/{name}.md)",
                *([f"`{posed}`", f"`{family.auto_classes[posed]}`"] if posed else ["-", "-"]),
            ]
        )
    return rows


def _refused(family: Family) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for name, entry in techniques().items():
        for asked, task in tasks().items():
            posed = task.objective_of(family.auto_classes)
            reason = (
                entry(**guides()[name].example).not_applicable(family, posed)
                if posed and issubclass(entry, Technique)
                else None
            )
            if reason:
                reasons.setdefault(f"[`{name}`](../techniques/{name}.md): {reason}", []).append(asked)
    return [f"{reason} ({', '.join(on)})" for reason, on in reasons.items()] or ["none"]


def task_page(name: str, task: Task) -> str:
    """Data, metrics, caveats, and how each family poses the task."""
    posed = {family: task.objective_of(family.auto_classes) for family in families().values()}
    rows = [
        [f"[{family.title}](../families/{family.name}.md)", f"`{way}`" if way else "cannot pose it"]
        for family, way in posed.items()
    ]
    prompt = task.prompt if isinstance(task, Written) else ""
    metrics = [
        [f"`{metric}`" + (" (main)" if place == 0 else ""), METRICS[metric].title, METRICS[metric].source]
        for place, metric in enumerate(task.metrics)
    ]
    hub = task.hub
    where = f"[{hub.id}](https://huggingface.co/datasets/{hub.id}), revision `{hub.revision}`." if hub else "none."
    return _joined(
        [
            f"# {task.title} (`{name}`)",
            _NOTE,
            f"Posed as `{task.objective}`, version {task.version}, at most {task.max_tokens} tokens.",
            "## Data",
            f"Hub: {where}",
            f"Under `--data-root`: `{task.folder}/<split>.parquet`.",
            f"Licence: {task.licence}.",
            _source(task.citation),
            *([f"Labels: {', '.join(f'`{label}`' for label in task.labels)}."] if task.labels else []),
            *([f"What a model that answers in words reads:\n\n```text\n{prompt}\n```"] if prompt else []),
            *(["## What to know", _bullets(task.caveats)] if task.caveats else []),
            "## Metrics",
            _table(["metric", "name", "source"], metrics),
            "## Families",
            _table(["family", "posed as"], rows),
            f"`tunebench show {name}` prints examples of the shipped data.",
        ]
    )


# The reference of study files -----------------------------------------------------------------------------------------


def reference_page() -> str:
    """Every part of a study file; of a problem type only what differs from every task."""
    sections = [
        "# Reference of study files",
        _NOTE,
        "Every field with its type, range, default and meaning; `tunebench show study`, `tunebench show training` and "
        "`tunebench show sequence_classification` print the same. [Study files](study-files.md) explains them with "
        "examples, and the pages of [techniques](techniques/index.md) have their settings.",
        "An editor that knows JSON schemas completes and checks a study while you write it. Write the schema to a file "
        "beside the study, and name it in the study's first line:",
        "```sh\ntunebench show study --json-schema > study.schema.json\n```",
        "```yaml\n# yaml-language-server: $schema=study.schema.json\n```",
    ]
    common = described(Task)
    for name, part in parts().items():
        fields = described(part)
        if issubclass(part, Task) and part is not Task:
            sections += [f"## A task: `{name}`", summary(part), "As every `task`, and:"]
            fields = [field for field in fields if field not in common]
        else:
            sections += [f"## `{name}`", summary(part)]
        rows = [[f"`{field.name}`", field.type, field.default or "must be given", field.meaning] for field in fields]
        sections.append(_table(["field", "value", "default", "meaning"], rows))
    return _joined(sections)


# Markdown -------------------------------------------------------------------------------------------------------------


def _doc(cls: type) -> str:
    import inspect

    return (inspect.getdoc(cls) or "").replace("*", r"\*")


def _source(text: str) -> str:
    return "Source: " + re.sub(r"(https?://\S+?)(?=[\s,)]|$)", r"<\1>", text)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> None:
    """Write all pages, and remove those of entries that no longer exist."""
    made = pages()  # a mistake in a guide leaves the old pages
    for kind in ("techniques", "families", "tasks"):
        shutil.rmtree(DOCS / kind, ignore_errors=True)
    for path, text in made.items():
        (DOCS / path).parent.mkdir(exist_ok=True)
        (DOCS / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
