"""The published comparison's figures next to those measured here."""

import functools
from importlib import resources
from typing import Any

import yaml

from tunebench.report import text
from tunebench.report.blocks import Block, Column, Table, table
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.sections.base import Case

_STUDIES = ("published", "demo")
"""Studies with the published cells."""

_NO_METRIC = ("trainable", "seconds")


@functools.cache
def figures() -> dict[str, Any]:
    """Family -> task -> model, remark, techniques with their figures."""
    return yaml.safe_load(resources.files("tunebench.report.sections").joinpath("published.yaml").read_text("utf-8"))


def blocks(case: Case) -> list[Block]:
    """Nothing in studies of other cells."""
    return [*published(case.comparison, case.study)]


def published(comparison: Comparison, study: str) -> list[Table]:
    """Published and measured figures, if the study has the published cells and anything is measured."""
    cell = figures().get(comparison.family, {}).get(comparison.task)
    if cell is None or study not in _STUDIES or not any(row.done for row in comparison.rows):
        return []
    named = {name: row for row in comparison.rows for name in [row.cell.technique if row.cell else row.label]}
    metrics = dict.fromkeys(m for values in cell["techniques"].values() for m in values if m not in _NO_METRIC)
    columns = [Column("Technique", numeric=False)]
    for metric in metrics:
        columns += [Column(text.metric_title(metric), note=whose) for whose in ("published", "measured")]
    columns += [Column("Trained", note=whose) for whose in ("published", "measured")]
    rows = [_row(name, values, named.get(name), list(metrics)) for name, values in cell["techniques"].items()]
    same = comparison.model == cell["model"] and study == "published"
    other = f" This study uses another model ({comparison.model}) or other data, so the figures are not comparable."
    where = "" if same else other
    return [table(f"Published ({cell['model']}) and measured.{where} {cell['remark']}", columns, rows)]


def _row(name: str, values: dict[str, Any], row: Row | None, metrics: list[str]) -> list[str]:
    shown = [name]
    for metric in metrics:
        mean = row.score(metric).mean if row and row.done else None
        shown += [text.score(values[metric]) if metric in values else text.ABSENT]
        shown += [text.ABSENT if mean is None else text.score(mean)]
    trained = values.get("trainable")
    shown += [text.ABSENT if trained is None else text.count(trained)]
    return [*shown, text.count(row.parameters.trainable) if row and row.parameters else text.ABSENT]
