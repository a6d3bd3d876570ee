"""How a comparison's settings were found: budgets, trials, and the score against the learning rate."""

from typing import Any

from tunebench.records import SearchedTechnique, Trial
from tunebench.report import text
from tunebench.report.blocks import Block, Charts, Column, Details, Heading, Table, TableEntry, Text
from tunebench.report.charts.search import search_chart
from tunebench.report.sections.base import Case

_BUDGET = (
    Column("Technique", numeric=False),
    Column("Trials"),
    Column("Failed"),
    Column("Seconds"),
    Column("Defaults", note="validation"),
    Column("Chosen", note="validation"),
    Column("Chosen settings", numeric=False),
)


def blocks(case: Case) -> list[Block]:
    """Nothing where nothing was searched."""
    if not case.searched:
        return []
    metric = text.metric_title(case.searched[0].metric)
    chart = search_chart(case.comparison, case.searched, case.looks)
    shown: list[Block] = [
        Heading("How the settings were found"),
        Text(
            f"Each technique had the same budget: {case.budget}, the first with its default settings. The settings "
            f"with the best {metric} on validation were chosen and trained again with fresh seeds; only these runs "
            "read the test split. The validation score of a chosen trial is the best of several, so it is optimistic."
        ),
        Table(f"Budget of each technique, {metric}", _BUDGET, tuple(_budget(one) for one in case.searched), paper=True),
        *([Charts((chart,))] if chart else []),
    ]
    return [*shown, *(Details(_trials(one, metric)) for one in case.searched)]


def _budget(one: SearchedTechnique) -> tuple[TableEntry, ...]:
    scores = [trial.score for trial in one.trials if trial.score is not None]
    best = (max if one.higher_is_better else min)(scores, default=None)
    return (
        TableEntry(one.label),
        TableEntry(str(len(one.trials))),
        TableEntry(str(len(one.trials) - len(scores))),
        TableEntry(f"{sum(trial.seconds for trial in one.trials):.1f}"),
        TableEntry(text.score(one.trials[0].score) if one.trials else text.ABSENT),
        TableEntry(text.score(best)),
        TableEntry(_written(one.chosen) if one.chosen is not None else "the defaults: no trial has a score"),
    )


def _trials(one: SearchedTechnique, metric: str) -> Table:
    names = list(one.space)
    columns = (
        Column("Trial"),
        *(Column(name, numeric=False, note=one.space[name]) for name in names),
        Column(metric, note="validation"),
        Column("Best epoch"),
        Column("Seconds"),
    )
    rows = tuple(
        (
            TableEntry(str(trial.number)),
            *(TableEntry(_value(trial.settings.get(name))) for name in names),
            TableEntry(text.score(trial.score), note=_note(trial)),
            TableEntry(text.ABSENT if trial.best_epoch is None else str(trial.best_epoch)),
            TableEntry(f"{trial.seconds:.1f}"),
        )
        for trial in one.trials
    )
    return Table(f"Trials of {one.label}", columns, rows)


def _note(trial: Trial) -> str:
    if trial.same_as is not None:
        return f"as trial {trial.same_as}"
    return trial.reason or ""


def _written(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
