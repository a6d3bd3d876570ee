"""Details for checking or reproducing the figures: every difference, run, setting and data set."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunebench.records import Done
from tunebench.report import text
from tunebench.report.blocks import (
    Block,
    Code,
    Column,
    Details,
    Heading,
    PageOnly,
    Pictures,
    Section,
    Table,
    TableEntry,
    Text,
    table,
)
from tunebench.report.charts import vega
from tunebench.report.read.comparisons import Comparison
from tunebench.report.sections._differences import differences
from tunebench.report.sections.base import Whole
from tunebench.report.stats.paired import Difference, Pairs


def sections(whole: Whole) -> list[Section]:
    """Every tested difference, every run, and all settings and data; each table behind its caption."""
    comparisons = whole.comparisons
    parts = {
        "Differences between techniques": [
            shown for one in whole.examined if one.tests for shown in _pairs(one.comparison, one.tests)
        ],
        "Every run": [_runs(comparison) for comparison in comparisons],
        "Settings of the techniques": [_settings(comparison) for comparison in comparisons],
        "Training settings": [shown for comparison in comparisons for shown in _training(comparison)],
        "Data": [shown for comparison in comparisons for shown in _data(comparison)],
    }
    blocks: list[Block] = []
    for title, tables in parts.items():
        blocks += [Heading(title), *(map(Details, tables) if tables else [Text("No run has recorded it yet.")])]
    if any(isinstance(block, Pictures) for one in whole.examined for block in one.blocks):
        blocks.append(_licences())
    return [Section("appendix", "Appendix", tuple(blocks))]


def _licences() -> PageOnly:
    """Those of the script that draws the page's charts."""
    licences = Code(vega.licence(), "Vega and D3: BSD 3-Clause, ISC, MIT")
    return PageOnly((Heading("Licences of the charts' software"), Details(licences)))


def _pairs(comparison: Comparison, tests: Pairs) -> list[Table]:
    """The differences between techniques with their intervals and p-values, one table per family of comparisons."""
    assert comparison.main is not None
    cell = f"{comparison.task} with {comparison.model}, {text.metric_title(comparison.main[0])}"
    families = {
        f"{cell}: {'every pair' if tests.groups else 'compared with the best'}": tests.differences,
        f"{cell}: compared with the untuned model": tests.untuned,
    }
    return [_family(caption, differences) for caption, differences in families.items() if differences]


def _family(caption: str, differences: Sequence[Difference]) -> Table:
    columns = [
        Column("Technique", numeric=False),
        Column("Compared with", numeric=False),
        Column("Better by", note="95 % interval, corrected"),
        Column("p"),
        Column("p, corrected"),
    ]
    rows = [
        [
            first,
            second,
            TableEntry(
                text.score(abs(d.value)), text.interval(_turned(d)) if d.interval else "no interval", order=abs(d.value)
            ),
            TableEntry(text.chance(d.p), order=d.p),
            TableEntry(text.chance(d.adjusted), order=d.adjusted),
        ]
        for d in differences
        for first, second in [(d.first, d.second) if d.value >= 0 else (d.second, d.first)]
    ]
    return table(caption, columns, rows)


def _turned(difference: Difference) -> tuple[float, float]:
    assert difference.interval is not None
    low, high = difference.interval
    return (low, high) if difference.value >= 0 else (-high, -low)


def _runs(comparison: Comparison) -> Table:
    titles = (
        "Main metric",
        "Best epoch",
        "Epochs",
        "Steps",
        "Train tokens",
        "Tokens/s",
        "Trunk",
        "Train",
        "Evaluate",
        "Trunk of test",
        "Whole run",
        "CPU, tuning",
        "CPU, whole run",
        "Waiting",
        "Other workers",
        "Peak memory",
        "Saved",
    )
    columns = [
        Column("Run", numeric=False),
        *map(Column, titles),
        Column("Trunk cached", numeric=False),
        Column("Folder", numeric=False),
    ]
    rows = []
    for row in comparison.rows:
        for run in row.runs:
            name = f"{row.label}, seed {run.plan.seed}"
            if isinstance(run.result, Done):
                rows.append([name, *_figures(run.result), run.plan.id])
            else:
                words = text.one_line(f": {run.result.reason}", 300) if run.result else ""
                rows.append([name, TableEntry(f"{run.status.replace('_', ' ')}{words}", span=len(columns) - 1)])
    return table(f"{comparison.task} with {comparison.model}", columns, rows)


def _figures(result: Done) -> list[TableEntry | str]:
    main, cost = result.main_metric, result.cost
    bounds = result.intervals.get(main.name)
    return [
        TableEntry(text.score(main.value), text.interval(bounds) if bounds else "no interval", order=main.value),
        text.ABSENT if result.best_epoch is None else str(result.best_epoch),
        str(cost.epochs),
        text.count(cost.steps),
        text.count(cost.train_tokens),
        text.ABSENT if cost.tokens_per_second is None else f"{cost.tokens_per_second:,.0f}",
        *map(_seconds, (cost.trunk_seconds, cost.train_seconds, cost.evaluation_seconds, cost.test_trunk_seconds)),
        *map(_seconds, (cost.total_seconds, cost.tuning_cpu_seconds, cost.total_cpu_seconds)),
        text.ABSENT if cost.waiting_share is None else f"{cost.waiting_share:.0%}",
        text.ABSENT if cost.other_workers is None else f"{cost.other_workers:.1f}",
        *(TableEntry(text.megabytes(size), order=size) for size in (cost.peak_memory_bytes, cost.saved_bytes)),
        "yes" if cost.cached else "no",
    ]


def _seconds(spent: float | None) -> TableEntry:
    return TableEntry(text.ABSENT) if spent is None else TableEntry(text.seconds(spent), order=spent)


def _settings(comparison: Comparison) -> Table:
    columns = [
        Column("Technique", numeric=False),
        Column("Trained by the technique"),
        Column("Trained head"),
        Column("Total parameters"),
        Column("Settings", numeric=False),
    ]
    rows = []
    for row in comparison.rows:
        records = [run.result.run.settings for run in row.runs if run.result]
        known = records[0] if records else row.cell.settings if row.cell else {}
        counts = row.parameters
        shown = [counts.technique, counts.head, counts.total] if counts else []
        rows.append([row.label, *(map(text.count, shown) if shown else [text.ABSENT] * 3), text.settings(known)])
    return table(f"{comparison.task} with {comparison.model}", columns, rows)


def _training(comparison: Comparison) -> list[Table]:
    """A budget is a row's: seeds share it."""
    records = [
        (row.label, {**run.result.run.training, **_task_settings(run.result.run.task_settings)})
        for row in comparison.rows
        for run in row.runs[:1]
        if run.result
    ]
    return differences(f"{comparison.task} with {comparison.model}", records)


def _task_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"task: {name}": value for name, value in settings.items()}


def _data(comparison: Comparison) -> list[Table]:
    records = []
    for row in comparison.rows:
        for result in row.done:
            data = result.data
            record: dict[str, Any] = {"source": data.source, "task version": result.run.task_version}
            record |= {f"rows, {split}": number for split, number in data.rows.items()}
            record |= {"labels": ", ".join(data.labels)} if data.labels else {}
            record |= {"fingerprint": data.fingerprint}
            record |= {f"truncated texts, {split}": number for split, number in data.truncated.items()}
            record |= {f"note {number}": note for number, note in enumerate(data.notes, 1)}
            if result.backbone:
                record |= {f"model {name}": value for name, value in result.backbone if value is not None}
            records.append((f"{row.label} s{result.run.seed}", record))
    return differences(f"{comparison.task} with {comparison.model}", records)
