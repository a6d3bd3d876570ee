"""A scheduler and an executor meet in one loop, and neither knows the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest

from tests.contracts.runs import TRAINING
from tunebench.engine.events import EpochEnded, Event, ResultWritten, Resumed
from tunebench.records import Done, Failed, NotApplicable, Paused, Result, read_result, write_result
from tunebench.run.drive import drive
from tunebench.run.executors.local import Local
from tunebench.run.job import Job
from tunebench.run.scheduler import FixedList
from tunebench.study import Places, Run, Study

TWO_RATES = [{"name": "full", "learning_rate": rate} for rate in (1e-9, 2e-3)]


def runs_of(model: str, techniques: list[object], seeds: int = 1) -> list[Run]:
    experiment = {"model": model, "task": "emotion", "techniques": techniques}
    study = {"name": "x", "seeds": list(range(seeds)), "training": TRAINING, "experiments": [experiment]}
    return Study.model_validate(study).runs()


def jobs_in(out: Path, runs: Sequence[Run], places: Places) -> list[Job]:
    return [
        Job(run=run, places=places, family="bert", folder=str(out / "runs" / run.id), cache=str(out / "cache"))
        for run in runs
    ]


class InProcess:
    """An executor that makes nothing: each job is not applicable, one event after it was placed."""

    def __init__(self, room: int):
        self.room, self.most, self.released, self.ended = room, 0, False, False
        self._at_work: list[Job] = []
        self.stopped: dict[str, Failed] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.ended = True

    def place(self, job: Job) -> None:
        assert self.room
        self.room -= 1
        self._at_work.append(job)
        self.most = max(self.most, len(self._at_work))

    def wait(self) -> tuple[Job, Event]:
        job = self._at_work.pop(0)
        self.room += 1
        if job.run.id in self.stopped:
            write_result(Path(job.folder), self.stopped[job.run.id])
            return job, ResultWritten(status="failed", reason=self.stopped[job.run.id].reason)
        write_result(Path(job.folder), NotApplicable(reason="a toy", run=job.run.info(job.family)))
        return job, ResultWritten(status="not_applicable", reason="a toy")

    def stop(self, job: Job, result: Failed) -> None:
        """It happens with the next event."""
        self.stopped[job.run.id] = result

    def release(self) -> None:
        self.released = True


class ToyRace:
    """Each job for one epoch; then the one with the best validation score to its end."""

    def __init__(self, jobs: Sequence[Job]):
        self._jobs: Iterator[Job] = iter([job.model_copy(update={"until_epoch": 1}) for job in jobs])
        self._left, self._scores, self._final = len(jobs), dict[str, tuple[float, Job]](), False
        self.results: list[Result] = []

    @property
    def finished(self) -> bool:
        return self._final

    def ask(self) -> Job | None:
        job = next(self._jobs, None)
        if job is None and not self._left and not self._final:
            self._final = True
            _, best = max(self._scores.values(), key=lambda scored: scored[0])
            return best.model_copy(update={"until_epoch": None})
        return job

    def tell(self, job: Job, result: Result) -> None:
        self.results.append(result)
        if isinstance(result, Paused):
            self._left -= 1
            score = result.history[-1].validation["accuracy"]
            assert score is not None
            self._scores[job.run.id] = (score, job)


def test_a_fixed_list_is_executed_in_its_order_by_any_executor(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, runs_of("m", ["full"], seeds=5), Places())
    seen: list[tuple[str, str]] = []
    with InProcess(room=2) as executor:
        drive(FixedList(jobs), executor, lambda job, event: seen.append((job.run.id, event.event)), tmp_path)

    assert seen == [(job.run.id, "result") for job in jobs]
    assert executor.most == 2
    assert executor.released
    assert executor.ended


def test_a_list_without_jobs_ends_at_once(tmp_path: Path) -> None:
    with InProcess(room=2) as executor:
        drive(FixedList([]), executor, lambda job, event: None, tmp_path)
    assert executor.most == 0


def test_a_scheduler_that_waits_for_nothing_is_a_bug(tmp_path: Path) -> None:
    class Stuck(FixedList):
        finished = False  # type: ignore[assignment]

    with pytest.raises(RuntimeError, match="no job is running"), InProcess(room=1) as executor:
        drive(Stuck([]), executor, lambda job, event: None, tmp_path)


def test_a_result_that_was_reported_and_is_not_there_is_a_bug(tmp_path: Path) -> None:
    class Liar(InProcess):
        def wait(self) -> tuple[Job, Event]:
            job, event = super().wait()
            (Path(job.folder) / "result.json").unlink()
            return job, event

    jobs = jobs_in(tmp_path, runs_of("m", ["full"]), Places())
    with pytest.raises(RuntimeError, match="cannot be read"), Liar(room=1) as executor:
        drive(FixedList(jobs), executor, lambda job, event: None, tmp_path)


@pytest.mark.slow
def test_a_race_pauses_each_run_after_an_epoch_and_ends_the_best_in_other_processes(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    places = Places(models={"tiny-bert": str(backbones["bert"])}, data_root=str(data_root))
    slow, fast = jobs = jobs_in(tmp_path, runs_of("tiny-bert", TWO_RATES), places)
    race, events = ToyRace(jobs), list[tuple[str, Event]]()
    with Local(tmp_path, len(jobs), workers=2) as executor:
        drive(race, executor, lambda job, event: events.append((job.run.id, event)), tmp_path)

    assert [type(result) for result in race.results] == [Paused, Paused, Done]
    assert isinstance(read_result(Path(slow.folder)), Paused)
    assert (Path(slow.folder) / "resume").is_dir()
    done = read_result(Path(fast.folder))
    assert isinstance(done, Done)
    assert [epoch.epoch for epoch in done.history] == [1, 2]
    assert not (Path(fast.folder) / "resume").exists()
    of_fast = [event for run, event in events if run == fast.run.id]
    assert [event.epoch for event in of_fast if isinstance(event, EpochEnded)] == [1, 2], "no epoch was made twice"
    assert [event.epoch for event in of_fast if isinstance(event, Resumed)] == [1]
