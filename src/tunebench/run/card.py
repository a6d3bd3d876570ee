"""The model card of a run's adapter: what it is, what it scores, how it is loaded."""

import json
from pathlib import Path

from tunebench._util.files import write_atomically
from tunebench.evaluation.metrics import METRICS
from tunebench.objectives import objectives
from tunebench.records import Done
from tunebench.run.cell import Cell


def write_card(folder: Path, cell: Cell, done: Done) -> None:
    """Write `README.md`, as the hub expects it."""
    write_atomically(folder / "README.md", _text(cell, done).encode())


def _text(cell: Cell, done: Done) -> str:
    run, technique = cell.run, cell.technique
    settings = json.dumps(technique.model_dump(mode="json"), ensure_ascii=False)
    rows = ", ".join(f"{count:,} {split}" for split, count in done.data.rows.items())
    lines = [
        "---",
        f"base_model: {json.dumps(run.source)}",
        "library_name: peft",
        "---",
        "",
        f"# {technique.title}: {run.model} on {run.task.name}",
        "",
        f"Made by tunebench ({run.id}). `../result.json` has all figures and the conditions of the run.",
        "",
        f"- Model: `{run.model}`{f', commit {done.backbone.commit}' if done.backbone and done.backbone.commit else ''}",
        f"- Task: {run.task.name} ({run.task.objective}), {rows} rows",
        f"- Technique: `{run.technique}` ({technique.paper})",
        f"- Settings: `{settings}`, seed {run.seed}, best epoch {done.best_epoch}",
        f"- Parameters: {done.parameters.trainable:,} of {done.parameters.total:,} train",
        "",
        "## Scores on the test split",
        "",
        *scores_on(done),
        "",
        "## How to load it",
        "",
        "```python",
        *_loading(cell, done),
        "```",
        "",
    ]
    return "\n".join(lines)


def _loading(cell: Cell, done: Done) -> list[str]:
    assert cell.posed is not None, cell.reason
    auto = cell.family.auto_classes[cell.posed]
    count = objectives()[cell.posed].head(done.data.labels).get("num_labels")
    options = f", num_labels={count}" if count is not None else ""
    labels = [f"labels = {json.dumps(list(done.data.labels), ensure_ascii=False)}"] if done.data.labels else []
    return [
        "from peft import PeftModel",
        f"from transformers import AutoTokenizer, {auto}",
        "",
        f"base = {auto}.from_pretrained({json.dumps(cell.run.source)}{options})",
        f"tokenizer = AutoTokenizer.from_pretrained({json.dumps(cell.run.source)})",
        'model = PeftModel.from_pretrained(base, "adapter").eval()  # this folder',
        *labels,
    ]


def scores_on(done: Done) -> list[str]:
    """The lines of a table: the scores on the test split with their intervals."""
    return [
        "| metric | value | 95% interval |",
        "| --- | --- | --- |",
        *(f"| {METRICS[name].title} | {_said(value)} | {_interval(done, name)} |" for name, value in _scores(done)),
    ]


def _scores(done: Done) -> list[tuple[str, float | None]]:
    """The main metric first."""
    return sorted(done.metrics.test.items(), key=lambda item: item[0] != done.main_metric.name)


def _interval(done: Done, name: str) -> str:
    interval = done.intervals.get(name)
    return "unavailable" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _said(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
