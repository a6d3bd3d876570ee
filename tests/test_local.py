"""Jobs in worker processes on this machine: how a worker starts, and what its death means."""

import errno
import os
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunebench._util.errors import UserError
from tunebench.engine.events import Ended, Event, Ready, ResultWritten, Unwritable
from tunebench.records import Failed, NotApplicable, read_result, write_result
from tunebench.run import worker
from tunebench.run.drive import drive
from tunebench.run.executors import local
from tunebench.run.job import Job, job_in
from tunebench.run.pending import Pending
from tunebench.run.scheduler import FixedList
from tunebench.study import Places, Study


class FakeWorker:
    """A worker that answers each job as it was told to, in this process."""

    answers: queue.Queue[Event]

    def __init__(self, number: int, workers: int, out: Path, events: Any):
        self.number, self.job, self.ready, self._events = number, None, False, events
        events.put((self, Ready()))

    def start(self, job: Job) -> None:
        self.job = job  # type: ignore[assignment]
        event = self.answers.get_nowait()
        if isinstance(event, ResultWritten):
            write_result(Path(job.folder), NotApplicable(reason="a test", run=job.run.info("bert")))
        self._events.put((self, event))

    def stop(self) -> None:
        self._events.put((self, Ended(code=0)))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets every job be answered by these events, in turn."""

    def answer(*events: Event) -> None:
        FakeWorker.answers = queue.Queue()
        for event in events:
            FakeWorker.answers.put(event)

    monkeypatch.setattr(local, "Worker", FakeWorker)
    return answer


def some_jobs(count: int, out: Path) -> list[Job]:
    experiment = {"model": "m", "task": "emotion", "techniques": ["full"]}
    study = Study.model_validate({"name": "x", "seeds": list(range(count)), "experiments": [experiment]})
    return [job_in(out, Pending(run, "bert"), Places()) for run in study.runs()]


def silent(job: Job, event: Event) -> None:
    """Nobody watches."""


def test_a_worker_that_dies_before_its_run_has_a_folder_is_recorded(fake: Callable[..., None], tmp_path: Path) -> None:
    jobs = some_jobs(2, tmp_path)
    fake(Ended(code=3), ResultWritten(status="not_applicable", reason="a test"))
    seen: list[tuple[str, Event]] = []
    with local.Local(tmp_path, 2) as executor:
        drive(FixedList(jobs), executor, lambda job, event: seen.append((job.run.id, event)))

    reason = "its process ended with code 3; the worker's log shows its last output."
    result = read_result(Path(jobs[0].folder))
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert FakeWorker.answers.empty(), "the second run was given to a new worker"
    assert seen == [
        (jobs[0].run.id, ResultWritten(status="failed", reason=reason)),
        (jobs[1].run.id, ResultWritten(status="not_applicable", reason="a test")),
    ]


def test_a_worker_that_cannot_start_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, fake: Callable[..., None], tmp_path: Path
) -> None:
    monkeypatch.setattr(FakeWorker, "__init__", lambda self, number, workers, out, events: dies(self, number, events))
    fake()

    def dies(self: FakeWorker, number: int, events: Any) -> None:
        self.number, self.job, self.ready, self._events = number, None, False, events
        events.put((self, Ended(code=1)))

    with pytest.raises(RuntimeError, match="a worker ended with code 1: see"), local.Local(tmp_path, 1) as executor:
        drive(FixedList(some_jobs(1, tmp_path)), executor, silent)


def test_a_full_disk_stops_the_study_with_the_way_out(fake: Callable[..., None], tmp_path: Path) -> None:
    fake(Unwritable(reason="result.json: No space left on device"))

    with pytest.raises(UserError) as caught, local.Local(tmp_path, 2) as executor:
        drive(FixedList(some_jobs(2, tmp_path)), executor, silent)
    assert str(caught.value) == (
        f"--out {tmp_path}: result.json: No space left on device. Correct that and repeat the command: "
        "finished runs are kept, and the interrupted one continues."
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_is_no_failure_of_the_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    (job,) = some_jobs(1, tmp_path)
    monkeypatch.setattr(worker, "execute", full)
    with pytest.raises(OSError, match="somewhere"):
        worker.make(job, lambda event: None)
    assert read_result(Path(job.folder)) is None


def test_any_other_error_is_recorded_with_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    (job,) = some_jobs(1, tmp_path)
    seen: list[Event] = []
    monkeypatch.setattr(worker, "execute", broken)
    worker.make(job, seen.append)

    result = read_result(Path(job.folder))
    assert isinstance(result, Failed)
    assert result.reason == "ZeroDivisionError: a bug"
    assert "in broken" in (Path(job.folder) / "error.txt").read_text()
    assert seen == [ResultWritten(status="failed", reason="ZeroDivisionError: a bug")]


def test_a_job_is_the_same_after_the_process_border(tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)

    assert Job.model_validate_json(job.model_dump_json()) == job


# Workers' environment -------------------------------------------------------------------------------------------------


def started_with(patch: pytest.MonkeyPatch, folder: Path, workers: int) -> dict[str, str]:
    """The environment that a worker is started with."""
    seen: dict[str, str] = {}

    def popen(command: list[str], env: dict[str, str], **options: Any) -> Any:
        seen.update(env)
        raise RuntimeError("seen")

    patch.setattr(local, "_gpus", list)
    patch.setattr(local.subprocess, "Popen", popen)
    with pytest.raises(RuntimeError, match="seen"):
        local.Worker(0, workers, folder, queue.Queue())
    return seen


def test_threads_share_the_cores_that_a_process_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "cpu_count", lambda: 4)
    assert started_with(monkeypatch, tmp_path, 2)["OMP_NUM_THREADS"] == "2"
    assert started_with(monkeypatch, tmp_path, 8)["OMP_NUM_THREADS"] == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_may_use_the_cores_that_a_scheduler_leaves() -> None:
    given = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(given)})
        assert local.cpu_count() == 1
    finally:
        os.sched_setaffinity(0, given)
    assert local.cpu_count() <= len(given)


def test_waiting_threads_give_their_core_away_unless_the_user_says_how_they_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    assert started_with(monkeypatch, tmp_path, 1)["GOMP_SPINCOUNT"] == "10000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert started_with(monkeypatch, tmp_path, 1)["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "GOMP_SPINCOUNT" not in started_with(monkeypatch, tmp_path, 1)


def test_freed_memory_is_kept_for_the_next_batch_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    assert started_with(monkeypatch, tmp_path, 1)["MALLOC_TRIM_THRESHOLD_"] == str(1 << 30)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert started_with(monkeypatch, tmp_path, 1)["MALLOC_TRIM_THRESHOLD_"] == "131072"
