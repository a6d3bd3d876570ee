"""How a comparison's settings were found: budgets, trials, the score against the learning rate, and races."""

from collections.abc import Sequence
from typing import Any

from tunebench.records import SearchedTechnique, Trial
from tunebench.report import text
from tunebench.report.blocks import Block, Charts, Column, Details, Heading, Table, TableEntry, Text
from tunebench.report.charts.race import race_charts
from tunebench.report.charts.search import search_chart
from tunebench.report.sections.base import Case

_RACED = (Column("Dropped"), Column("Out of time"))


def blocks(case: Case) -> list[Block]:
    """Nothing where nothing was searched."""
    if not case.searched:
        return []
    metric = text.metric_title(case.searched[0].metric)
    raced = any(one.rule for one in case.searched)
    charts = (
        search_chart(case.comparison, case.searched, case.looks),
        *(race_charts(case.comparison, case.searched, case.looks) if raced else ()),
    )
    drawn = tuple(chart for chart in charts if chart is not None)
    shown: list[Block] = [
        Heading("How the settings were found"),
        Text(
            f"Each technique had the same budget: {case.budget}, the first with its default settings. The settings "
            f"with the best {metric} on validation were chosen and trained again with fresh seeds; only these runs "
            "read the test split. The validation score of a chosen trial is the best of several, so it is optimistic."
        ),
        *([Text(rule_of(case.searched))] if raced else []),
        *(Text(_unfinished(one)) for one in case.searched if one.chosen_epoch is not None),
        Table(
            f"Budget of each technique, {metric}",
            _columns(raced),
            tuple(_budget(one, raced) for one in case.searched),
            paper=True,
        ),
        *([Charts(drawn)] if drawn else []),
    ]
    return [*shown, *(Details(_trials(one, metric)) for one in case.searched)]


def rule_of(searched: Sequence[SearchedTechnique]) -> str:
    """How the trials raced, and which rule dropped them."""
    rules = {one.rule for one in searched if one.rule}
    looks = (
        "The trials of each technique raced: each paused after epochs 1, 2, 4, ..., and the one with the best score "
        "continued first, from where it had paused. "
    )
    return looks + " ".join(f"{rule[0].upper()}{rule[1:]}." for rule in sorted(rules))


def _unfinished(one: SearchedTechnique) -> str:
    return (
        f"{one.label}: the seconds ended before any of its trials did. The chosen one had the best score after epoch "
        f"{one.chosen_epoch}, of those with the most epochs."
    )


def _columns(raced: bool) -> tuple[Column, ...]:
    return (
        Column("Technique", numeric=False),
        Column("Trials"),
        *(_RACED if raced else ()),
        Column("Failed"),
        Column("Seconds"),
        Column("Defaults", note="validation"),
        Column("Chosen", note="validation"),
        Column("Chosen settings", numeric=False),
    )


def _budget(one: SearchedTechnique, raced: bool) -> tuple[TableEntry, ...]:
    scores = [trial.score for trial in one.trials if trial.score is not None]
    counts = [sum(trial.status == status for trial in one.trials) for status in ("dropped", "out of time")]
    return (
        TableEntry(one.label),
        TableEntry(str(len(one.trials))),
        *(TableEntry(str(count)) for count in (counts if raced else ())),
        TableEntry(str(len(one.trials) - len(scores))),
        TableEntry(f"{sum(trial.seconds for trial in one.trials):.1f}"),
        _defaults(one),
        TableEntry(text.score(_best(one))),
        TableEntry(_written(one.chosen) if one.chosen is not None else "the defaults: no trial has a score"),
    )


def _defaults(one: SearchedTechnique) -> TableEntry:
    if not one.trials:
        return TableEntry(text.ABSENT)
    first = one.trials[0]
    early = first.status in ("dropped", "out of time") and first.epochs is not None
    return TableEntry(text.score(first.score), note=f"after epoch {first.epochs}" if early else "")


def _best(one: SearchedTechnique) -> float | None:
    """The score of the chosen trial."""
    scores = [trial.score for trial in one.trials if trial.settings == one.chosen and trial.score is not None]
    return (max if one.higher_is_better else min)(scores, default=None)


def _trials(one: SearchedTechnique, metric: str) -> Table:
    names = list(one.space)
    columns = (
        Column("Trial"),
        *(Column(name, numeric=False, note=one.space[name]) for name in names),
        Column(metric, note="validation"),
        *((Column("Epochs"), Column("End", numeric=False)) if one.rule else ()),
        Column("Best epoch"),
        Column("Seconds"),
    )
    rows = tuple(
        (
            TableEntry(str(trial.number)),
            *(TableEntry(_value(trial.settings.get(name))) for name in names),
            TableEntry(text.score(trial.score), note="" if one.rule else _note(trial)),
            *((TableEntry(_count(trial.epochs)), TableEntry(_end(trial, one))) if one.rule else ()),
            TableEntry(_count(trial.best_epoch)),
            TableEntry(f"{trial.seconds:.1f}"),
        )
        for trial in one.trials
    )
    return Table(f"Trials of {one.label}", columns, rows)


def _end(trial: Trial, one: SearchedTechnique) -> str:
    """How a trial of a race ended, and why."""
    if trial.same_as is not None or trial.status is None:
        return _note(trial)
    given = trial.elimination
    if given is None:
        return trial.status + (f": {trial.reason}" if trial.reason else "")
    leader = next((f"trial {other.number}" for other in one.trials if other.run == given.leader), "the leader")
    sign = "-" if one.higher_is_better else "+"
    return (
        f"dropped after epoch {given.epoch}: {sign}{text.score(given.difference)} compared with {leader} "
        f"(p = {given.p:.1g}, level {given.level:.2g})"
    )


def _note(trial: Trial) -> str:
    if trial.same_as is not None:
        return f"as trial {trial.same_as}"
    return trial.reason or ""


def _count(number: int | None) -> str:
    return text.ABSENT if number is None else str(number)


def _written(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
