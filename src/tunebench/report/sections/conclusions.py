"""One comparison in words: which technique is best, which are tied with it, and what they cost."""

from collections.abc import Sequence

from tunebench.report import text
from tunebench.report.blocks import Block, Text, items
from tunebench.report.read.comparisons import Comparison, Interval, Row
from tunebench.report.sections.base import Case
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import CLOSE, EQUAL, FAILS, WORSE, margin, verdict


def blocks(case: Case) -> list[Block]:
    """Warnings that rows are not comparable, then the conclusions."""
    warnings = [Text(warning, "warning") for warning in case.comparison.warnings]
    return [*warnings, items(sentences(case.comparison, case.tests))]


def sentences(comparison: Comparison, tests: Pairs | None = None) -> list[str]:
    """What the numbers show, and what they do not show."""
    if not comparison.best or comparison.main is None:
        return ["No technique has a defined main metric yet.", *_without_rank(comparison)]
    best, *equals = comparison.best
    lines = [_best(comparison, best)]
    if equals:
        lines.append(f"With the same score: {_names(equals)}.")
    lines += _tested(comparison, best, tests) if tests else _by_intervals(comparison, best)
    return [*lines, *_worth_of_pretraining(comparison, tests), *_without_rank(comparison)]


def _best(comparison: Comparison, best: Row) -> str:
    assert comparison.main is not None and best.parameters is not None
    name, higher, split = comparison.main
    score = comparison.main_score(best)
    details = ["higher is better" if higher else "lower is better"]
    if score.interval:
        details.append(f"{_uncertainty(len(score.values))} {text.interval(score.interval)}")
    if len(best.runs) > 1:
        details.append(f"mean of {len(best.done)} of {len(best.runs)} seeds")
    shown = f"{text.metric_title(name)} {text.score(score.mean)} on the {split} split ({'; '.join(details)})"
    return f"Best: {best.title}, {shown}. {_cost(best)}."


def _uncertainty(seeds: int) -> str:
    return "95 % interval" if seeds == 1 else "the seeds' 95 % intervals span"


def _cost(row: Row) -> str:
    assert row.parameters is not None
    spent = text.seconds(row.train_seconds or 0)
    if row.baseline:
        return f"It trained no weights and took {spent}"
    trainable, total = row.parameters.trainable, row.parameters.total
    if row.without_backbone:
        return f"It fitted {text.count(trainable)} parameters of its own, without a pretrained model, in {spent}"
    return f"It trained {text.count(trainable)} parameters ({text.share(trainable, total)}) in {spent}"


def _by_intervals(comparison: Comparison, best: Row) -> list[str]:
    """Comparisons by intervals, if the predictions allow no test."""
    rivals = [row for row in comparison.ranked if row is not best and comparison.main_score(row).mean is not None]
    bounds = comparison.main_score(best).interval
    if not rivals:
        return []
    if bounds is None:
        return [f"No technique is compared with {best.title}, because it has no interval."]
    near, far, unjudged = [], [], []
    for row in rivals:
        other = comparison.main_score(row).interval
        place = unjudged if other is None else near if _overlap(bounds, other) else far
        place.append(row)
    lines = []
    if near:
        lines.append(
            f"Not shown to differ from {best.title} (the 95 % intervals overlap): {_names(near)}. This does not show "
            "that they are equal."
        )
        lines += _fastest(best, near)
    if far:
        lines.append(f"Differ from {best.title} (the 95 % intervals do not overlap): {_names(far)}.")
    if unjudged:
        lines.append(f"Not compared, because they have no interval: {_names(unjudged)}.")
    return lines


def _fastest(best: Row, near: Sequence[Row]) -> list[str]:
    """The cost of the fastest technique that is tied with the best, compared with the best."""
    row = min(near, key=lambda row: row.train_seconds or 0)
    spent, reference = row.train_seconds or 0, best.train_seconds or 0
    if spent >= reference:
        return [f"None of them trained faster than {best.title}."]
    return [f"Fastest of them: {row.title}. {_cost(row)}, {text.share(spent, reference)} of the time of {best.title}."]


def _tested(comparison: Comparison, best: Row, tests: Pairs) -> list[str]:
    """The verdicts, grouped."""
    judged: dict[str, list[Row]] = {}
    for row in comparison.ranked:
        if outcome := verdict(comparison, row, tests):
            judged.setdefault(outcome, []).append(row)
    lines = []
    if near := judged.get(EQUAL):
        lines.append(
            f"Statistically tied with {best.title}: {_names(near)}. The differences are not significant, which does "
            "not show that they are zero."
        )
        lines += _fastest(best, near)
    if close := judged.get(CLOSE):
        near_by = text.score(margin(comparison))
        lines.append(f"Significantly worse than {best.title}, by at most {near_by}: {_names(close)}.")
    if worse := judged.get(WORSE):
        lines.append(f"Clearly worse than {best.title}: {_names(worse)}.")
    if fails := judged.get(FAILS):
        lines.append(f"Not significantly better than the untuned model after training: {_names(fails)}.")
    titles = {row.label: row.title for row in comparison.rows}
    return lines + [f"Not tested: {titles[label]}, because {why}." for label, why in tests.left_out.items()]


def _worth_of_pretraining(comparison: Comparison, tests: Pairs | None) -> list[str]:
    """The best technique that tunes all pretrained weights, compared with the best that starts from random ones."""
    scored = [row for row in comparison.ranked if comparison.main_score(row).mean is not None]
    tuned = next((row for row in scored if row.all_tuned), None)
    scratch = next((row for row in scored if row.from_scratch), None)
    if tuned is None or scratch is None or comparison.main is None:
        return []
    name, higher, _ = comparison.main
    with_it, without = (comparison.main_score(row).mean or 0.0 for row in (tuned, scratch))
    difference = tests.between(tuned.label, scratch.label) if tests else None
    chance = " The difference is not significant." if difference and not difference.significant else ""
    worth = text.score(with_it - without if higher else without - with_it)
    return [
        f"Pretraining improves {text.metric_title(name)} by {worth}: {tuned.title} {text.score(with_it)}, "
        f"{scratch.title} {text.score(without)}. Both train every weight, each at its own learning rate.{chance}"
    ]


def _without_rank(comparison: Comparison) -> list[str]:
    lines = []
    for row in comparison.rows:
        if row.done and comparison.main_score(row).mean is None:
            lines.append(f"Not ranked: {row.title}, because the main metric is undefined.")
        lines += [f"{row.title}: {text.one_line(trouble).rstrip('.')}." for trouble in row.troubles]
    return lines


def _overlap(one: Interval, other: Interval) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _names(rows: Sequence[Row]) -> str:
    return ", ".join(row.title for row in rows)
