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
from tunebench.report.stats.verdicts import BEST, EQUAL, FAILS, WORSE, verdict

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
    won: dict[str, list[Comparison]] = {}
    for comparison, _ in ranked:
        for row in comparison.best:
            won.setdefault(row.title, []).append(comparison)
    order = sorted(won.items(), key=lambda item: -len(item[1]))
    if len(ranked) == 1:
        comparison = ranked[0][0]
        assert comparison.main is not None
        value = f"{text.metric_title(comparison.main[0])} {text.score(comparison.main_score(comparison.best[0]).mean)}"
        yield f"Best on {comparison.task} with {comparison.model}: {_listed(list(won))}, with {value}."
    elif len(ranked) <= _PLACES and len({comparison.model for comparison, _ in ranked}) == 1:
        shown = "; ".join(f"{title} on {_listed([cell.task for cell in cells])}" for title, cells in order)
        yield f"Best with {ranked[0][0].model}: {shown}."
    elif len(ranked) <= _PLACES:
        shown = "; ".join(f"{title} on {_places(cells)}" for title, cells in order)
        yield f"Best in each cell (one model on one task): {shown}."
    else:
        shown = _listed([f"{title} in {len(cells)}" for title, cells in order])
        yield f"Best in {len(ranked)} cells (one model on one task): {shown}."


def _places(cells: Sequence[Comparison]) -> str:
    tasks: dict[str, list[str]] = {}
    for comparison in cells:
        tasks.setdefault(comparison.model, []).append(comparison.task)
    return ", and on ".join(f"{_listed(names)} with {model}" for model, names in tasks.items())


def _ties(tested: Judged) -> Iterator[str]:
    if not tested:
        return
    tied = sum(any(verdict(c, row, tests) == EQUAL for row in c.rows) for c, tests in tested)
    among = _counted(tested, BEST, EQUAL)
    often = f" Best or tied with the best: {_shares(tested, among)}." if among else ""
    cells = text.plural(len(tested), "cell")
    if tied:
        yield f"The best technique is statistically tied with others in {tied} of {cells}.{often}"
    else:
        yield f"The best technique differs significantly from all others in {len(tested)} of {cells}.{often}"


def _costs(ranked: Judged, tested: Judged) -> Iterator[str]:
    """The technique that is most often the best or tied with it, compared with the one that trains most parameters."""
    rows = _rows(ranked)
    most = max(rows, key=lambda label: median(map(_trainable, rows[label])))
    if not any(map(_trainable, rows[most])):
        return
    title = rows[most][0].title
    rivals = [
        label for label, _ in _counted(tested, BEST, EQUAL) if label != most and any(map(_trainable, rows[label]))
    ]
    if not rivals:
        spent = text.seconds(median(row.train_seconds or 0 for row in rows[most]))
        count = text.count(round(median(map(_trainable, rows[most]))))
        yield (
            f"No cheaper technique is the best of a cell or tied with it. The most parameters are trained by {title}: "
            f"{count} in {spent} (medians)."
        )
        return
    pairs = list(_both(ranked, rivals[0], most))
    figures: list[tuple[str, Callable[[Row], float]]] = [
        ("of the trainable parameters", _trainable),
        ("of the tuning time", lambda row: row.train_seconds or 0),
        ("of the saved bytes", lambda row: max(result.cost.saved_bytes for result in row.done)),
    ]
    shares = [
        f"{text.share(median(of(ours) / of(theirs) for ours, theirs in pairs), 1)} {what}"
        for what, of in figures
        if pairs and all(of(theirs) > 0 for _, theirs in pairs)
    ]
    if shares:
        cells = text.plural(len(pairs), "cell")
        yield (f"Compared with {title}, {rows[rivals[0]][0].title} needs {_listed(shares)} (medians over {cells}).")


def _losers(tested: Judged) -> Iterator[str]:
    if not tested:
        return
    lines = []
    if worse := _counted(tested, WORSE):
        lines.append(f"Clearly worse than the best: {_shares(tested, worse)}.")
    if fails := _counted(tested, FAILS):
        lines.append(f"Not significantly better than the untuned model after training: {_shares(tested, fails)}.")
    yield " ".join(lines) or "No technique is clearly worse than the best of its cell, and none fails."


def _limits(ranked: Judged, notices: Sequence[Group]) -> Iterator[str]:
    lines = []
    if {len(row.done) for comparison, _ in ranked for row in comparison.rows if row.done} == {1}:
        lines.append("Every figure comes from one seed: intervals do not cover the variation between seeds.")
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
            outcome = verdict(comparison, row, tests)
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
    shown = [f"{titles[label]} in {n} of {of}" for label, (n, of) in counted[:named]]
    return _listed([*shown, *([f"{len(counted) - named} more techniques"] if len(counted) > named else [])])


def _listed(words: Sequence[str]) -> str:
    """A list in words: one, two and three."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "none"
