"""The trials of one technique: proposed in its budget, raced, and the best of them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunebench._util.errors import shown
from tunebench._util.ranges import Range
from tunebench.advise.jobs import Jobs
from tunebench.advise.proposals import Proposals
from tunebench.advise.race import Race, Standing
from tunebench.advise.runner import remove_weights
from tunebench.evaluation.metrics import METRICS
from tunebench.records import Result, SearchedTechnique, Trial
from tunebench.run.job import Job
from tunebench.study import Run, Search, Searched

COHORT = 3
"""Trials of a race that are proposed together, so that the first of them meets a rival after its first epoch."""
_REPEATED = 10
"""Proposals in a row that were made before, after which a search in seconds ends: its space has no further point."""


class Trials:
    """The trials of one technique.

    What is known of them stands in the journal and in their folders; both are read again after an interruption.

    Args:
        searched: the technique.
        budget: of its trials.
        space: setting -> where it is drawn from.
        proposals: its part of the journal.
        jobs: makes its jobs.
        seed_deviation: of the metric between seeds in earlier results; None: unknown.
    """

    def __init__(
        self,
        searched: Searched,
        budget: Search,
        space: Mapping[str, Range],
        proposals: Proposals,
        jobs: Jobs,
        seed_deviation: float | None = None,
    ):
        self.searched, self.space = searched, space
        self._budget, self._proposals, self._jobs = budget, proposals, jobs
        self._metric = METRICS[searched.run.task.metrics[0]]
        rungs = None if budget.races else ()
        self._race = Race(self._metric, seed_deviation=seed_deviation, planned=budget.trials or 0, rungs=rungs)
        self._numbers: dict[str, int] = {}
        self._repeated, self._exhausted = 0, False
        self._news: list[str] = []
        self._restore()

    @property
    def begun(self) -> int:
        """Trials that were started."""
        return self._proposals.count - self._race.not_begun

    @property
    def left(self) -> int:
        """Trials of the budget that are not at work and have no outcome."""
        return max(0, (self._budget.trials or 0) - self._proposals.count) + len(self._open) - self._race.at_work

    @property
    def seconds_left(self) -> float:
        """Of a budget in seconds, without what is at work; what was begun within it may end after it."""
        ended = sum(remarks.get("seconds", 0.0) for _, _, _, remarks in self._proposals.ended)
        begun = sum(standing.seconds for standing in self._open)
        return max(0.0, (self._budget.seconds or 0.0) - ended - begun)

    @property
    def over(self) -> bool:
        """Whether nothing further will start; with seconds that is unknown while a trial is at work."""
        ended = not self._may_propose and self._race.finished
        if self._budget.seconds is None:
            return ended
        return not self._race.at_work and (ended or not self.seconds_left)

    @property
    def can_start(self) -> bool:
        """Whether a trial may start now: with seconds one at a time, as its cost is unknown before its end."""
        if self.over or (self._budget.seconds is not None and self._race.at_work):
            return False
        return self._race.waiting or self._may_propose

    def next(self) -> Job | None:
        """The next job; None if there is no further one, or what was proposed last needs none."""
        if self._may_propose and (self._cohort_is_incomplete or not self._race.waiting):
            self._propose()
            return None
        return self._race.ask()

    def tell(self, job: Job, result: Result) -> None:
        """Keep the outcome."""
        self._race.tell(job, result)
        self._settle()

    def name_of(self, job: Job) -> str:
        """What lines and bars call a trial."""
        settings = {name: getattr(job.run.entry, name) for name in self.space}
        return f"{job.run.task.name} · {job.run.label} · {in_words(settings)}"

    def news(self) -> list[str]:
        """What was dropped since this was asked last, a sentence each."""
        news, self._news = self._news, []
        return news

    @property
    def best(self) -> Trial | None:
        """The chosen trial, of equal ones the first; None where none has a score.

        It is the best of those that finished. Where the seconds ended before any did, it is the best of those with the
        most epochs.
        """
        sign = 1 if self._metric.higher_is_better else -1
        scored = [trial for trial in self._all if trial.score is not None]
        finished = [trial for trial in scored if trial.status in (None, "finished")]
        if finished:
            return max(finished, key=lambda trial: (sign * (trial.score or 0.0), -trial.number))
        return max(scored, key=lambda t: (t.epochs or 0, sign * (t.score or 0.0), -t.number), default=None)

    @property
    def record(self) -> SearchedTechnique:
        """What the report says of it."""
        run, best = self.searched.run, self.best
        return SearchedTechnique(
            model=run.model,
            task=run.task.name,
            technique=run.technique,
            label=run.label,
            metric=self._metric.name,
            higher_is_better=self._metric.higher_is_better,
            space={name: str(one) for name, one in self.space.items()},
            trials=tuple(sorted(self._all, key=lambda trial: trial.number)),
            chosen=None if best is None else dict(best.settings),
            chosen_epoch=None if best is None or best.status in (None, "finished") else best.epochs,
            rule=self._race.rule if self._budget.races else None,
        )

    @property
    def _all(self) -> list[Trial]:
        """Those with an outcome, in the order of their ends, then those that were begun and have none."""
        ended = [
            Trial(number=number, settings=settings, score=score, **remarks)
            for number, settings, score, remarks in self._proposals.ended
        ]
        settings = dict(self._proposals.open)
        begun = [standing for standing in self._open if standing.epochs]
        return ended + [self._unfinished(standing, settings) for standing in begun]

    def _unfinished(self, standing: Standing, settings: Mapping[int, dict[str, Any]]) -> Trial:
        number = self._numbers[standing.job.folder]
        remarks = {**self._remarks(standing), "status": "out of time" if self.over else "paused"}
        return Trial(number=number, settings=settings[number], score=_finite(standing.score), **remarks)

    @property
    def _open(self) -> list[Standing]:
        """Trials without an outcome."""
        return [standing for standing in self._race.standings if standing.status == "alive"]

    @property
    def _may_propose(self) -> bool:
        planned = self._budget.trials
        return not self._exhausted and (planned is None or self._proposals.count < planned)

    @property
    def _cohort_is_incomplete(self) -> bool:
        return self._budget.races and self._proposals.count % COHORT != 0

    def _propose(self) -> None:
        proposal = self._proposals.propose()
        if proposal is None:
            self._exhausted = True
            return
        self._enter(*proposal)
        self._settle()

    def _enter(self, number: int, settings: Mapping[str, Any]) -> None:
        """Put a proposed trial into the race, unless its outcome is known without it."""
        try:
            run = self._run(settings)
        except ValidationError as error:
            reason = shown("; ".join(problem["msg"] for problem in error.errors()))
            self._proposals.tell(number, None, {"reason": reason, "seconds": 0.0, "status": "failed"})
            self._count_repeated()
            return
        twin = next((trial for trial in self._all if trial.run == run.id), None)
        job = self._jobs.trial(run)
        if twin is not None or job.folder in self._numbers:
            first = self._numbers[job.folder] if twin is None else twin.number
            self._repeat(number, first, twin)
            self._count_repeated()
            return
        self._repeated = 0
        self._numbers[job.folder] = number
        self._race.add(job)

    def _repeat(self, number: int, first: int, twin: Trial | None) -> None:
        """The trial has the settings of an earlier one, and its score, if there is one already."""
        remarks = (
            {} if twin is None else twin.model_dump(mode="json", exclude={"number", "settings", "score", "seconds"})
        )
        score = None if twin is None else twin.score
        finished = twin is not None and twin.status in (None, "finished")
        reason = remarks.get("reason") or (None if finished else f"the settings of trial {first}")
        known = {**remarks, "seconds": 0.0, "same_as": first, "reason": reason}
        self._proposals.tell(number, score, known, None if finished or twin is None else twin.epochs or 0)

    def _count_repeated(self) -> None:
        """Seconds never end where no proposal takes any."""
        self._repeated += 1
        self._exhausted = self._budget.seconds is not None and self._repeated >= _REPEATED

    def _restore(self) -> None:
        """Put the trials of the journal into the race, as far as their folders have them."""
        for number, settings, _, remarks in sorted(self._proposals.ended, key=lambda ended: ended[0]):
            if remarks.get("run") is None or remarks.get("same_as") is not None:
                continue
            job = self._jobs.trial(self._run(settings))
            self._numbers[job.folder] = number
            if (Path(job.folder) / "result.json").exists():  # its answers are what later trials are compared with
                self._race.add(job, over=True)
        for number, settings in self._proposals.open:
            self._enter(number, settings)
        self._settle()

    def _settle(self) -> None:
        """Write the outcomes that are new into the journal, and remove the weights, which nobody reads."""
        waiting = {number for number, _ in self._proposals.open}
        for standing in self._race.standings:
            number = self._numbers[standing.job.folder]
            if standing.status == "alive" or number not in waiting:
                continue
            dropped = standing.epochs if standing.status == "dropped" else None
            self._proposals.tell(number, _finite(standing.score), self._remarks(standing), dropped)
            remove_weights(Path(standing.job.folder))
            if dropped is not None:
                self._news.append(f"{self.name_of(standing.job)}: dropped, {standing.reason}")

    def _remarks(self, standing: Standing) -> dict[str, Any]:
        """A trial's record without its number, settings and score."""
        reason = standing.reason
        if reason is None and _finite(standing.score) is None:
            reason = f"its {self._metric.title} on validation is undefined"
        given = standing.elimination
        return {
            "run": standing.job.run.id,
            "seconds": standing.seconds,
            "epochs": standing.epochs or None,
            "best_epoch": standing.best_epoch,
            "curve": list(standing.curve),
            "reason": reason,
            "status": standing.status,
            "elimination": None if given is None else given.model_dump(mode="json"),
        }

    def _run(self, settings: Mapping[str, Any]) -> Run:
        run = self.searched.run
        entry = type(run.entry).model_validate({**run.entry.model_dump(), **settings})
        return run.model_copy(update={"entry": entry})


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings, shortly."""
    return ", ".join(f"{name} {_short(value)}" for name, value in settings.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2g}"
    return "+".join(value) if isinstance(value, tuple) else str(value)


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
