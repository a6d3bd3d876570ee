"""The model card of what a run leaves, as the hub reads it: what it is, what it scores, what it costs, its limits."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import metadata_load
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from tunebench._util.files import write_atomically
from tunebench._util.words import plural
from tunebench.evaluation.metrics import METRICS
from tunebench.objectives import objectives
from tunebench.records import Done
from tunebench.run.cell import Cell
from tunebench.study import Run
from tunebench.tasks.base import EMBEDDED


@dataclass(frozen=True)
class Use:
    """How what lies beside a card is used.

    Attributes:
        what: it is, in a sentence.
        code: Python that loads it and answers.
        library: the hub's name of what loads it; None: a file that lies beside the card.
        pipeline: the hub's name of what it does; None where none fits.
    """

    what: str
    code: Sequence[str]
    library: str | None = None
    pipeline: str | None = None


def write_adapter_card(folder: Path, cell: Cell, done: Done) -> None:
    """Write the `README.md` of a run's adapter folder."""
    write_atomically(
        folder / "README.md", card(cell.run, done, adapter_use(cell, done), cell.checkpoint.folder).encode()
    )


def adapter_use(cell: Cell, done: Done) -> Use:
    """How PEFT loads a run's adapter."""
    assert cell.posed is not None, cell.reason
    base, auto, objective = cell.run.source, cell.family.auto_classes[cell.posed], objectives()[cell.posed]
    count = objective.head(done.data.labels).get("num_labels")
    options = f", num_labels={count}" if count is not None else ""
    code = [
        "from peft import PeftModel",
        f"from transformers import AutoTokenizer, {auto}",
        "",
        f"base = {auto}.from_pretrained({json.dumps(base)}{options})",
        f"tokenizer = AutoTokenizer.from_pretrained({json.dumps(base)})",
        'model = PeftModel.from_pretrained(base, "adapter").eval()  # this folder',
        *_labels_line(done),
    ]
    return Use("An adapter for PEFT: what was tuned, without its base model.", code, "peft", objective.pipeline)


def model_use(cell: Cell, done: Done) -> Use:
    """How transformers loads a run's model, which lies beside the card."""
    assert cell.posed is not None, cell.reason
    auto = cell.family.auto_classes[cell.posed]
    own = type(cell.family.config(cell.checkpoint.config)).__module__
    code = [
        *([f"import {own.rpartition('.')[0]}  # makes the model known"] if own.startswith("tunebench.") else []),
        f"from transformers import AutoTokenizer, {auto}",
        "",
        'tokenizer = AutoTokenizer.from_pretrained(".")  # this folder',
        f'model = {auto}.from_pretrained(".").eval()',
        *_labels_line(done),
    ]
    return Use(
        "The whole model, in the format of transformers.", code, "transformers", objectives()[cell.posed].pipeline
    )


def _labels_line(done: Done) -> list[str]:
    """The labels as a line of Python, where there are some."""
    return [f"labels = {json.dumps(list(done.data.labels), ensure_ascii=False)}"] if done.data.labels else []


def card(run: Run, done: Done, use: Use, base: Path | None) -> str:
    """The text of a `README.md`.

    Args:
        run: what was made.
        done: its record.
        use: how what lies beside the card is used.
        base: the folder of the base model's files, whose card says its licence; None where there is none.
    """
    entry = run.entry
    lines = [
        "---",
        yaml.safe_dump(_head(run, done, use), sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# {entry.title}: {f'{run.model} on ' if run.entry.reads_model else ''}{run.task.name}",
        "",
        f"{use.what} Made by tunebench {_version(done)}(run `{run.id}`).",
        *_section("How to use it", ["```python", *use.code, "```"]),
        *_section("Scores on the test split", _scores(done)),
        *_section("Data", _items(_data(run, done))),
        *_section("Technique", _items(_technique(run, done))),
        *_section("Costs", _items(_costs(done))),
        *_section("Environment", _items(_environment(done))),
        *_section("Licence", _items(_licence(run, base))),
        *_section("Limits", _items(_limits(run, done))),
        "",
    ]
    return "\n".join(lines)


def _head(run: Run, done: Done, use: Use) -> dict[str, Any]:
    """The fields that the hub searches by."""
    source, hub = done.data.source.partition("@")[0], run.task.hub
    public = hub is not None and source == hub.id
    scores = [
        {"type": name, "name": METRICS[name].title, "value": value}
        for name, value in _ordered(done)
        if value is not None
    ]
    result = {
        "task": {"type": use.pipeline or run.task.objective, "name": run.task.title or run.task.name},
        "dataset": {"type": source if public else run.task.name, "name": run.task.name, "split": "test"},
        "metrics": scores,
    }
    head = {
        "base_model": run.source if run.entry.reads_model and _is_id(run.source) else None,
        "library_name": use.library,
        "pipeline_tag": use.pipeline,
        "license": "other",
        "license_name": "base-model-and-data",
        "datasets": [source] if public else None,
        "tags": ["tunebench", run.technique],
        "model-index": [{"name": run.id, "results": [result]}] if scores else None,
    }
    return {name: value for name, value in head.items() if value is not None}


def _is_id(name: str) -> bool:
    """Whether the hub takes it as a model's name."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _version(done: Done) -> str:
    version = done.environment.get("packages", {}).get("tunebench")
    return f"{version} " if version else ""


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *lines] if lines else []


def _items(sentences: Sequence[str]) -> list[str]:
    return [f"- {_one_line(sentence)}" for sentence in sentences]


def _one_line(text: str) -> str:
    """What others wrote stays one item of a list, and no markup."""
    return re.sub(r"\s+", " ", text).replace("<", "&lt;")


def _scores(done: Done) -> list[str]:
    """A table: the scores with their intervals, the main metric first."""
    rows = [f"| {METRICS[name].title} | {_said(value)} | {_interval(done, name)} |" for name, value in _ordered(done)]
    return ["| metric | value | 95% interval |", "| --- | --- | --- |", *rows]


def _ordered(done: Done) -> list[tuple[str, float | None]]:
    return sorted(done.metrics.test.items(), key=lambda item: item[0] != done.main_metric.name)


def _interval(done: Done, name: str) -> str:
    interval = done.intervals.get(name)
    return "unavailable" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _said(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _data(run: Run, done: Done) -> list[str]:
    data, task = done.data, run.task
    rows = ", ".join(f"{count:,} {split}" for split, count in data.rows.items())
    source = data.source if task.data in (None, EMBEDDED) else _file_names(data.source)
    return [
        f"{task.title or task.name} ({task.objective}), from {source}: {rows} rows; SHA-256 of all examples "
        f"`{data.fingerprint[:16]}`",
        *([f"Labels: {', '.join(data.labels)}"] if data.labels else []),
        *([f"Source: {task.citation}"] if task.citation and task.data != EMBEDDED else []),
        *data.notes,
    ]


def _file_names(source: str) -> str:
    """A user's own files without the folders in which they lie."""
    return ", ".join(re.split(r"[/\\]", place)[-1] for place in source.split(", "))


def _technique(run: Run, done: Done) -> list[str]:
    entry, training = run.entry, run.training.model_dump(mode="json", exclude_defaults=True)
    settings = json.dumps(entry.model_dump(mode="json"), ensure_ascii=False)
    backbone, parameters = done.backbone, done.parameters
    commit = f", commit {backbone.commit}" if backbone and backbone.commit else ""
    fingerprint = f", SHA-256 of its files `{backbone.fingerprint[:16]}`" if backbone else ""
    best = f", best epoch {done.best_epoch} of {done.cost.epochs}" if done.best_epoch is not None else ""
    return [
        f"`{run.technique}`: {entry.title} ({entry.paper})",
        f"Settings: `{settings}`, seed {run.seed}{best}",
        *([f"Training settings other than the defaults: `{json.dumps(training)}`"] if training else []),
        *([f"Base model: `{run.model}`{commit}{fingerprint}"] if run.entry.reads_model else []),
        f"Parameters: {parameters.total:,}, of which {parameters.trainable:,} were trained",
    ]


def _costs(done: Done) -> list[str]:
    cost = done.cost
    tokens = f" of a text of {plural(cost.latency_tokens, 'token')}" if cost.latency_tokens else ""
    return [
        f"Training took {_seconds(cost.trunk_seconds + cost.train_seconds)}, the whole run "
        f"{_seconds(cost.total_seconds)}; {plural(cost.steps, 'optimizer step')}",
        f"Peak memory: {cost.peak_memory_bytes / 1e6:,.0f} MB; saved: {cost.saved_bytes / 1e6:,.2f} MB",
        *([f"Latency{tokens}: {1000 * cost.latency_seconds:.3g} ms"] if cost.latency_seconds is not None else []),
        *([f"Energy: {1000 * cost.energy_kwh:.3g} Wh"] if cost.energy_kwh is not None else []),
    ]


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:,.0f} s"


def _environment(done: Done) -> list[str]:
    known = done.environment
    names = ("device", "precision", "processor", "cores", "threads", "platform", "python")
    packages = known.get("packages", {})
    return [
        ", ".join(f"{name} {known[name]}" for name in names if known.get(name) is not None),
        *([", ".join(f"{name} {version}" for name, version in packages.items())] if packages else []),
    ]


def _licence(run: Run, base: Path | None) -> list[str]:
    own = run.task.data == EMBEDDED
    data = "Apache-2.0, as tunebench" if own else run.task.licence or "not stated; who owns the files decides"
    sentences = [f"Data: {data}"]
    if run.entry.reads_model:
        known = _licence_of(base)
        said = f"`{known}`, as its own card says" if known else "on its own card, which was not read"
        sentences.append(f"Base model: {said}")
    return [*sentences, "Both may restrict what this model may be used for: read them before you publish or sell it"]


def _licence_of(folder: Path | None) -> str | None:
    """What the head of the card in a folder says."""
    path = folder / "README.md" if folder is not None else None
    if path is None or not path.is_file():
        return None
    try:
        head = metadata_load(path) or {}
    except (OSError, ValueError, yaml.YAMLError):
        return None
    licence = head.get("license")
    return licence if isinstance(licence, str) else None


def _limits(run: Run, done: Done) -> list[str]:
    data, task = done.data, run.task
    cut = [f"{count:,} {what}" for what, count in data.truncated.items()]
    longer = f"; longer ones in these data: {', '.join(cut)}" if cut else ""
    return [
        f"The scores are about texts like those of the test split ({plural(data.rows['test'], 'row')}), and about this "
        "one seed. Other domains and languages, fairness and safety were not measured.",
        *([f"{task.max_tokens} tokens of a text are read at most{longer}"] if data.tokens else []),
        *(task.caveats if task.data != EMBEDDED else ()),
        *(notice.message for notice in done.notices),
    ]
