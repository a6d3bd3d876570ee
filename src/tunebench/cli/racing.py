"""The race of a recommendation, shown as its runs go on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunebench._util.words import plural
from tunebench.cli.options import OpenedStudy
from tunebench.cli.pricing import trial_of
from tunebench.cli.printing import say
from tunebench.cli.where import here

if TYPE_CHECKING:
    from tunebench.advise.race import Race, Standing
    from tunebench.advise.recommend import Candidate, Known
    from tunebench.engine.events import Event
    from tunebench.evaluation.metrics import Metric
    from tunebench.run.executors.base import Executor
    from tunebench.run.job import Job


def raced(
    candidates: "Sequence[Candidate]", out: Path, opened: OpenedStudy, known: "Known", seconds: float, workers: int
) -> "tuple[Race | None, Mapping[str, Standing]]":
    """The race within what is left of the seconds, and each technique's best run by its label."""
    from tunebench.advise.evidence.spread import drift, seed_deviation
    from tunebench.advise.race import Race
    from tunebench.advise.recommend import RUNGS, best_standings, entrants
    from tunebench.evaluation.metrics import METRICS

    if seconds <= 0:
        return None, {}
    metric = METRICS[known.cell.metric]
    chosen = entrants(candidates, seconds)
    if not chosen:
        cheapest = min(one.price.seconds for one in candidates if one.price)
        say(f"No race: {seconds:.0f} s are left, and the cheapest run would take about {cheapest:.0f} s.")
        return None, {}
    jobs = [trial_of(one, run, out, opened, known.cell) for one, run in chosen]
    _make_failed_ones_again(jobs)
    race = Race(
        metric,
        jobs,
        seconds,
        seed_deviation(known.evidence, metric.name),
        rungs=RUNGS,
        drift=lambda share: drift(known.evidence, metric.name, share),
    )
    if not race.finished:
        say(f"Racing {plural(len(jobs), 'run')} of {plural(len({one.label for one, _ in chosen}), 'technique')} ...")
        say(f"  The rule: {race.rule}.")
        with here(workers)(out, len(jobs)) as executor:
            _drive(race, executor, seconds, workers, out)
    _say_ends(race)
    return race, best_standings(race, chosen)


def _make_failed_ones_again(jobs: "Sequence[Job]") -> None:
    from tunebench.advise.jobs import set_aside

    for job in jobs:
        if set_aside(job):
            say(f"  {_named(job)} failed in an earlier command and is made again, once.")


def _drive(race: "Race", executor: "Executor", seconds: float, workers: int, out: Path) -> None:
    from rich.console import Console

    from tunebench.cli.progress import display_on
    from tunebench.engine.events import ResultWritten
    from tunebench.run.drive import drive
    from tunebench.run.forecast import Forecast

    class RaceForecast(Forecast):
        """The seconds that are left to the race; it may end before them."""

        @property
        def left(self) -> float | None:
            return max(0.0, seconds - race.seconds) / workers

    with display_on(Console(), None, RaceForecast(0, workers)) as display:

        def show(job: "Job", event: "Event") -> None:
            display.show(job.run.id, _named(job), event)
            if isinstance(event, ResultWritten):
                display.say(f"  {_named(job)}: {_progress(job, race.metric)}")

        drive(race, executor, show, out)


def _say_ends(race: "Race") -> None:
    """Which runs were dropped or failed, and why."""
    from tunebench.advise.jobs import SET_ASIDE

    for standing in race.standings:
        if standing.reason is None:
            continue
        folder = Path(standing.job.folder)
        again = ""
        if standing.status == "failed":
            again = " The same command makes it again, once."
            if (folder / SET_ASIDE).exists():
                again = f" It failed twice; to make it once more, remove {folder}."
        say(f"  {_named(standing.job)}: {standing.status}: {standing.reason}{again}")


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
