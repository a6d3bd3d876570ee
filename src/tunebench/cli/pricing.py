"""Measuring what each technique costs, the most promising first, within a share of the seconds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunebench._util.files import write_json
from tunebench._util.words import plural
from tunebench.cli.options import OpenedStudy
from tunebench.cli.printing import say
from tunebench.records.base import read_record

if TYPE_CHECKING:
    from tunebench.advise.limits import Limits
    from tunebench.advise.prices import Prices
    from tunebench.advise.recommend import Candidate
    from tunebench.records import EvidenceCell
    from tunebench.run.job import Job
    from tunebench.study import Run

PRICES = "prices.json"
"""What was measured of each technique, so that a command that is repeated does not measure it again."""


@dataclass(frozen=True)
class Wish:
    """What the user asks for.

    Attributes:
        seconds: of measuring and of the race; 0: no race.
        accepted: points of expected regret that a cheaper technique may have.
        price_per_hour: of this machine, in any currency.
    """

    seconds: float
    limits: "Limits"
    accepted: float
    price_per_hour: float | None
    workers: int


def priced(
    candidates: "Sequence[Candidate]", out: Path, opened: OpenedStudy, cell: "EvidenceCell", wish: Wish
) -> "tuple[list[Candidate], float]":
    """The candidates with their prices, or why they are excluded; and the seconds that measuring took in all.

    They are measured in their order, until the seconds of measuring are over.
    """
    from tunebench.advise.prices import FEWEST, Prices, allowed_seconds

    content = f"{cell.data} {cell.backbone}"
    stored = read_record(out / PRICES, Prices)
    known = stored if stored is not None and stored.of == content else Prices(of=content)
    jobs = [
        trial_of(one, one.searched.run, out, opened, cell)
        for one in candidates
        if one.excluded is None and one.searched.run.id not in known.costs
    ]
    allowed = allowed_seconds(wish.seconds)
    failed: dict[str, str] = {}
    if jobs and (known.seconds < allowed or len(known.costs) < FEWEST):
        say(
            f"Measuring what {plural(len(jobs), 'technique')} cost here, 20 steps each, the most promising first, "
            f"in at most {allowed:.0f} s ..."
        )
        known = _measured(jobs, known, out, allowed, failed)
    priced = [_with_price(one, known, failed, wish, allowed) for one in candidates]
    unmeasured = [one.label for one in priced if one.unmeasured]
    if unmeasured:
        say(f"Not measured, because the {allowed:.0f} s were over: {', '.join(unmeasured)}.")
    return priced, known.seconds


def trial_of(one: "Candidate", run: "Run", out: Path, opened: OpenedStudy, cell: "EvidenceCell") -> "Job":
    """A run of a candidate as a trial."""
    from tunebench.advise.jobs import Jobs, content_of

    content = content_of(cell.data, cell.backbone if run.entry.reads_model else None)
    return Jobs(out, opened.places, None, one.cell.family.name, content).trial(run)


def _measured(jobs: "Sequence[Job]", known: "Prices", out: Path, allowed: float, failed: dict[str, str]) -> "Prices":
    """What is known after measuring; `failed` gets the reasons of those that could not be measured."""
    from tunebench.advise.prices import FEWEST, priced
    from tunebench.report import text

    begun = known.seconds
    start = time.monotonic()
    for number, (job, price) in enumerate(priced(out, jobs), 1):
        spent = time.monotonic() - start
        words = f"left out: {price}" if isinstance(price, str) else f"about {price.seconds:.3g} s"
        left = max(0.0, min(spent / number * (len(jobs) - number), allowed - begun - spent))
        say(f"[{number}/{len(jobs)}] {job.run.label}: {words} (about {text.seconds(left)} left)")
        if isinstance(price, str):
            failed[job.run.id] = price
        costs = known.costs if isinstance(price, str) else {**known.costs, job.run.id: price}
        known = known.model_copy(update={"seconds": begun + spent, "costs": costs})
        write_json(out / PRICES, known.model_dump(mode="json"))
        if known.seconds >= allowed and len(costs) >= FEWEST:
            break
    return known


def _with_price(
    one: "Candidate", known: "Prices", failed: Mapping[str, str], wish: Wish, allowed: float
) -> "Candidate":
    run = one.searched.run.id
    if one.excluded is not None:
        return one
    if run in failed:
        return replace(one, excluded=f"it could not be measured: {failed[run]}")
    price = known.costs.get(run)
    if price is None:
        return replace(one, excluded=f"not measured: the {allowed:.0f} s of measuring were over", unmeasured=True)
    return replace(one, price=price, excluded=wish.limits.broken_by(price))
