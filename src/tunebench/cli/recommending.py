"""The steps of `tunebench recommend`, with what it says while they run."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebench._util.errors import UserError
from tunebench._util.files import write_json
from tunebench._util.words import plural
from tunebench.cli.options import OpenedStudy
from tunebench.cli.printing import say
from tunebench.records.base import read_record

if TYPE_CHECKING:
    from tunebench.advise.answer import Conclusion
    from tunebench.advise.limits import Limits
    from tunebench.advise.look import Look
    from tunebench.advise.prices import Prices
    from tunebench.advise.race import Race, Standing
    from tunebench.advise.recommend import Candidate, Known
    from tunebench.engine.events import Event
    from tunebench.evaluation.metrics import Metric
    from tunebench.records import Choice, EvidenceCell, Recommendation
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


def recommended(opened: OpenedStudy, out: Path, wish: Wish) -> "tuple[Recommendation, dict[str, Run]]":
    """Look, price, rank, race, decide: the recommendation, and each raced technique's best run by its label.

    The output folder is locked.

    Raises:
        UserError: the model or the data are unavailable, or no technique keeps to the limits.
    """
    from tunebench.advise.decide import decide, outlooks
    from tunebench.advise.evidence.base import evidence
    from tunebench.advise.evidence.record import cell_of
    from tunebench.advise.look import look
    from tunebench.advise.recommend import Known, beliefs, ranked
    from tunebench.tasks.load import load

    start = time.monotonic()
    run = opened.study.searched()[0].run
    data = load(opened.places.located(run.task), opened.places.data_root)
    seen = look(run.task, data)
    _say_data(run, seen)
    candidates = _candidates(opened)
    cell = cell_of(candidates[0].cell, data)
    known = Known.of(evidence(), cell)
    measured, spent = _priced(candidates, out, opened, cell, wish)
    usable = [one for one in measured if one.excluded is None]
    if not usable:
        raise UserError(_nothing_left(measured))
    usable = ranked(usable, known)
    if len(usable) == 1:
        say(f"One technique is left, {usable[0].label}: a race can only choose its learning rate.")
    left = wish.seconds - spent  # of this command or an earlier one, so that a repeated command races the same runs
    if wish.seconds > 0 and left <= 0:
        say(f"No race: measuring took all of the {wish.seconds:g} seconds. Give more with --seconds.")
    race, standings = _raced(usable, out, opened, known, left, wish.workers)
    outlook = outlooks(beliefs(usable, race, standings, known))
    costs = {one.label: wish.limits.cost(one.price) for one in usable if one.price}
    conclusion = _conclusion(usable, measured, outlook, standings, decide(outlook, costs, wish.accepted), wish, known)
    made = _record(conclusion, run, seen, wish, time.monotonic() - start)
    return made, {label: standing.job.run for label, standing in standings.items()}


def _say_data(run: "Run", seen: "Look") -> None:
    say(f"Data of '{run.task.name}': {seen.summary}.")
    for finding in seen.findings:
        say(f"  {finding}")


def _candidates(opened: OpenedStudy) -> "list[Candidate]":
    """The techniques of the study, which has one experiment; those without a meaning are excluded.

    Raises:
        UserError: none has a meaning on this model and task.
    """
    from tunebench.advise.recommend import Candidate
    from tunebench.run.cell import Cell
    from tunebench.techniques.base import Baseline, Trained

    found = []
    for one in opened.study.searched():
        cell = Cell.of(one.run, opened.places)
        reason = cell.reason and f"not applicable: {cell.reason}"
        if reason is None and not isinstance(one.run.entry, Trained | Baseline):
            reason = "it trains nothing, so there is nothing to choose"
        found.append(Candidate(one, cell, excluded=reason))
    if all(one.excluded for one in found):
        raise UserError(_nothing_left(found))
    return sorted(found, key=lambda one: not one.searched.run.entry.reads_model)  # the first says what the model is


def _priced(
    candidates: "Sequence[Candidate]", out: Path, opened: OpenedStudy, cell: "EvidenceCell", wish: Wish
) -> "tuple[list[Candidate], float]":
    """The candidates with their prices, or why they are excluded; and the seconds that measuring took in all."""
    from tunebench.advise.prices import Prices, priced

    content = f"{cell.data} {cell.backbone}"
    stored = read_record(out / PRICES, Prices)
    known = stored if stored is not None and stored.of == content else Prices(of=content)
    jobs = [
        _trial(one, one.searched.run, out, opened, cell)
        for one in candidates
        if one.excluded is None and one.searched.run.id not in known.costs
    ]
    if jobs:
        say(f"Measuring what {plural(len(jobs), 'technique')} cost here, 20 steps each ...")
    failed: dict[str, str] = {}
    start = time.monotonic()
    for number, (job, price) in enumerate(priced(out, jobs) if jobs else (), 1):
        words = f"left out: {price}" if isinstance(price, str) else f"about {price.seconds:.3g} s"
        say(f"[{number}/{len(jobs)}] {job.run.label}: {words}")
        if isinstance(price, str):
            failed[job.run.id] = price
            continue
        spent = known.seconds + time.monotonic() - start
        start = time.monotonic()
        known = Prices(of=content, seconds=spent, costs={**known.costs, job.run.id: price})
        write_json(out / PRICES, known.model_dump(mode="json"))
    return [_with_price(one, known, failed, wish) for one in candidates], known.seconds


def _trial(one: "Candidate", run: "Run", out: Path, opened: OpenedStudy, cell: "EvidenceCell") -> "Job":
    from tunebench.advise.jobs import Jobs, content_of

    content = content_of(cell.data, cell.backbone if run.entry.reads_model else None)
    return Jobs(out, opened.places, None, one.cell.family.name, content).trial(run)


def _with_price(one: "Candidate", known: "Prices", failed: Mapping[str, str], wish: Wish) -> "Candidate":
    if one.excluded is not None:
        return one
    price = known.costs.get(one.searched.run.id)
    if price is None:
        return replace(one, excluded=f"it could not be measured: {failed[one.searched.run.id]}")
    return replace(one, price=price, excluded=wish.limits.broken_by(price))


def _nothing_left(candidates: "Sequence[Candidate]") -> str:
    lines = [f"{one.label}: {one.excluded}" for one in candidates]
    return "\n".join(["recommend: no technique is left. Relax a limit, or choose other techniques.", *lines])


def _raced(
    candidates: "Sequence[Candidate]", out: Path, opened: OpenedStudy, known: "Known", seconds: float, workers: int
) -> "tuple[Race | None, Mapping[str, Standing]]":
    """The race within what is left of the seconds."""
    from tunebench.advise.evidence.spread import seed_deviation
    from tunebench.advise.race import Race
    from tunebench.advise.recommend import RUNGS, best_standings, entrants
    from tunebench.evaluation.metrics import METRICS
    from tunebench.run.executors.local import Local

    if seconds <= 0:
        return None, {}
    metric = METRICS[known.cell.metric]
    chosen = entrants(candidates, seconds)
    if not chosen:
        cheapest = min(one.price.seconds for one in candidates if one.price)
        say(f"No race: {seconds:.0f} s are left, and the cheapest run would take about {cheapest:.0f} s.")
        return None, {}
    jobs = [_trial(one, run, out, opened, known.cell) for one, run in chosen]
    race = Race(metric, jobs, seconds, seed_deviation(known.evidence, metric.name), rungs=RUNGS)
    say(f"Racing {plural(len(jobs), 'run')} of {plural(len({one.label for one, _ in chosen}), 'technique')} ...")
    say(f"  The rule: {race.rule}.")
    with Local(out, len(jobs), workers) as executor:
        _drive(race, executor)
    return race, best_standings(race, chosen)


def _drive(race: "Race", executor: Any) -> None:
    from tunebench.engine.events import ResultWritten
    from tunebench.run.drive import drive

    def show(job: "Job", event: "Event") -> None:
        if isinstance(event, ResultWritten):
            say(f"  {_named(job)}: {_progress(job, race.metric)}")

    drive(race, executor, show)
    for standing in race.standings:
        if standing.reason:
            say(f"  {_named(standing.job)}: {standing.status}: {standing.reason}")


def _named(job: "Job") -> str:
    rate = getattr(job.run.entry, "learning_rate", None)
    return job.run.label if rate is None else f"{job.run.label} at {rate:g}"


def _progress(job: "Job", metric: "Metric") -> str:
    from tunebench.records import Paused, read_result

    result = read_result(Path(job.folder))
    if not isinstance(result, Paused):
        return "failed" if result is None else f"failed: {result.reason}"
    score = result.history[-1].validation.get(metric.name) if result.history else None
    shown = "undefined" if score is None else f"{score:.3f}"
    return f"epoch {result.epoch}, {metric.title} on validation {shown}, {result.cost.total_seconds:.0f} s so far"


def _conclusion(
    usable: "Sequence[Candidate]",
    everyone: "Sequence[Candidate]",
    outlook: Any,
    standings: "Mapping[str, Standing]",
    chosen: str,
    wish: Wish,
    known: "Known",
) -> "Conclusion":
    from tunebench.advise.answer import Conclusion
    from tunebench.evaluation.metrics import METRICS

    alike = {one.cell.group for one in known.evidence if one.cell.objective == known.cell.objective}
    return Conclusion(
        candidates=usable,
        excluded=[one for one in everyone if one.excluded],
        outlook=outlook,
        standings=standings,
        chosen=chosen,
        accepted=wish.accepted,
        limits=wish.limits,
        price_per_hour=wish.price_per_hour,
        data_sets=len(alike),
        metric=METRICS[known.cell.metric].title,
    )


def _record(conclusion: "Conclusion", run: "Run", seen: "Look", wish: Wish, spent: float) -> "Recommendation":
    from tunebench.advise.answer import second_choice, sentences
    from tunebench.records import Recommendation

    order = sorted(conclusion.candidates, key=lambda one: conclusion.outlook[one.label].regret)
    return Recommendation(
        model=run.model,
        task=run.task.name,
        metric=conclusion.metric,
        answer=tuple(sentences(conclusion)),
        chosen=conclusion.chosen,
        second=second_choice(conclusion),
        choices=tuple(_choice(one, conclusion) for one in (*order, *conclusion.excluded)),
        data=seen.summary,
        findings=seen.findings,
        seconds=wish.seconds,
        spent=spent,
    )


def _choice(one: "Candidate", conclusion: "Conclusion") -> "Choice":
    from tunebench.advise.recommend import settings_in_study
    from tunebench.records import Choice

    price, standing, outlook = one.price, conclusion.standings.get(one.label), conclusion.outlook.get(one.label)
    settings = settings_in_study(standing.job.run if standing else one.run)
    seconds = price and price.tuning_seconds
    money = conclusion.price_per_hour
    return Choice(
        label=one.label,
        title=one.searched.run.entry.title,
        technique=settings.pop("name"),
        settings=settings,
        applicable=one.cell.reason is None,
        reason=one.cell.reason,
        excluded=one.excluded,
        datasets=one.expected.datasets if one.expected else 0,
        expected=one.expected and one.expected.mean,
        status=standing and standing.status,
        epochs=standing.epochs if standing else 0,
        validation=standing and standing.score,
        behind=standing.elimination and standing.elimination.difference if standing else None,
        why=standing and standing.reason,
        p_best=outlook and outlook.p_best,
        regret=outlook and outlook.regret,
        tied=outlook and outlook.tied,
        tuning_seconds=seconds,
        memory_bytes=price and price.memory_bytes,
        saved_bytes=price and price.saved_bytes,
        latency_seconds=price and price.latency_seconds,
        money=None if money is None or seconds is None else seconds / 3600 * money,
    )


def finished(
    opened: OpenedStudy, out: Path, made: "Recommendation", runs: "Mapping[str, Run]", workers: int
) -> "Recommendation":
    """Train the recommended technique and the second choice to their ends, if the race had them, and report on them.

    They go on where the race left them. Only they read the test split.

    Args:
        opened: the study.
        out: the output folder, which is locked.
        made: the recommendation.
        runs: the best run of each technique that the race had, by label.
        workers: runs at once.

    Raises:
        KeyboardInterrupt: Ctrl-C came before they were made.
    """
    from tunebench import report
    from tunebench.cli.making import make_pending
    from tunebench.records import Done, read_result
    from tunebench.run.task_data import TaskData

    if made.chosen not in runs:
        return made
    going_on = {choice.label for choice in made.choices if choice.status in ("finished", "alive", "out of time")}
    finalists = [runs[label] for label in (made.chosen, made.second) if label in runs and label in going_on]
    for run in finalists:
        _go_on_from_the_race(out, run)
    if make_pending(replace(opened, runs=finalists), TaskData(opened.places), out, None, workers, None):
        raise KeyboardInterrupt
    say(f"Report: {report.build(out)}")
    winner = out / "runs" / runs[made.chosen].id
    done = read_result(winner)
    if not isinstance(done, Done):
        return made
    return made.model_copy(update={"run": str(winner), "test": done.main_metric.value})


def _go_on_from_the_race(out: Path, run: "Run") -> None:
    """Copy what the race made of a run to its place among the study's runs, once."""
    from tunebench.advise.jobs import FOLDER

    target = out / "runs" / run.id
    for raced in (out / FOLDER).glob(f"*/{run.id}"):
        if not target.exists():
            shutil.copytree(raced, target)
