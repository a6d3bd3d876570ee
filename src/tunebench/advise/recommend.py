"""From a study to a recommendation: look, price, rank by evidence, race, decide. The steps, and what they pass on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunebench._util.errors import UserError
from tunebench.advise.decide import Belief
from tunebench.advise.evidence.base import Evidence
from tunebench.advise.evidence.expect import PRIOR_DEVIATION, UNKNOWN, Expectation, behind, expectations
from tunebench.advise.evidence.ranks import Variant, unit
from tunebench.advise.evidence.rates import Rates
from tunebench.advise.evidence.record import changed
from tunebench.advise.evidence.spread import drift
from tunebench.advise.prices import ForecastCost
from tunebench.advise.race import Race, Standing
from tunebench.records import EvidenceCell
from tunebench.run.cell import Cell
from tunebench.study import Run, Searched
from tunebench.techniques.base import Trained

FACTORS = (1.0, 3.0, 1 / 3)
"""Of a technique's suggested rate: the runs of a race try these, in this order."""
RUNGS = (2, 4, 8, 16)
"""Epochs after which techniques are compared; after the first a slow starter looks worse than it is (decision 0024)."""
_FIRST_RUNGS = 0.4
"""The share of a race's seconds that the first rungs of all its runs may take."""
_CHEAP = 0.05
"""The share of a race's seconds up to which a whole run costs next to nothing."""
_UNKNOWN_DRIFT = 5.0  # points; where the evidence has no curves


@dataclass(frozen=True)
class Candidate:
    """A technique that may be recommended.

    Attributes:
        searched: the technique as the study gives it.
        cell: of its run.
        price: None: `excluded` says why.
        excluded: why it may not be recommended.
        expected: its regret on similar data; None: no data.
        rate: that its runs begin with; None where it has none.
        unmeasured: whether the seconds of measuring were over before its turn came.
    """

    searched: Searched
    cell: Cell
    price: ForecastCost | None = None
    excluded: str | None = None
    expected: Expectation | None = None
    rate: float | None = None
    unmeasured: bool = False

    @property
    def run(self) -> Run:
        """Its run with the suggested rate."""
        return self.at(1.0)

    @property
    def label(self) -> str:
        """As in the study's tables."""
        return self.searched.run.label

    @property
    def variant(self) -> Variant:
        """As the evidence calls it."""
        return Variant.of(self.searched.run.technique, changed(self.searched.run))

    def at(self, factor: float) -> Run:
        """Its run with a multiple of the suggested rate."""
        run = self.searched.run
        if self.rate is None:
            return run
        rate = min(1.0, float(f"{self.rate * factor:.2g}"))
        return run.model_copy(update={"entry": run.entry.model_copy(update={"learning_rate": rate})})


@dataclass(frozen=True)
class Known:
    """The evidence, and the cell that it is asked about."""

    evidence: Sequence[Evidence]
    cell: EvidenceCell
    expected: Mapping[Variant, Expectation] = field(default_factory=dict)

    @classmethod
    def of(cls, evidence: Sequence[Evidence], cell: EvidenceCell) -> "Known":
        """What the evidence of other data says; the same data would be no evidence, but the answer."""
        others = [one for one in evidence if one.cell.data != cell.data]
        return cls(others, cell, expectations(others, cell))


def promising(candidates: Sequence[Candidate], known: Known, labels: Sequence[str]) -> list[Candidate]:
    """The order in which candidates are measured: the smallest expected regret first, then what trains the least."""
    expected = [replace(one, expected=known.expected.get(one.variant)) for one in candidates]
    return sorted(expected, key=lambda one: (-prior(one).mean, 0 if one.expected else _trainable(one, labels)))


def _trainable(one: Candidate, labels: Sequence[str]) -> float:
    if one.excluded is not None or not isinstance(one.searched.run.entry, Trained):
        return 0
    try:
        return one.cell.count(labels).trainable
    except UserError:  # which measuring will say
        return math.inf


def ranked(candidates: Sequence[Candidate], known: Known) -> list[Candidate]:
    """The candidates with what the evidence says of them: the smallest expected regret first, then the cheapest."""
    rates = Rates(known.evidence)
    informed = [_informed(one, known, rates) for one in candidates]
    return sorted(informed, key=lambda one: (-prior(one).mean, one.price.seconds if one.price else 0.0))


def _informed(one: Candidate, known: Known, rates: Rates) -> Candidate:
    run = one.searched.run
    expected = known.expected.get(one.variant)
    if not isinstance(run.entry, Trained):
        return replace(one, expected=expected)
    if "learning_rate" in one.searched.fixed:
        return replace(one, expected=expected, rate=run.entry.learning_rate)
    steps = one.price.steps if one.price else 0
    return replace(one, expected=expected, rate=rates.suggested(one.variant, known.cell.hidden, steps))


def prior(one: Candidate) -> Belief:
    """What is known of a candidate before any run, in points."""
    if one.expected is None:
        return Belief(-UNKNOWN, PRIOR_DEVIATION)
    return Belief(-one.expected.mean, one.expected.deviation)


def entrants(candidates: Sequence[Candidate], seconds: float) -> list[tuple[Candidate, Run]]:
    """The runs of a race: first each technique at its suggested rate, then at others, as long as there is time.

    What costs next to nothing is always in it. A technique whose whole run takes longer than the race is left out.

    Args:
        candidates: that may be recommended, the most promising first.
        seconds: of the race.
    """
    chosen: list[tuple[Candidate, Run]] = []
    spent = 0.0
    ordered = sorted(candidates, key=lambda one: one.price is None or one.price.seconds > _CHEAP * seconds)
    for factor in FACTORS:
        for one in ordered:
            assert one.price is not None
            fixed = one.rate is None or "learning_rate" in one.searched.fixed
            epochs = one.searched.run.training.epochs if one.price.steps else 1
            first = one.price.seconds * min(RUNGS[0], epochs) / epochs
            if (factor != 1.0 and fixed) or one.price.seconds > seconds or spent + first > _FIRST_RUNGS * seconds:
                continue
            run = one.at(factor)
            if all(run.id != other.id for _, other in chosen):
                chosen.append((one, run))
                spent += first
    return chosen


def best_standings(race: Race, chosen: Sequence[tuple[Candidate, Run]]) -> dict[str, Standing]:
    """Label -> the standing of a technique's best run: those that finished first, then those with more epochs."""
    sign = 1 if race.metric.higher_is_better else -1
    by_run = {standing.job.run.id: standing for standing in race.standings}
    found: dict[str, Standing] = {}
    for one, run in chosen:
        standing = by_run.get(run.id)
        if standing is None or standing.score is None:
            continue
        other = found.get(one.label)
        if other is None or _rank(standing, sign) > _rank(other, sign):
            found[one.label] = standing
    return found


def _rank(standing: Standing, sign: int) -> tuple[bool, bool, int, float]:
    score = -math.inf if standing.score is None else sign * standing.score
    unfinished = 0 if standing.status == "finished" else standing.epochs
    return standing.status == "finished", standing.status != "dropped", unfinished, score


def beliefs(
    candidates: Sequence[Candidate], race: Race | None, standings: Mapping[str, Standing], known: Known
) -> dict[str, Belief]:
    """What is known of each technique, in points: before a race relative to the best, after one to its leader.

    Evidence and race are two measurements of the same difference, weighted by their precision.
    """
    leader = race.leader if race else None
    first = next((one for one in candidates if _is(standings.get(one.label), leader)), None)
    if race is None or leader is None or first is None:
        return {one.label: prior(one) for one in candidates}
    return {
        one.label: Belief(0.0, 0.0)
        if one is first
        else _joined(_expected(one, first, known), _measured(race, standings.get(one.label), leader, known))
        for one in candidates
    }


def _is(standing: Standing | None, leader: Standing | None) -> bool:
    return standing is not None and leader is not None and standing.job.folder == leader.job.folder


def _expected(one: Candidate, leader: Candidate, known: Known) -> Belief:
    """The difference of a technique from the leader on data sets that have both."""
    belief = behind(known.evidence, known.cell, leader.variant, one.variant)
    return Belief(-UNKNOWN, PRIOR_DEVIATION) if belief is None else Belief(-belief.mean, belief.deviation)


def _joined(expected: Belief, measured: Belief | None) -> Belief:
    if measured is None:
        return expected
    weights = [1 / max(one.deviation, 1e-6) ** 2 for one in (expected, measured)]
    mean = (weights[0] * expected.mean + weights[1] * measured.mean) / sum(weights)
    return Belief(mean, math.sqrt(1 / sum(weights)))


def _measured(race: Race, standing: Standing | None, leader: Standing, known: Known) -> Belief | None:
    """The difference of a run from the leader after the same epoch; of one that was stopped, with what may change."""
    if standing is None or standing.score is None or leader.score is None:
        return None
    one_point, gap = unit(race.metric, leader.score), race.gap(standing)
    if gap is None or not math.isfinite(gap.error):  # no paired test: as if two correlations near 0 shared half
        sign = 1 if race.metric.higher_is_better else -1
        return Belief(
            sign * (standing.score - leader.score) / one_point, 100 / math.sqrt(known.cell.rows["validation"])
        )
    points = gap.error / one_point
    if standing.status != "finished":
        share = standing.epochs / leader.job.run.training.epochs
        changes = drift(known.evidence, race.metric.name, share)
        points = math.hypot(points, _UNKNOWN_DRIFT if changes is None else changes / one_point)
    return Belief(-gap.difference / one_point, points)


def settings_in_study(run: Run) -> dict[str, Any]:
    """A run's technique as an item of a study's list."""
    rate = getattr(run.entry, "learning_rate", None)
    return {"name": run.technique, **changed(run), **({} if rate is None else {"learning_rate": rate})}
