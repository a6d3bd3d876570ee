"""A study in five sentences: the best techniques, ties, costs, failures and limits."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from tunebench.report import text
from tunebench.report.blocks import Section, items
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.sections.base import Whole
from tunebench.report.stats.notices import Group
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import (
    BELOW,
    BEST,
    BEST_UNSHOWN,
    CLEARLY,
    EQUIVALENT,
    IN_THIS_RUN,
    TIED,
    UNSHOWN,
    judge,
    rivals,
    winners,
)

_PLACES = 12  # more cells than this are counted, not named
_NAMED = 5  # techniques; the others are counted
_NO_DOUBT = (
    "cached",
    "uncached",
    "fresh_module",
    "truncated",
    "comparison",
    "not_merged",
    "pending",
    "paused",
    "failed",
    "not_applicable",
)
"""Notices that explain a figure, or that the report repeats elsewhere."""

_GOOD = (BEST, TIED, EQUIVALENT)

Judged = Sequence[tuple[Comparison, Pairs | None]]


def sections(whole: Whole) -> list[Section]:
    """The report's first section."""
    judged = [(one.comparison, one.tests) for one in whole.examined]
    return [Section("summary", "Summary", (items(findings(judged, whole.notices), "findings"),))]


def findings(cells: Judged, notices: Sequence[Group]) -> list[str]:
    """At most five sentences; one without figures is left out.

    Args:
        cells: comparisons with their paired tests.
        notices: all notices of the report.
    """
    ranked = [(comparison, tests) for comparison, tests in cells if comparison.best]
    if not ranked:
        return ["No technique has a defined main metric yet."]
    tested = [(comparison, tests) for comparison, tests in ranked if tests]
    parts: list[Iterator[str]] = [
        _winners(ranked),
        _ties(tested),
        _costs(ranked, tested),
        _losers(tested),
        _limits(ranked, notices),
    ]
    return [sentence for part in parts for sentence in part]


def _winners(ranked: Judged) -> Iterator[str]:
    """The best techniques with their costs; a technique that is not shown to beat the untuned model is not the best."""
    won: dict[str, list[tuple[Comparison, Row]]] = {}
    for comparison, tests in ranked:
        for row in winners(comparison, tests):
            won.setdefault(row.title, []).append((comparison, row))
    if not won:
        return
    order = sorted(won.items(), key=lambda item: -len(item[1]))
    named = [(f"{title} ({_price([row for _, row in of])})", [cell for cell, _ in of]) for title, of in order]
    where = {(cell.model, cell.task) for _, of in named for cell in of}
    cells = "each cell" if len(where) == len(ranked) else f"{len(where)} of {len(ranked)} cells"
    if len(ranked) == 1:
        comparison, _ = ranked[0]
        assert comparison.main is not None
        best = won[order[0][0]][0][1]
        value = f"{text.metric_title(comparison.main[0])} {text.score(comparison.main_score(best).mean)}"
        which = "Only score" if comparison.alone else "Best"
        names = _listed([title for title, _ in named])
        run = _runs(ranked) if not comparison.alone else ""
        yield f"{which}{run} on {comparison.task} with {comparison.model}: {names}, with {value}."
    elif len(where) <= _PLACES and len({comparison.model for comparison, _ in ranked}) == 1:
        shown = "; ".join(f"{title} on {_listed([cell.task for cell in of])}" for title, of in named)
        yield f"Best{_runs(ranked)} with {ranked[0][0].model}: {shown}."
    elif len(where) <= _PLACES:
        shown = "; ".join(f"{title} on {_places(of)}" for title, of in named)
        yield f"Best{_runs(ranked)} in {cells} (one model on one task): {shown}."
    else:
        shown = _listed([f"{title} in {len(of)}" for title, of in named])
        yield f"Best{_runs(ranked)} in {cells} (one model on one task): {shown}."


def _price(rows: Sequence[Row]) -> str:
    """The cost of a technique: its own in one cell, medians over several."""
    if len(rows) == 1:
        return rows[0].price
    trained = round(median(map(_trainable, rows)))
    clocks = {row.timing.clock.value for row in rows}
    spent = f"{text.seconds(median(row.train_seconds or 0 for row in rows))}{clocks.pop() if len(clocks) == 1 else ''}"
    return f"{text.plural(trained, 'parameter') if trained else 'no trained weights'} in {spent}; medians"


def _places(cells: Sequence[Comparison]) -> str:
    tasks: dict[str, list[str]] = {}
    for comparison in cells:
        tasks.setdefault(comparison.model, []).append(comparison.task)
    return ", and on ".join(f"{_listed(names)} with {model}" for model, names in tasks.items())


def _ties(tested: Judged) -> Iterator[str]:
    """How sure the best of each cell is."""
    decided = [
        (c, tests)
        for c, tests in tested
        if tests and tests.decidable and any(row.label in tests.tested for row in c.best)
    ]
    led = [(c, tests) for c, tests in decided if winners(c, tests)]
    tied = sum(len(c.best) > 1 or bool(rivals(c, tests)) for c, tests in led if tests)
    lines = []
    ties = [f"tied with or equivalent to others{_in(tied, len(tested))}"] if tied else []
    if apart := len(led) - tied:
        ties.append(f"significantly better than all others tested{_in(apart, len(tested))}")
    if ties:
        lines.append(f"The best technique is {_listed(ties)}{_runs(tested)}.")
    if unshown := len(decided) - len(led):
        lines.append(
            f"The best score is not shown to beat the untuned model{_in(unshown, len(tested))}{_runs(tested)}."
        )
    if mute := sum(not tests.decidable for _, tests in tested if tests):
        lines.append(f"No verdict is possible{_in(mute, len(tested))}: too few test examples or too many techniques.")
    if among := _counted(tested, *_GOOD):
        lines.append(f"Best, tied with it or equivalent{_runs(tested)}: {_shares(tested, among)}.")
    if lines:
        yield " ".join(lines)


def _in(cells: int, of: int) -> str:
    """In how many cells something holds; nothing if there is one."""
    return "" if of == 1 else f" in {'all' if cells == of else f'{cells} of'} {of} cells"


def _costs(ranked: Judged, tested: Judged) -> Iterator[str]:
    """The technique that is most often the best or tied with it, compared with the one that trains most parameters."""
    rows = _rows(ranked)
    most = max(rows, key=lambda label: median(map(_trainable, rows[label])))
    good = [label for label, _ in _counted(tested, *_GOOD) if any(map(_trainable, rows[label]))]
    if good == [most]:
        yield (
            f"Of the tested techniques that train, only {rows[most][0].title} is the best of a cell, tied with it or "
            f"equivalent{_runs(tested)}. It trains the most parameters: {_price(rows[most])}."
        )
    compared = [label for label in good if label != most]
    pairs = list(_both(ranked, compared[0], most)) if compared else []
    if not pairs:
        return
    figures: list[tuple[str, Callable[[Row], float]]] = [
        ("of the trainable parameters", _trainable),
        ("of the tuning time", lambda row: row.train_seconds or 0),
        ("of the saved bytes", lambda row: max(result.cost.saved_bytes for result in row.done)),
    ]
    shares = [
        f"{text.share(median(of(ours) / of(theirs) for ours, theirs in pairs), 1)} {what}"
        for what, of in figures
        if all(of(theirs) > 0 for _, theirs in pairs)
    ]
    if shares:
        medians = f" (medians over {len(pairs)} cells)" if len(pairs) > 1 else ""
        yield f"Compared with {rows[most][0].title}, {rows[compared[0]][0].title} needs {_listed(shares)}{medians}."


def _losers(tested: Judged) -> Iterator[str]:
    """What is shown to be worse, and what is not shown to be worth its training."""
    decided = [(c, tests) for c, tests in tested if tests and tests.decidable]
    if not decided:
        return
    lines = []
    if clearly := _counted(tested, CLEARLY):
        lines.append(f"Clearly worse than the best{_runs(tested)}: {_shares(tested, clearly)}.")
    if unshown := _counted(tested, UNSHOWN, BEST_UNSHOWN):
        lines.append(f"Trained, but not shown to beat the untuned model{_runs(tested)}: {_shares(tested, unshown)}.")
    if below := _counted(tested, BELOW):
        lines.append(
            f"Significantly worse than the untuned model after training{_runs(tested)}: {_shares(tested, below)}."
        )
    yield " ".join(lines) or f"No technique is shown to be clearly worse than the best of its cell{_runs(tested)}."


def _limits(ranked: Judged, notices: Sequence[Group]) -> Iterator[str]:
    lines = []
    single = sum(_once(comparison, tests) for comparison, tests in ranked)
    if single == len(ranked):
        lines.append("There is one seed: all of this is about these runs, not about the techniques.")
    elif single:
        lines.append(
            f"In {single} of {len(ranked)} cells techniques have one seed: verdicts there are about these runs, not "
            "about the techniques."
        )
    doubts = [
        f"“{group.code.replace('_', ' ')}” ({sum(len(runs) for _, runs in group.messages)})"
        for group in notices
        if group.code not in _NO_DOUBT
    ]
    if doubts:
        lines.append(f"See these notices: {_listed(doubts)}.")
    if lines:
        yield " ".join(lines)


def _counted(tested: Judged, *wanted: str) -> list[tuple[str, tuple[int, int]]]:
    """Techniques with one of these verdicts, most frequent first: (cells with it, cells with any verdict)."""
    hits: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for comparison, tests in tested:
        for row in comparison.ranked:
            outcome = judge(comparison, row, tests)
            judged[row.label] += outcome is not None
            hits[row.label] += outcome in wanted
    order = [label for label, n in hits.most_common() if n and not _untuned_everywhere(tested, label)]
    return [(label, (hits[label], judged[label])) for label in order]


def _untuned_everywhere(tested: Judged, label: str) -> bool:
    rows = [row for comparison, _ in tested for row in comparison.rows if row.label == label]
    return all(row.untuned for row in rows)


def _rows(ranked: Judged) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for comparison, _ in ranked:
        for row in comparison.rows:
            if row.done and row.parameters:
                rows.setdefault(row.label, []).append(row)
    return rows


def _trainable(row: Row) -> int:
    return row.parameters.trainable if row.parameters else 0


def _both(ranked: Judged, one: str, other: str) -> Iterator[tuple[Row, Row]]:
    for comparison, _ in ranked:
        rows = {row.label: row for row in comparison.rows if row.done}
        if one in rows and other in rows:
            yield rows[one], rows[other]


def _shares(tested: Judged, counted: Sequence[tuple[str, tuple[int, int]]]) -> str:
    """In how many cells; the first techniques are named, the others counted."""
    titles = {row.label: row.title for comparison, _ in tested for row in comparison.rows}
    named = _NAMED if len(counted) > _NAMED + 1 else len(counted)  # a name is no longer than "1 more technique"
    several = len(tested) > 1
    shown = [f"{titles[label]} in {n} of {of}" if several else titles[label] for label, (n, of) in counted[:named]]
    return _listed([*shown, *([f"{len(counted) - named} more techniques"] if len(counted) > named else [])])


def _once(comparison: Comparison, tests: Pairs | None) -> bool:
    """Whether there is one seed of each technique to compare."""
    return tests.one_run if tests else len(comparison.seeds) == 1


def _runs(cells: Judged) -> str:
    """Ends a claim about cells that all have one seed."""
    if not all(_once(comparison, tests) for comparison, tests in cells):
        return ""
    return IN_THIS_RUN if len(cells) == 1 else " in these runs"


def _listed(words: Sequence[str]) -> str:
    """A list in words: one, two and three."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "none"
