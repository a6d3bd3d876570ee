"""A race: runs that pause at rungs of 1, 2, 4, ... epochs, and are dropped there when they are behind the leader.

Every run's learning rates are planned for all of its epochs, and a run that is continued goes on bit for bit, so that a
race costs no epoch twice. Nothing is dropped for its rank alone (`elimination.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tunebench.advise import elimination
from tunebench.advise.runner import Runner, rungs_of
from tunebench.evaluation.metrics import Metric
from tunebench.records import Elimination, Result
from tunebench.run.job import Job

Status = Literal["alive", "finished", "dropped", "failed", "out of time"]


@dataclass(frozen=True)
class Standing:
    """Where a run of a race stands.

    Attributes:
        job: the whole run.
        status: alive: it waits for its next rung, or is at work; out of time: the race's seconds ended first.
        epochs: how many it has trained.
        score: on validation, of its best epoch where it finished, else after its last epoch; None: undefined.
        curve: the metric after each epoch.
        best_epoch: of them.
        seconds: what it has cost.
        elimination: when, how far and how surely behind whom, where it was dropped.
        reason: why it was dropped, or failed, in words.
    """

    job: Job
    status: Status
    epochs: int
    score: float | None
    curve: tuple[float | None, ...]
    best_epoch: int | None
    seconds: float
    elimination: Elimination | None
    reason: str | None


class Race:
    """Schedules the runs of one cell: those that were not begun, then the one with the best score at its last rung.

    What was made in the jobs' folders counts: a killed race continues where it was. A test split is never read.

    Args:
        metric: decides on validation.
        jobs: the runs: one technique with different settings, or several techniques, on one model and task. Their
            folders must not hold runs on other data.
        seconds: no rung begins after so many seconds of all runs together; None: no limit.
        seed_deviation: standard deviation of the metric between seeds, where it is known (see `elimination.gaps`).
        planned: how many runs the race will have, if more are added than are given.
        rungs: epochs after which runs pause and are compared, where they lie before a run's end; None: 1, 2, 4, ...;
            empty: every run is trained to its end at once, and none is dropped.
        drift: share of the planned epochs -> standard deviation of what the difference of two runs still changes until
            their ends, None where it is unknown. No run is dropped before a third of its epochs, or before half of
            them where it is unknown. Left out: runs are compared as they stand, as those of one technique are.
    """

    def __init__(
        self,
        metric: Metric,
        jobs: Sequence[Job] = (),
        seconds: float | None = None,
        seed_deviation: float | None = None,
        planned: int = 0,
        rungs: Sequence[int] | None = None,
        drift: Callable[[float], float | None] | None = None,
    ):
        self._metric, self._seconds, self._deviation, self._planned = metric, seconds, seed_deviation, planned
        self._drift = drift
        self._rungs = None if rungs is None else tuple(rungs)
        self._runners: dict[str, Runner] = {}
        self._tested = True
        for job in jobs:
            self.add(job)

    def add(self, job: Job, over: bool = False) -> None:
        """One more run, as far as its folder has it; one that is over is compared with, and not continued."""
        runner = Runner(job, self._metric, rungs_of(job.run, self._rungs))
        runner.ended = runner.ended or over
        self._runners[job.folder] = runner
        self._tested = False

    @property
    def metric(self) -> Metric:
        """It decides on validation."""
        return self._metric

    @property
    def rule(self) -> str:
        """How runs are dropped, in words."""
        return elimination.rule(self._metric, self._drift is not None)

    @property
    def seconds(self) -> float:
        """What all runs have cost so far."""
        return sum(runner.seconds for runner in self._runners.values())

    @property
    def out_of_time(self) -> bool:
        """Whether no further rung may begin."""
        return self._seconds is not None and self.seconds >= self._seconds

    @property
    def waiting(self) -> bool:
        """Whether a rung may begin now."""
        return bool(self._waiting()) and not self.out_of_time

    @property
    def not_begun(self) -> int:
        """Runs that wait for their first epoch."""
        return sum(not runner.epochs for runner in self._waiting())

    @property
    def at_work(self) -> int:
        """Runs at work."""
        return sum(runner.at_work for runner in self._runners.values())

    @property
    def finished(self) -> bool:
        """Whether no further rung will begin."""
        return self.out_of_time or not (self._waiting() or (self.at_work and self._rungs != ()))

    def ask(self) -> Job | None:
        """The next rung of a run; None where none waits, or the seconds are over."""
        if not self.waiting:
            return None
        return max(self._waiting(), key=lambda runner: (not runner.epochs, runner.rank)).start()

    def tell(self, job: Job, result: Result) -> None:
        """A run has paused, or failed."""
        self._runners[job.folder].tell(result)
        self._tested = False

    @property
    def standings(self) -> tuple[Standing, ...]:
        """Of all runs, in the order in which they were added."""
        self._test()
        return tuple(self._standing(runner) for runner in self._runners.values())

    @property
    def leader(self) -> Standing | None:
        """The run that the race chooses; None where none has a score.

        The best of those that finished; where none did, the best of those with the most epochs.
        """
        self._test()
        scored = [runner for runner in self._runners.values() if runner.score is not None]
        best = max(scored, key=lambda r: (r.ended, r.epochs * (not r.ended), r.rank), default=None)
        return None if best is None else self._standing(best)

    def gap(self, standing: Standing) -> elimination.Gap | None:
        """How far a run is behind the leader; negative where it is ahead; None without a paired test, or answers.

        Where both have ended, it is the difference of their scores. Else they are compared after the last rung of both,
        a run without epochs by its only answers.
        """
        leader = self.leader
        if leader is None:
            return None
        one, other = self._runners[standing.job.folder], self._runners[leader.job.folder]
        several = len(one.rungs) > 1 and len(other.rungs) > 1 and not (one.ended and other.ended)
        common = one.answers.keys() & other.answers.keys()
        if not one.answers or not other.answers or (several and not common):
            return None
        epochs = [max(common)] * 2 if several else [max(one.answers), max(other.answers)]
        (predictions, gold), (leading, _) = one.answers[epochs[0]], other.answers[epochs[1]]
        progress = max(epochs[0] / max(one.rungs), float(one.ended and other.ended))
        pair = elimination.gaps(self._metric, gold, [leading, predictions], 1, self._deviation, progress=progress)
        if pair is None:
            return None
        leads = pair[0].difference == 0
        gap = pair[1] if leads else replace(pair[0], difference=-pair[0].difference, behind=False)
        if one.ended and other.ended:
            gap = replace(gap, difference=other.rank - one.rank)
        return gap

    def _waiting(self) -> list[Runner]:
        self._test()
        return [runner for runner in self._runners.values() if runner.waiting]

    def _test(self) -> None:
        """Drop what is behind, once after each change."""
        if self._tested:
            return
        self._tested = True
        for epoch in sorted({runner.epochs for runner in self._runners.values() if runner.waiting}):
            self._test_at(epoch)

    def _test_at(self, epoch: int) -> None:
        """Compare the runs after an epoch that is the last of none, where all have the answers."""
        compared = [r for r in self._runners.values() if epoch in r.answers and epoch < r.rungs[-1] and not r.failed]
        if len(compared) < 2:
            return
        progress = epoch / max(runner.rungs[-1] for runner in compared)
        changes = self._drift(progress) if self._drift else 0.0
        first = elimination.FIRST_UNKNOWN if changes is None else elimination.FIRST
        if self._drift and progress < first:
            return
        gold = compared[0].answers[epoch][1]
        looks, competitors = max(len(r.rungs) for r in compared) - 1, max(self._planned, len(self._runners)) - 1
        gaps = elimination.gaps(
            self._metric,
            gold,
            [runner.answers[epoch][0] for runner in compared],
            looks,
            self._deviation,
            competitors,
            progress=progress,
            drift=changes or 0.0,
        )
        if gaps is None:
            return
        leader = next(runner for runner, gap in zip(compared, gaps, strict=True) if gap.difference == 0)
        for runner, gap in zip(compared, gaps, strict=True):
            if gap.behind and runner.waiting and runner.epochs == epoch:
                runner.drop(
                    Elimination(
                        epoch=epoch,
                        difference=gap.difference,
                        error=gap.error,
                        p=gap.p,
                        level=elimination.level(looks, competitors),
                        leader=leader.job.run.id,
                    )
                )

    def _standing(self, runner: Runner) -> Standing:
        return Standing(
            job=runner.job,
            status=self._status(runner),
            epochs=runner.epochs,
            score=runner.score,
            curve=tuple(runner.curve),
            best_epoch=runner.best_epoch,
            seconds=runner.seconds,
            elimination=runner.elimination,
            reason=runner.failed or (runner.elimination.reason if runner.elimination else None),
        )

    def _status(self, runner: Runner) -> Status:
        if runner.failed:
            return "failed"
        if runner.elimination:
            return "dropped"
        if runner.ended:
            return "finished"
        return "out of time" if self.out_of_time and not runner.at_work else "alive"
