"""Quality, verdict and cost of every technique on one model and task."""

from collections.abc import Callable, Sequence
from statistics import fmean

from tunebench.records import Cost, Done
from tunebench.report import text
from tunebench.report.blocks import BEST, Block, Column, Table, TableEntry, Text, for_paper, items, table
from tunebench.report.read.comparisons import Comparison, Interval, Row, Score
from tunebench.report.read.costs import ON_REQUEST, TARGET, TEXT, OnRequest, fronts, latencies, seconds_to_target
from tunebench.report.read.timing import Clock
from tunebench.report.sections.base import Case
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import IN_THIS_RUN, judge, winners


def blocks(case: Case) -> list[Block]:
    """The table, and how splits were carved, limited or replaced."""
    marked = winners(case.comparison, case.tests) or not case.comparison.best
    unmarked = "No technique is marked as the best: see the verdicts."
    shown: list[Block] = [
        for_paper(comparison_table(case.comparison, case.tests)),
        Text(f"{BEST} best of this table." if marked else unmarked, "fine"),
    ]
    notes = [*_on_costs(case.comparison), *case.comparison.notes]
    return [*shown, *([items(notes, "fine")] if notes else [])]


def _on_costs(comparison: Comparison) -> list[str]:
    """What the study paid for trunks, and by which clock tuning times are compared."""
    costs = [result.cost for row in comparison.rows for result in row.done]
    lines = []
    if any(cost.trunk_seconds and cost.computed_trunk_seconds is not None for cost in costs):
        paid = sum(cost.computed_trunk_seconds or 0.0 for cost in costs)
        lines.append(
            "Each run is charged what computing its frozen trunk takes, whichever run did it. Paid once per study: "
            f"{text.seconds(paid)} for all trunks of this table."
        )
    clock = comparison.clock
    if comparison.unequal_load:
        by = {
            Clock.WALL: "no other clock measured them",
            Clock.CPU: "techniques are compared by CPU seconds",
            Clock.RETIMED: "techniques are compared by re-timed steps",
        }
        lines.append(f"The wall-clock times of this table were measured under unequal load; {by[clock]}.")
    if clock is Clock.RETIMED:
        cells = [row.timing.retimed for row in comparison.rows if row.timing.retimed]
        busy = max(cell.busy_cores for cell in cells)
        lines.append(
            "Re-timed: seconds per step, measured side by side by 'tunebench time' while other processes kept at most "
            f"{busy:.1f} cores busy, times the run's steps, and the trunk."
        )
    return lines


def comparison_table(comparison: Comparison, tests: Pairs | None = None) -> Table:
    """Quality, verdict, cost and outcome of every technique on one model and task, best first."""
    metrics = [Column(text.metric_title(name), usual=place == 0) for place, name in enumerate(comparison.metrics)]
    costs, unbeaten = _cost_columns(comparison), fronts(comparison)
    troubled = any(row.troubles for row in comparison.rows)
    columns = [
        Column("Technique", numeric=False),
        *metrics,
        *([Column("Verdict", numeric=False, note=_about(tests))] if tests else []),
        *([Column("Group", numeric=False)] if tests and tests.groups else []),
        Column("Trainable parameters"),
        Column("Share", usual=False),
        *(column for column, _ in costs),
        Column("Pareto front", numeric=False, usual=False),
        Column("Seeds", usual=False),
        *([Column("Outcome", numeric=False)] if troubled else []),
    ]
    rows = [
        [
            _name(row, comparison),
            *_outcome(row, comparison, tests, costs, unbeaten[row.label], troubled, len(columns) - 1),
        ]
        for row in comparison.listed
    ]
    return table(_caption(comparison), columns, rows)


def _caption(comparison: Comparison) -> str:
    if comparison.main is None:
        return "No figures yet"
    name, higher, split = comparison.main
    return f"{split.capitalize()} split, sorted by {text.metric_title(name)}, {'highest' if higher else 'lowest'} first"


def _name(row: Row, comparison: Comparison) -> TableEntry:
    notes = ["baseline: no weights tuned"] if row.baseline else []
    if others := comparison.other_settings.get(row.label):
        notes.append(f"best of {len(others) + 1} settings on validation")
    elif row not in comparison.ranked:
        notes.append("other setting")
    if 0 < len(row.done) < len(row.runs):
        notes.append(f"only {len(row.done)} of {len(row.runs)} seeds")
    notes = [row.label, *notes] if row.name != row.label else notes
    return TableEntry(row.name, ", ".join(notes))


def _parameters(row: Row) -> list[TableEntry]:
    if row.parameters is None:
        return [TableEntry(text.ABSENT), TableEntry(text.ABSENT)]
    trainable, total = row.parameters.trainable, row.parameters.total
    if row.without_backbone:  # its parameters are no share of a model
        return [TableEntry(text.count(trainable), order=trainable), TableEntry(text.ABSENT)]
    part = TableEntry(text.share(trainable, total), order=trainable / total if total else None)
    return [TableEntry(text.count(trainable), order=trainable), part]


CostColumn = tuple[Column, Callable[[Sequence[Done]], TableEntry]]


def _cost_columns(comparison: Comparison) -> list[CostColumn]:
    def mean_seconds(of: Callable[[Cost], float]) -> Callable[[Sequence[Done]], TableEntry]:
        def shown(done: Sequence[Done]) -> TableEntry:
            mean = fmean(of(result.cost) for result in done)
            return TableEntry(text.seconds(mean), order=mean)

        return shown

    def most(of: Callable[[Cost], int | None]) -> Callable[[Sequence[Done]], TableEntry]:
        def shown(done: Sequence[Done]) -> TableEntry:
            known = [size for result in done if (size := of(result.cost)) is not None]
            return TableEntry(text.megabytes(max(known)), order=max(known)) if known else TableEntry(text.ABSENT)

        return shown

    load = "unequal load" if comparison.unequal_load else ""
    goal = f"{100 * TARGET:g} % of the best{'; ' * bool(load)}{load}"
    by_wall = comparison.clock is Clock.WALL
    columns: list[CostColumn] = [
        *_compared_times(comparison),
        (Column("Trunk", note=load, usual=False), mean_seconds(lambda cost: cost.trunk_seconds)),
        (Column("Train", note=load, usual=by_wall), mean_seconds(lambda cost: cost.train_seconds)),
        (Column("To target", note=goal, usual=False), lambda done: _to_target(comparison, done)),
        (Column("Whole run", note=load, usual=False), mean_seconds(lambda cost: cost.total_seconds)),
        (Column("Epochs", usual=False), lambda done: _span([result.cost.epochs for result in done])),
        (Column("Best epoch", usual=False), _best_epoch),
        (Column("Peak memory", usual=False), most(lambda cost: cost.peak_memory_bytes)),
        (Column("Peak GPU memory", usual=False), most(lambda cost: cost.peak_gpu_memory_bytes)),
        (Column("Saved"), most(lambda cost: cost.saved_bytes)),
        (Column("Latency", usual=False), lambda done: _latency(latencies(done, merged=False))),
        (Column("Latency, merged", usual=False), lambda done: _latency(latencies(done, merged=True))),
        *_asked_for(comparison),
    ]
    results = [result for row in comparison.rows for result in row.done]
    measured = {
        "Peak GPU memory": any(result.cost.peak_gpu_memory_bytes is not None for result in results),
        "Latency": any(result.cost.latency_seconds is not None for result in results),
        "Latency, merged": any(result.cost.merged_latency_seconds is not None for result in results),
    }
    return [pair for pair in columns if measured.get(pair[0].title, True)]


def _asked_for(comparison: Comparison) -> list[CostColumn]:
    """The costs that only a study's `price_per_hour` or `measure` asks for, where a run has them."""

    def shown_by(one: OnRequest) -> Callable[[Sequence[Done]], TableEntry]:
        words = TEXT[one.unit]

        def shown(done: Sequence[Done]) -> TableEntry:
            known = [value for result in done if (value := one.of(comparison, result.cost)) is not None]
            if len(known) < len(done):
                return TableEntry(text.ABSENT)
            note = f"{words(min(known))}..{words(max(known))}" if min(known) < max(known) else ""
            return TableEntry(words(fmean(known)), note, order=fmean(known))

        return shown

    notes = {"price": f"{comparison.price_per_hour or 0:g} per hour", "forgetting": "nats per token"}
    costs = [result.cost for row in comparison.rows for result in row.done]
    return [
        (Column(one.title, note=notes.get(one.name, "")), shown_by(one))
        for one in ON_REQUEST
        if any(one.of(comparison, cost) is not None for cost in costs)
    ]


def _compared_times(comparison: Comparison) -> list[CostColumn]:
    """The tuning times that techniques are compared by, where these are not the wall-clock times."""
    rows = {result.run.id: row for row in comparison.rows for result in row.done}

    def shown(done: Sequence[Done]) -> TableEntry:
        row = rows[done[0].run.id]
        return TableEntry(text.seconds(row.train_seconds or 0.0), order=row.train_seconds)

    titles = {Clock.CPU: "Tuning, CPU", Clock.RETIMED: "Tuning, re-timed"}
    return [(Column(titles[comparison.clock]), shown)] if comparison.clock in titles else []


def _to_target(comparison: Comparison, done: Sequence[Done]) -> TableEntry:
    seconds = seconds_to_target(comparison, done)
    reached = [spent for spent in seconds if spent is not None]
    if len(reached) == len(seconds):
        return TableEntry(text.seconds(fmean(reached)), order=fmean(reached))
    return TableEntry(f"{len(reached)} of {len(seconds)} seeds" if reached else "not reached")


def _latency(seconds: float | None) -> TableEntry:
    return TableEntry(text.latency(seconds), order=seconds)


def _best_epoch(done: Sequence[Done]) -> TableEntry:
    return _span([result.best_epoch for result in done if result.best_epoch is not None])


def _span(values: list[int]) -> TableEntry:
    return TableEntry(text.span(values), order=max(values)) if values else TableEntry(text.ABSENT)


def _outcome(
    row: Row,
    comparison: Comparison,
    tests: Pairs | None,
    costs: Sequence[CostColumn],
    unbeaten: Sequence[str],
    troubled: bool,
    width: int,
) -> list[TableEntry]:
    troubles = text.one_line("; ".join(row.troubles))
    if not row.done:
        return [TableEntry(troubles, span=width)]
    first, *others = comparison.metrics
    entries = [
        _score(row.score(first), row in winners(comparison, tests), tests.expected.get(row.label) if tests else None),
        *(_score(row.score(name)) for name in others),
        *(_judged(row, comparison, tests) if tests else []),
        *_parameters(row),
        *(shown(row.done) for _, shown in costs),
        TableEntry(", ".join(unbeaten) or text.ABSENT),
        TableEntry(f"{len(row.done)} of {len(row.runs)}", order=len(row.done)),
    ]
    return [*entries, TableEntry(troubles or "done")] if troubled else entries


def _about(tests: Pairs) -> str:
    """What verdicts are about."""
    return IN_THIS_RUN.strip() if tests.one_run else ""


def _judged(row: Row, comparison: Comparison, tests: Pairs) -> list[TableEntry]:
    if row.label not in tests.tested:
        judged = TableEntry("not tested", tests.left_out.get(row.label, ""))
    else:
        judged = TableEntry(judge(comparison, row, tests) or text.ABSENT)
    return [judged, *([TableEntry(tests.groups.get(row.label, text.ABSENT))] if tests.groups else [])]


def _score(score: Score, best: bool = False, expected: Interval | None = None) -> TableEntry:
    if not score.values:
        return TableEntry(text.ABSENT)
    missing = sum(value is None for value in score.values)
    if missing:
        return TableEntry(text.UNDEFINED, f"in {missing} of {len(score.values)} seeds" if len(score.values) > 1 else "")
    if expected:
        note = text.interval(expected)
    elif len(score.values) > 1 and score.range:
        note = f"{text.score(score.range[0])}..{text.score(score.range[1])}"
    else:
        note = text.interval(score.interval) if score.interval else "no interval"
    return TableEntry(text.score(score.mean), note, best, order=score.mean)
