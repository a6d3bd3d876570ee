"""One comparison in words: which technique is best, which are tied with it, and what they cost."""

from collections.abc import Sequence

from tunebench._util.words import listed
from tunebench.report import text
from tunebench.report.blocks import Block, Text, items
from tunebench.report.read.comparisons import Comparison, Interval, Row
from tunebench.report.sections.base import Case
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.seeds import MOST, seeds_needed
from tunebench.report.stats.verdicts import (
    BELOW,
    BEST_UNSHOWN,
    CLEARLY,
    EQUIVALENT,
    IN_THIS_RUN,
    TIED,
    UNSHOWN,
    WORSE,
    judge,
    margin,
    winners,
)

_FEW = 0.05
"""Share of the test examples from which on the least number of different answers is worth saying."""


def blocks(case: Case) -> list[Block]:
    """Warnings that rows are not comparable, then the conclusions."""
    warnings = [Text(warning, "warning") for warning in case.comparison.warnings]
    return [*warnings, items(sentences(case.comparison, case.tests))]


def sentences(comparison: Comparison, tests: Pairs | None = None) -> list[str]:
    """What the numbers show, and what they do not show."""
    if not comparison.best or comparison.main is None:
        return ["No technique has a defined main metric yet.", *_without_rank(comparison)]
    won = winners(comparison, tests)
    best = (won or comparison.best)[0]
    lines = [_best(comparison, best, bool(won), tests), *_seeds(comparison), *_settings(comparison)]
    if equals := [row for row in comparison.best if row is not best]:
        lines.append(f"With the same score: {_names_and_costs(equals)}.")
    lines += _tested(comparison, best, tests) if tests else _by_intervals(comparison, best)
    return [*lines, *_worth_of_pretraining(comparison, tests), *_without_rank(comparison)]


def _best(comparison: Comparison, best: Row, won: bool, tests: Pairs | None) -> str:
    assert comparison.main is not None
    name, higher, split = comparison.main
    score = comparison.main_score(best)
    details = ["higher is better" if higher else "lower is better"]
    if tests and best.label in tests.expected:
        details.append(f"95 % interval over seeds and test examples {text.interval(tests.expected[best.label])}")
    elif score.interval:
        details.append(f"{_uncertainty(len(score.values))} {text.interval(score.interval)}")
    if len(best.runs) > 1:
        details.append(f"mean of {len(best.done)} of {len(best.runs)} seeds")
    shown = f"{text.metric_title(name)} {text.score(score.mean)} on the {split} split ({'; '.join(details)})"
    which = "Only score" if comparison.alone else "Best" if won else "Best score"
    run = IN_THIS_RUN if tests and tests.one_run and not comparison.alone else ""
    return f"{which}{run}: {best.title}, {shown}. {_cost(best)}."


def _seeds(comparison: Comparison) -> list[str]:
    """On which seeds techniques are ranked, if they do not all have the same ones."""
    if not comparison.unequal_seeds:
        return []
    if not comparison.seeds:
        return ["No seed is common to all techniques: their means are over different seeds, and are not tested."]
    seeds = comparison.seeds
    which = f"seed {seeds[0]}, which" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}, which"
    return [f"Techniques are ranked and tested on {which} all of them have."]


def _settings(comparison: Comparison) -> list[str]:
    """Of techniques with several settings, which one speaks for them."""
    chosen = [
        f"{row.title} (of {len(comparison.other_settings[row.label]) + 1})"
        for row in comparison.ranked
        if row.label in comparison.other_settings
    ]
    if not chosen:
        return []
    theirs = "this technique" if len(chosen) == 1 else "these techniques"
    return [
        f"Settings chosen on validation: {', '.join(chosen)}. The other settings of {theirs} are not tested: the one "
        "with the best test score would be favoured by luck."
    ]


def _uncertainty(seeds: int) -> str:
    return "95 % interval" if seeds == 1 else "the seeds' 95 % intervals span"


def _cost(row: Row) -> str:
    assert row.parameters is not None
    spent = row.spent
    if row.baseline:
        return f"It trained no weights and took {spent}"
    trainable, total = row.parameters.trainable, row.parameters.total
    parameters = text.plural(trainable, "parameter")
    if row.without_backbone:
        return f"It fitted {parameters} of its own, without a pretrained model, in {spent}"
    return f"It trained {parameters} ({text.share(trainable, total)}) in {spent}"


def _by_intervals(comparison: Comparison, best: Row) -> list[str]:
    """Comparisons by intervals, if the predictions allow no test."""
    others = [row for row in comparison.ranked if row not in comparison.best]
    others = [row for row in others if comparison.rank_score(row) is not None]
    bounds = comparison.main_score(best).interval
    if not others:
        return []
    if bounds is None:
        return [f"No technique is compared with {best.title}, because it has no interval."]
    near, far, unjudged = [], [], []
    for row in others:
        other = comparison.main_score(row).interval
        place = unjudged if other is None else near if _overlap(bounds, other) else far
        place.append(row)
    lines = []
    if near:
        lines.append(
            f"Not shown to differ from {best.title} (the 95 % intervals overlap): {_names_and_costs(near)}. This does "
            "not show that they are equal."
        )
        lines += _fastest(best, near)
    if far:
        lines.append(f"Not tested, but the 95 % interval does not overlap with that of {best.title}: {_names(far)}.")
    if unjudged:
        lines.append(f"Not compared, because there is no interval: {_names(unjudged)}.")
    return lines


def _fastest(best: Row, near: Sequence[Row]) -> list[str]:
    """The fastest technique that is tied with the best, compared with the best."""
    row = min(near, key=lambda row: row.train_seconds or 0)
    spent, reference = row.train_seconds or 0, best.train_seconds or 0
    if spent >= reference:
        return [f"{'It did not train' if len(near) == 1 else 'None of them trained'} faster than {best.title}."]
    who = "It" if len(near) == 1 else f"The fastest of them, {row.title},"
    return [f"{who} took {text.share(spent, reference)} of the time of {best.title}."]


def _tested(comparison: Comparison, best: Row, tests: Pairs) -> list[str]:
    """The verdicts, grouped."""
    than = best.title if len(comparison.best) == 1 else "the best score"
    judged: dict[str, list[Row]] = {}
    for row in comparison.ranked:
        if outcome := judge(comparison, row, tests):
            judged.setdefault(outcome, []).append(row)
    run, allowed = IN_THIS_RUN if tests.one_run else "", text.score(margin(comparison, tests))
    lines = []
    if equal := judged.get(EQUIVALENT, []):
        lines.append(f"Equivalent to {than}{run} (within {allowed}): {_names_and_costs(equal)}.")
    if near := judged.get(TIED, []):
        one = len(near) == 1
        significance = "The difference is not significant" if one else "The differences are not significant"
        lines.append(
            f"Statistically tied with {than}{run}: {_names_and_costs(near)}. {significance}, which does not show that "
            f"{'it is' if one else 'they are'} zero."
        )
    if equal or near:
        lines += _fastest(best, [*equal, *near])
    if worse := judged.get(WORSE):
        lines.append(f"Significantly worse than {than}{run}: {_names(worse)}.")
    if clearly := judged.get(CLEARLY):
        lines.append(f"Clearly worse than {than}{run} (by more than {allowed}): {_names(clearly)}.")
    unshown = [*judged.get(BEST_UNSHOWN, []), *judged.get(UNSHOWN, [])]
    if unshown:
        lines.append(f"Trained, but not shown to beat the untuned model{run}: {_names(unshown)}.")
    if below := judged.get(BELOW):
        lines.append(f"Significantly worse than the untuned model after training{run}: {_names(below)}.")
    lines += _power(tests, bool(near or unshown))
    lines += _one_run(tests) if tests.one_run and tests.decidable else []
    titles = {row.label: row.title for row in comparison.rows}
    return lines + [f"Not tested: {titles[label]}, because {why}." for label, why in tests.left_out.items()]


def _power(tests: Pairs, ties: bool) -> list[str]:
    """What so few examples, or so many techniques, can show."""
    data = f"{text.plural(tests.examples, 'test example')} and {text.plural(len(tests.tested), 'technique')}"
    if not tests.decidable:
        return [f"No verdict is possible: with {data}, no difference can be significant."]
    if ties and tests.needed is not None and tests.needed > _FEW * tests.examples:
        return [
            f"With {data}, a difference can be significant only if the answers of the two techniques differ in at "
            f"least {tests.needed} of the test examples."
        ]
    return []


def _one_run(tests: Pairs) -> list[str]:
    """What one seed does not say, and how many seeds would settle which technique is the best."""
    about = "Each technique has one seed here: the verdicts are about these runs, not about the techniques."
    known, lead = tests.deviation, next(iter(tests.differences), None)
    if known is None:
        return [f"{about} Nothing is known of the variation between seeds: three seeds or more are needed."]
    spread = (
        f"The standard deviation between seeds is {text.score(known.value)} (pooled over "
        f"{text.plural(known.rows, 'technique')} of {listed(known.cells)})"
    )
    if lead is None or lead.value <= 0 or not lead.error > 0:
        return [f"{about} {spread}: three seeds or more are needed."]
    needed = seeds_needed(lead.value, known.value, lead.error, len(tests.tested))
    settled = (
        f"about {max(needed, 3)} seeds each would show a difference of {text.score(lead.value)}"
        if needed
        else f"{MOST} seeds each would not show a difference of {text.score(lead.value)}"
    )
    return [f"{about} {spread}: {settled} in four of five studies."]


def _worth_of_pretraining(comparison: Comparison, tests: Pairs | None) -> list[str]:
    """The best technique that tunes all pretrained weights, compared with the best that starts from random ones."""
    scored = [row for row in comparison.ranked if comparison.rank_score(row) is not None]
    tuned = next((row for row in scored if row.all_tuned), None)
    scratch = next((row for row in scored if row.from_scratch), None)
    if tuned is None or scratch is None or comparison.main is None:
        return []
    name, higher, _ = comparison.main
    with_it, without = comparison.rank_score(tuned) or 0.0, comparison.rank_score(scratch) or 0.0
    difference = tests.between(tuned.label, scratch.label) if tests else None
    gain = with_it - without if higher else without - with_it
    if difference and tests and difference.significant:
        run = IN_THIS_RUN if tests.one_run else ""
        effect = f"Pretraining {'improves' if gain > 0 else 'worsens'} {text.metric_title(name)}{run} by"
        chance = ""
    else:
        effect = f"Difference of {text.metric_title(name)} between the pretrained and the random start:"
        chance = f" The difference is not {'significant' if difference else 'tested'}."
    return [
        f"{effect} {text.score(abs(gain))} ({tuned.title} {text.score(with_it)}, {scratch.title} "
        f"{text.score(without)}). Both train every weight, each at its own learning rate.{chance}"
    ]


def _without_rank(comparison: Comparison) -> list[str]:
    lines = []
    for row in comparison.rows:
        if row in comparison.short:
            lines.append(
                f"Not judged: {row.title}, which has finished {len(row.done)} of {text.plural(len(row.runs), 'seed')} "
                "and shares less than two with the others. Judged with it, every verdict would be about single runs."
            )
        elif row.done and comparison.rank_score(row) is None:
            lines.append(f"Not ranked: {row.title}, because the main metric is undefined.")
        lines += [f"{row.title}: {text.one_line(trouble).rstrip('.')}." for trouble in row.troubles]
    return lines


def _overlap(one: Interval, other: Interval) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _names(rows: Sequence[Row]) -> str:
    return ", ".join(row.title for row in rows)


def _names_and_costs(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.title} ({row.price})" for row in rows)
