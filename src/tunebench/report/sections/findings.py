"""A study in five sentences: what wins where, what is not told apart, what it costs, what fails, what to doubt."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from tunebench.report import text
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.sections.notices import Group
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import BEST, EQUAL, FAILS, WORSE, verdict

_PLACES = 12  # more cells than this are counted, not named
_NAMED = 5  # techniques; the others are counted
_NO_DOUBT = ("cached", "uncached", "fresh_module", "truncated", "comparison", "not_merged", "pending",
             "paused", "failed", "not_applicable")  # fmt: skip
"""Notices that say how a figure came about, or are said elsewhere."""

Judged = Sequence[tuple[Comparison, Pairs | None]]


def findings(cells: Judged, notices: Sequence[Group]) -> list[str]:
    """At most five sentences; one whose figures are missing is left out.

    Args:
        cells: comparisons with their paired tests.
        notices: what the report warns of.
    """
    ranked = [(comparison, tests) for comparison, tests in cells if comparison.best]
    if not ranked:
        return ["No technique has a defined main metric yet."]
    tested = [(comparison, tests) for comparison, tests in ranked if tests]
    parts: list[Iterator[str]] = [_winners(ranked), _ties(tested), _costs(ranked, tested), _losers(tested)]
    return [sentence for part in [*parts, _doubts(ranked, notices)] for sentence in part]


def _winners(ranked: Judged) -> Iterator[str]:
    won: dict[str, list[Comparison]] = {}
    for comparison, _ in ranked:
        for row in comparison.best:
            won.setdefault(row.label, []).append(comparison)
    order = sorted(won.items(), key=lambda item: -len(item[1]))
    if len(ranked) == 1:
        comparison = ranked[0][0]
        assert comparison.main is not None
        value = f"{text.metric_title(comparison.main[0])} {text.score(comparison.main_score(comparison.best[0]).mean)}"
        are = "is" if len(won) == 1 else "are"
        yield f"{_listed(list(won))} {are} best on {comparison.task} with {comparison.model}, with {value}."
    elif len(ranked) <= _PLACES and len({comparison.model for comparison, _ in ranked}) == 1:
        said = "; ".join(f"{label} on {_listed([cell.task for cell in cells])}" for label, cells in order)
        yield f"Best with {ranked[0][0].model}: {said}."
    elif len(ranked) <= _PLACES:
        said = "; ".join(f"{label} on {_places(cells)}" for label, cells in order)
        yield f"Best of its cell (a model on a task) is {said}."
    else:
        said = _listed([f"{label} in {len(cells)}" for label, cells in order])
        yield f"Of {len(ranked)} cells (a model on a task), the best is {said}."


def _places(cells: Sequence[Comparison]) -> str:
    tasks: dict[str, list[str]] = {}
    for comparison in cells:
        tasks.setdefault(comparison.model, []).append(comparison.task)
    return ", and on ".join(f"{_listed(found)} with {model}" for model, found in tasks.items())


def _ties(tested: Judged) -> Iterator[str]:
    if not tested:
        return
    tied = sum(any(_says(c, row, t, EQUAL) for row in c.rows) for c, t in tested)
    among = _counted(tested, BEST, EQUAL)
    often = f"; best, or not told apart from the best, are {_shares(among)}" if among else ""
    if tied:
        yield f"In {tied} of {text.plural(len(tested), 'cell')} the best cannot be told apart from others{often}."
    else:
        where = "The" if len(tested) == 1 else f"In all {len(tested)} cells the"
        yield f"{where} best is told apart from all others{often}."


def _costs(ranked: Judged, tested: Judged) -> Iterator[str]:
    """The technique that is most often as good as the best, beside the one that trains most."""
    rows = _rows(ranked)
    most = max(rows, key=lambda label: median(map(_trainable, rows[label])))
    if not any(map(_trainable, rows[most])):
        return
    rivals = [
        label for label, _ in _counted(tested, BEST, EQUAL) if label != most and any(map(_trainable, rows[label]))
    ]
    if not rivals:
        spent = text.seconds(median(row.train_seconds or 0 for row in rows[most]))
        shown = f"{text.count(round(median(map(_trainable, rows[most]))))} parameters in {spent}"
        yield f"{most} trains most, {shown} (medians), and nothing cheaper is as good as the best of its cell."
        return
    pairs = list(_both(ranked, rivals[0], most))
    figures: list[tuple[str, Callable[[Row], float]]] = [
        ("of the trainable parameters", _trainable),
        ("of the tuning time", lambda row: row.train_seconds or 0),
        ("of the saved bytes", lambda row: max(result.cost.saved_bytes for result in row.done)),
    ]
    said = [
        f"{text.share(median(of(ours) / of(theirs) for ours, theirs in pairs), 1)} {what}"
        for what, of in figures
        if pairs and all(of(theirs) > 0 for _, theirs in pairs)
    ]
    if said:
        yield f"Beside {most}, {rivals[0]} takes {_listed(said)} (medians over {text.plural(len(pairs), 'cell')})."


def _losers(tested: Judged) -> Iterator[str]:
    if not tested:
        return
    said = []
    if worse := _counted(tested, WORSE):
        said.append(f"clearly worse than the best: {_shares(worse)}")
    if fails := _counted(tested, FAILS):
        said.append(f"trained, and no better than the untuned model: {_shares(fails)}")
    sentence = "; ".join(said) or "no technique is clearly worse than the best of its cell, and none fails"
    yield f"{sentence[0].upper()}{sentence[1:]}."


def _doubts(ranked: Judged, notices: Sequence[Group]) -> Iterator[str]:
    seeds = {len(row.done) for comparison, _ in ranked for row in comparison.rows if row.done}
    one = "Every figure is of one seed, whose chance no interval holds" if seeds == {1} else None
    doubts = [
        f"“{group.code.replace('_', ' ')}” ({sum(len(abouts) for _, abouts in group.messages)})"
        for group in notices
        if group.code not in _NO_DOUBT
    ]
    noticed = f"notices to read: {_listed(doubts)}" if doubts else None
    found = [part for part in (one, noticed) if part]
    if found:
        sentence = "; ".join(found)
        yield f"{sentence[0].upper()}{sentence[1:]}."


def _counted(tested: Judged, *wanted: str) -> list[tuple[str, tuple[int, int]]]:
    """Techniques with a verdict, most frequent first: in how many of the cells where they were judged."""
    hits: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for comparison, tests in tested:
        for row in comparison.ranked:
            said = verdict(comparison, row, tests)
            judged[row.label] += said is not None
            hits[row.label] += said in wanted
    order = [label for label, n in hits.most_common() if n and not _untuned_everywhere(tested, label)]
    return [(label, (hits[label], judged[label])) for label in order]


def _untuned_everywhere(tested: Judged, label: str) -> bool:
    rows = [row for comparison, _ in tested for row in comparison.rows if row.label == label]
    return all(row.untuned for row in rows)


def _says(comparison: Comparison, row: Row, tests: Pairs | None, wanted: str) -> bool:
    return verdict(comparison, row, tests) == wanted


def _rows(ranked: Judged) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for comparison, _ in ranked:
        for row in comparison.rows:
            if row.done and row.parameters:
                found.setdefault(row.label, []).append(row)
    return found


def _trainable(row: Row) -> int:
    return row.parameters.trainable if row.parameters else 0


def _both(ranked: Judged, one: str, other: str) -> Iterator[tuple[Row, Row]]:
    for comparison, _ in ranked:
        rows = {row.label: row for row in comparison.rows if row.done}
        if one in rows and other in rows:
            yield rows[one], rows[other]


def _shares(counted: Sequence[tuple[str, tuple[int, int]]]) -> str:
    """In how many cells, the first techniques by name."""
    named = _NAMED if len(counted) > _NAMED + 1 else len(counted)  # a name is no longer than "1 more technique"
    shown = [f"{label} in {n} of {of}" for label, (n, of) in counted[:named]]
    return _listed([*shown, *([f"{len(counted) - named} more techniques"] if len(counted) > named else [])])


def _listed(words: Sequence[str]) -> str:
    """One, two and three."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "none"
