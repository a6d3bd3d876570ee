"""The sentences of a recommendation: the decision first, then its cost, what is unsure, and what would change it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunebench._util.words import inside, listed
from tunebench.advise.decide import Outlook, eligible
from tunebench.advise.limits import Limits, size
from tunebench.advise.race import Standing
from tunebench.advise.recommend import Candidate

MINUTES = 10
_NOTHING = 0.1
"""Points of expected regret that matter to nobody."""


@dataclass(frozen=True)
class Conclusion:
    """What is known when the answer is written.

    Attributes:
        candidates: that may be recommended.
        excluded: that may not.
        outlook: by label.
        standings: by label, of those that were in the race.
        chosen: label.
        accepted: points of regret that a cheaper technique may have.
        data_sets: of the evidence, of the same problem type.
    """

    candidates: Sequence[Candidate]
    excluded: Sequence[Candidate]
    outlook: Mapping[str, Outlook]
    standings: Mapping[str, Standing]
    chosen: str
    accepted: float
    limits: Limits
    price_per_hour: float | None
    data_sets: int
    metric: str

    def named(self, label: str) -> Candidate:
        """The candidate of a label."""
        return next(one for one in self.candidates if one.label == label)


def second_choice(conclusion: Conclusion) -> str | None:
    """The technique with the smallest expected regret of the others, of those about which something is known.

    None: there is no other.
    """
    others = {name: one.regret for name, one in conclusion.outlook.items() if name != conclusion.chosen}
    known = [name for name in others if name in conclusion.standings or conclusion.named(name).expected is not None]
    return min(known or others, key=lambda name: others[name], default=None)


def sentences(conclusion: Conclusion) -> Iterator[str]:
    """The answer."""
    yield _decision(conclusion)
    yield _sureness(conclusion)
    yield _cost(conclusion)
    yield _more_time(conclusion)
    yield from _second(conclusion)
    yield from _changes(conclusion)


def title(one: Candidate) -> str:
    """The technique inside a sentence, with its label where that says more."""
    name = inside(one.searched.run.entry.title)
    return name if one.label == one.searched.run.technique else f"{name} ({one.label})"


def _decision(conclusion: Conclusion) -> str:
    one = conclusion.named(conclusion.chosen)
    standing = conclusion.standings.get(conclusion.chosen)
    rate = getattr((standing.job.run if standing else one.run).entry, "learning_rate", None)
    at = f" at learning rate {rate:g}" if rate else ""
    words = f"Use {title(one)}{at}"
    good = eligible(conclusion.outlook, conclusion.accepted)
    if len(good) > 1:
        words += (
            f": the cheapest ({conclusion.limits.cost_in_words}) of {len(good)} techniques that are not significantly "
            f"behind the best one and cost at most {conclusion.accepted:g} more points of expected regret"
        )
    if standing is not None and standing.score is not None:
        words += f". {conclusion.metric} on validation: {standing.score:.3f}"
        words += "" if standing.status == "finished" else f" after epoch {standing.epochs}"
    return f"{words}."


def _sureness(conclusion: Conclusion) -> str:
    one = conclusion.outlook[conclusion.chosen]
    words = f"P(best) {one.p_best:.0%}, expected regret {one.regret:.1f} points"
    if conclusion.standings:
        return f"{words}, by the race and {_evidence(conclusion)}."
    if conclusion.data_sets:
        return f"{words}, by {_evidence(conclusion)} alone. No run was made: --seconds 600 would race the techniques."
    return (
        f"{words}. There is no data: no earlier result is of this problem type and no run was made, so this is the "
        "cheapest technique and little more. Give --seconds 600."
    )


def _evidence(conclusion: Conclusion) -> str:
    sets = conclusion.data_sets
    return f"the evidence of {sets} data set{'' if sets == 1 else 's'}" if sets else "no evidence of this problem type"


def _cost(conclusion: Conclusion) -> str:
    one = conclusion.named(conclusion.chosen)
    assert one.price is not None
    price = one.price
    parts = [
        f"about {_seconds(price.tuning_seconds)} of training on this machine",
        f"{size(price.memory_bytes)} of memory",
        f"{size(price.saved_bytes)} stored",
    ]
    if conclusion.limits.many_tasks is not None:
        parts[-1] += f" per task, {size(conclusion.limits.cost(price))} for {conclusion.limits.many_tasks} tasks"
    if price.latency_seconds is not None:
        parts.append(f"{1000 * price.latency_seconds:.3g} ms per answer")
    if conclusion.price_per_hour is not None:
        parts.append(f"a price of {price.tuning_seconds / 3600 * conclusion.price_per_hour:.3g}")
    return f"It costs {', '.join(parts)}."


def _more_time(conclusion: Conclusion) -> str:
    regret = conclusion.outlook[conclusion.chosen].regret
    others = {name: one.p_best for name, one in conclusion.outlook.items() if name != conclusion.chosen}
    if regret < _NOTHING or not others:
        return f"{MINUTES} more minutes would buy almost nothing: the expected regret is {regret:.1f} points."
    likeliest = sorted(others, key=lambda name: -others[name])[:3]
    return (
        f"{MINUTES} more minutes would buy at most {regret:.1f} points on average, by settling first what "
        f"{listed(likeliest)} {'is' if len(likeliest) == 1 else 'are'} worth."
    )


def _second(conclusion: Conclusion) -> Iterator[str]:
    second = second_choice(conclusion)
    if second is None:
        return
    one, outlook = conclusion.named(second), conclusion.outlook[second]
    assert one.price is not None
    yield (
        f"Second choice: {title(one)}, P(best) {outlook.p_best:.0%}, expected regret {outlook.regret:.1f} points, "
        f"{_seconds(one.price.tuning_seconds)} of training, {size(one.price.saved_bytes)} stored."
    )


def _changes(conclusion: Conclusion) -> Iterator[str]:
    least = min(conclusion.outlook, key=lambda name: conclusion.outlook[name].regret)
    if least != conclusion.chosen:
        yield (
            f"If every point counts, use {title(conclusion.named(least))}: its expected regret is the smallest, "
            f"{conclusion.outlook[least].regret:.1f} points."
        )
    unmeasured = [title(one) for one in conclusion.excluded if one.unmeasured]
    if unmeasured:
        more = [f"{len(unmeasured) - 5} more"] if len(unmeasured) > 5 else []
        yield f"Not measured and so not compared: {listed([*unmeasured[:5], *more])}. More --seconds measure more."
    limited = [one for one in conclusion.excluded if one.price is not None and one.excluded]
    for one in limited[:3]:
        yield f"Left out by a limit: {title(one)}, as {one.excluded}."


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 0.01 else "less than 0.01 s"
