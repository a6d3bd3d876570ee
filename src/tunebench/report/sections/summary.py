"""What the figures say, in words: only what follows from the numbers, and what does not follow."""

from collections import Counter
from collections.abc import Sequence

from tunebench.report import text
from tunebench.report.read.comparisons import Comparison, Interval, Row
from tunebench.report.read.study import StudyResults
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import CLOSE, EQUAL, FAILS, WORSE, margin, verdict


def progress(study: StudyResults) -> str:
    """How many runs there are, and how they ended."""
    counts = Counter(run.status for run in study.runs)
    parts = [
        f"{counts[status]} {status.replace('_', ' ')}"
        for status in ("done", "failed", "not_applicable", "paused", "pending")
    ]
    return f"{text.plural(len(study.runs), 'run')}: {', '.join(part for part in parts if not part.startswith('0 '))}."


def sentences(comparison: Comparison, tests: Pairs | None = None) -> list[str]:
    """The findings of one comparison, each a plain text."""
    if not comparison.best or comparison.main is None:
        return ["No technique has a defined main metric yet.", *_left_out(comparison)]
    best, *equals = comparison.best
    found = [_best(comparison, best)]
    if equals:
        found.append(f"Exactly equal to it: {_names(equals)}.")
    if tests:
        found += _tested(comparison, best, tests)
        return [*found, *_worth_of_pretraining(comparison, tests), *_left_out(comparison)]
    rivals = [row for row in comparison.ranked if row is not best and comparison.main_score(row).mean is not None]
    bounds = comparison.main_score(best).interval
    if rivals and bounds is None:
        found.append(f"{best.label} has no interval, so it is not judged which techniques differ from it.")
    elif rivals and bounds is not None:
        found += _against(comparison, best, bounds, rivals)
    return [*found, *_worth_of_pretraining(comparison, tests), *_left_out(comparison)]


def _best(comparison: Comparison, best: Row) -> str:
    assert comparison.main is not None and best.parameters is not None
    name, higher, split = comparison.main
    score = comparison.main_score(best)
    shown = f"{text.metric_title(name)} {text.score(score.mean)} on the {split} split"
    shown += f", {_uncertainty(len(score.values))} {text.interval(score.interval)}" if score.interval else ""
    if len(best.runs) > 1:
        shown += f", mean of {len(best.done)} of {len(best.runs)} seeds"
    direction = "Highest" if higher else "Lowest"
    return f"{direction}: {best.label}, with {shown}. {_price(best)}."


def _uncertainty(seeds: int) -> str:
    return "95 % interval" if seeds == 1 else "95 % intervals of its seeds within"


def _price(row: Row) -> str:
    assert row.parameters is not None
    if row.baseline:
        return f"It tuned no weights and took {text.seconds(row.train_seconds or 0)}"
    trainable, total = row.parameters.trainable, row.parameters.total
    if row.without_backbone:
        return f"It fitted {text.count(trainable)} parameters of its own in {text.seconds(row.train_seconds or 0)}"
    return (
        f"It trained {text.count(trainable)} parameters ({text.share(trainable, total)}) "
        f"in {text.seconds(row.train_seconds or 0)}"
    )


def _against(comparison: Comparison, best: Row, bounds: Interval, rivals: Sequence[Row]) -> list[str]:
    near, far, unjudged = [], [], []
    for row in rivals:
        other = comparison.main_score(row).interval
        place = unjudged if other is None else near if _overlap(bounds, other) else far
        place.append(row)
    found = []
    if near:
        found.append(
            f"Not told apart from {best.label}, for the intervals overlap: {_names(near)}. "
            "Overlap does not show that they are equal."
        )
        found += _cheapest(best, near)
    if far:
        found.append(f"Apart from {best.label}, for the intervals do not overlap: {_names(far)}.")
    if unjudged:
        found.append(f"Without an interval, so not judged: {_names(unjudged)}.")
    return found


def _cheapest(best: Row, near: Sequence[Row]) -> list[str]:
    """What the quickest of the techniques that are not told apart costs, beside the best."""
    row = min(near, key=lambda row: row.train_seconds or 0)
    spent, reference = row.train_seconds or 0, best.train_seconds or 0
    if spent >= reference:
        return [f"None of them was quicker to tune than {best.label}."]
    return [
        f"Quickest of them: {row.label}. {_price(row)}, {text.share(spent, reference)} of the time of {best.label}."
    ]


def _tested(comparison: Comparison, best: Row, tests: Pairs) -> list[str]:
    """The verdicts, grouped."""
    judged: dict[str, list[Row]] = {}
    for row in comparison.ranked:
        if found := verdict(comparison, row, tests):
            judged.setdefault(found, []).append(row)
    said = []
    if near := judged.get(EQUAL):
        said.append(f"Not told apart from {best.label}: {_names(near)}. That does not show that they are equal.")
        said += _cheapest(best, near)
    if close := judged.get(CLOSE):
        said.append(f"Worse than {best.label}, by at most {text.score(margin(comparison))}: {_names(close)}.")
    if worse := judged.get(WORSE):
        said.append(f"Clearly worse than {best.label}: {_names(worse)}.")
    if fails := judged.get(FAILS):
        said.append(f"Trained, and no better than the untuned model: {_names(fails)}.")
    said += [f"{label} was not tested: {reason}." for label, reason in tests.left_out.items()]
    return said


def _worth_of_pretraining(comparison: Comparison, tests: Pairs | None) -> list[str]:
    """The best that tuned all pretrained weights, against the best that began with random ones."""
    scored = [row for row in comparison.ranked if comparison.main_score(row).mean is not None]
    tuned = next((row for row in scored if row.all_tuned), None)
    scratch = next((row for row in scored if row.from_scratch), None)
    if tuned is None or scratch is None or comparison.main is None:
        return []
    name, higher, _ = comparison.main
    with_it, without = (comparison.main_score(row).mean or 0.0 for row in (tuned, scratch))
    difference = tests.between(tuned.label, scratch.label) if tests else None
    chance = " Chance explains it as well." if difference and not difference.real else ""
    worth, title = text.score(with_it - without if higher else without - with_it), text.metric_title(name)
    return [
        f"Pretraining is worth {worth} in {title}: {tuned.label} {text.score(with_it)}, {scratch.label} "
        f"{text.score(without)}, with every weight trained in both, each at its own learning rate.{chance}"
    ]


def _left_out(comparison: Comparison) -> list[str]:
    found = []
    for row in comparison.rows:
        if row.done and comparison.main_score(row).mean is None:
            found.append(f"{row.label}: the main metric is undefined, so it has no rank.")
        found += [f"{row.label}: {text.one_line(trouble).rstrip('.')}." for trouble in row.troubles]
    return found


def _overlap(one: Interval, other: Interval) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _names(rows: Sequence[Row]) -> str:
    return ", ".join(row.label for row in rows)
