"""The steps of `tunebench recommend`, with what it says while they run."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebench._util.errors import UserError
from tunebench.cli.options import OpenedStudy
from tunebench.cli.pricing import Wish, priced
from tunebench.cli.printing import say
from tunebench.cli.racing import raced
from tunebench.cli.where import here

if TYPE_CHECKING:
    from tunebench.advise.answer import Conclusion
    from tunebench.advise.look import Look
    from tunebench.advise.race import Standing
    from tunebench.advise.recommend import Candidate, Known
    from tunebench.records import Choice, Recommendation
    from tunebench.study import Run


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
    from tunebench.advise.recommend import Known, beliefs, promising, ranked
    from tunebench.tasks.load import load

    start = time.monotonic()
    run = opened.study.searched()[0].run
    data = load(opened.places.located(run.task), opened.places.data_root)
    seen = look(run.task, data)
    _say_data(run, seen)
    candidates = _candidates(opened)
    cell = cell_of(candidates[0].cell, data)
    known = Known.of(evidence(), cell)
    measured, spent = priced(promising(candidates, known, data.labels), out, opened, cell, wish)
    usable = [one for one in measured if one.excluded is None]
    if not usable:
        raise UserError(_nothing_left(measured))
    usable = ranked(usable, known)
    if len(usable) == 1:
        say(f"One technique is left, {usable[0].label}: a race can only choose its learning rate.")
    left = wish.seconds - spent  # of this command or an earlier one, so that a repeated command races the same runs
    if wish.seconds > 0 and left <= 0:
        say(f"No race: measuring took all of the {wish.seconds:g} seconds. Give more with --seconds.")
    race, standings = raced(usable, out, opened, known, left, wish.workers)
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

    candidates = []
    for one in opened.study.searched():
        cell = Cell.of(one.run, opened.places)
        reason = cell.reason and f"not applicable: {cell.reason}"
        if reason is None and not isinstance(one.run.entry, Trained | Baseline):
            reason = "it trains nothing, so there is nothing to choose"
        candidates.append(Candidate(one, cell, excluded=reason))
    if all(one.excluded for one in candidates):
        raise UserError(_nothing_left(candidates))
    return sorted(candidates, key=lambda one: not one.searched.run.entry.reads_model)  # the first names the model


def _nothing_left(candidates: "Sequence[Candidate]") -> str:
    lines = [f"{one.label}: {one.excluded}" for one in candidates]
    return "\n".join(["recommend: no technique is left. Relax a limit, or choose other techniques.", *lines])


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

    They go on where the race left them. Only they read the test split, and measure what the study asks for.

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
    raced_runs = [runs[label] for label in (made.chosen, made.second) if label in runs and label in going_on]
    finalists = [opened.study.measuring(run) for run in raced_runs]
    for run, final in zip(raced_runs, finalists, strict=True):
        _go_on_from_the_race(out, run, final)
    if make_pending(replace(opened, runs=finalists), TaskData(opened.places), out, None, here(workers), None):
        raise KeyboardInterrupt
    say(f"Report: {report.build(out)}")
    winner = out / "runs" / opened.study.measuring(runs[made.chosen]).id
    done = read_result(winner)
    if not isinstance(done, Done):
        return made
    return made.model_copy(update={"run": str(winner), "test": done.main_metric.value})


def _go_on_from_the_race(out: Path, run: "Run", final: "Run") -> None:
    """Copy what the race made of a run to the place of the final run, once."""
    from tunebench.advise.jobs import FOLDER

    target = out / "runs" / final.id
    for folder in (out / FOLDER).glob(f"*/{run.id}"):
        if not target.exists():
            shutil.copytree(folder, target)
