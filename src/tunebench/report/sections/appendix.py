"""What is needed to check the figures or to make them again: every run, every setting, the data, the machine."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunebench.records import Done, Failed
from tunebench.report import text
from tunebench.report.read.comparisons import Comparison
from tunebench.report.read.study import StudyResults
from tunebench.report.stats.paired import Difference, Pairs
from tunebench.report.table import Column, Entry, Table, table


def appendix(comparisons: Sequence[Comparison], tested: Sequence[Pairs | None]) -> list[tuple[str, list[Table]]]:
    """The appendix's sections: title and tables."""
    pairs = [_pairs(comparison, tests) for comparison, tests in zip(comparisons, tested, strict=True) if tests]
    return [
        ("Every pair of techniques", pairs),
        ("Every run", [_runs(comparison) for comparison in comparisons]),
        ("Settings of the techniques", [_settings(comparison) for comparison in comparisons]),
        ("Training settings", [found for comparison in comparisons for found in _training(comparison)]),
        ("Data", [found for comparison in comparisons for found in _data(comparison)]),
    ]


def differences(caption: str, records: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Table]:
    """One line a field; where records differ, each value with whose it is. No table if there is nothing to tell."""
    fields: dict[str, dict[str, list[str]]] = {}
    owners = []
    for owner, record in records:
        owners.append(owner)
        for name, value in record.items():
            fields.setdefault(name, {}).setdefault(text.plain(value), []).append(owner)
    rows = []
    for name, values in fields.items():
        for value, having in values.items():
            rows.append([name, value, _whose(having, owners)])
    columns = [Column("Field", numeric=False), Column("Value", numeric=False), Column("Of", numeric=False)]
    return [table(caption, columns, rows)] if rows else []


def _whose(having: Sequence[str], owners: Sequence[str]) -> str:
    """All, or the shorter of the two lists: who has it, or who has not."""
    others = [owner for owner in owners if owner not in having]
    if not others:
        return "all"
    return f"all but {', '.join(others)}" if len(others) < len(having) else ", ".join(having)


def _pairs(comparison: Comparison, tests: Pairs) -> Table:
    """Every pair of techniques: the difference, its interval, and how likely chance alone makes one as large."""
    assert comparison.main is not None
    columns = [
        Column("Better", numeric=False), Column("Worse", numeric=False), Column("Difference"), Column("p"),
        Column("p, corrected"),
    ]  # fmt: skip
    rows = [
        [
            first,
            second,
            Entry(
                text.score(abs(d.value)), text.interval(_turned(d)) if d.interval else "no interval", order=abs(d.value)
            ),
            Entry(_chance(d.p), order=d.p),
            Entry(_chance(d.adjusted), order=d.adjusted),
        ]
        for d in tests.differences
        for first, second in [(d.first, d.second) if d.value >= 0 else (d.second, d.first)]
    ]
    return table(f"{comparison.task} with {comparison.model}, {text.metric_title(comparison.main[0])}", columns, rows)


def _turned(difference: Difference) -> tuple[float, float]:
    assert difference.interval is not None
    low, high = difference.interval
    return (low, high) if difference.value >= 0 else (-high, -low)


def _chance(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _runs(comparison: Comparison) -> Table:
    titles = ("Main metric", "Best epoch", "Epochs", "Steps", "Train tokens", "Tokens/s", "Prefix", "Train", "Evaluate",
              "Whole run", "Peak memory", "Saved")  # fmt: skip
    columns = [
        Column("Run", numeric=False),
        *map(Column, titles),
        Column("Prefix cached", numeric=False),
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
                rows.append([name, Entry(f"{run.status.replace('_', ' ')}{words}", span=len(columns) - 1)])
    return table(f"{comparison.task} with {comparison.model}", columns, rows)


def _figures(result: Done) -> list[Entry | str]:
    main, cost = result.main_metric, result.cost
    bounds = result.intervals.get(main.name)
    return [
        Entry(text.score(main.value), text.interval(bounds) if bounds else "no interval", order=main.value),
        text.ABSENT if result.best_epoch is None else str(result.best_epoch),
        str(cost.epochs),
        text.count(cost.steps),
        text.count(cost.train_tokens),
        text.ABSENT if cost.tokens_per_second is None else f"{cost.tokens_per_second:,.0f}",
        *(Entry(text.seconds(spent), order=spent)
          for spent in (cost.trunk_seconds, cost.train_seconds, cost.evaluation_seconds, cost.total_seconds)),
        *(Entry(text.megabytes(size), order=size) for size in (cost.peak_memory_bytes, cost.saved_bytes)),
        "yes" if cost.cached else "no",
    ]  # fmt: skip


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
            record |= {f"texts cut, {split}": number for split, number in data.truncated.items()}
            record |= {f"note {number}": note for number, note in enumerate(data.notes, 1)}
            if result.backbone:
                record |= {f"model {name}": value for name, value in result.backbone if value is not None}
            records.append((f"{row.label} s{result.run.seed}", record))
    return differences(f"{comparison.task} with {comparison.model}", records)


def environment(study: StudyResults) -> list[Table]:
    """Machine, and versions of the code and its libraries; where runs differ, each value with whose it is."""
    records = [
        (run.name, {k: v for k, v in run.result.environment.items() if k != "packages"}
         | dict(run.result.environment.get("packages", {})))
        for run in study.runs if isinstance(run.result, Done | Failed)
    ]  # fmt: skip
    return differences("Where the runs were made, and with which versions", records)
