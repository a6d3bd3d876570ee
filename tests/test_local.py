"""Jobs in worker processes on this machine: how a worker starts, and what its death means."""

import contextlib
import errno
import os
import queue
import subprocess
import sys
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
from tunebench.run.requests import StopRun
from tunebench.run.scheduler import FixedList
from tunebench.study import Places, Study


class FakeWorker:
    """A worker that answers each job as it was told to, in this process."""

    answers: queue.Queue[Event]
    stopped: Failed | None = None

    def __init__(self, number: int, workers: int, out: Path, events: Any):
        self.number, self.job, self.ready, self._events = number, None, False, events
        events.put((self, Ready()))

    def start(self, job: Job) -> None:
        self.job = job  # type: ignore[assignment]
        event = self.answers.get_nowait()
        if isinstance(event, ResultWritten):
            write_result(Path(job.folder), NotApplicable(reason="a test", run=job.run.info("bert")))
        self._events.put((self, event))

    def kill(self) -> None:
        self._events.put((self, Ended(code=-9)))

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
        drive(FixedList(jobs), executor, lambda job, event: seen.append((job.run.id, event)), tmp_path)

    reason = "its process ended with code 3; the worker's log shows its last output."
    result = read_result(Path(jobs[0].folder))
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert FakeWorker.answers.empty(), "the second run was given to a new worker"
    assert seen == [
        (jobs[0].run.id, ResultWritten(status="failed", reason=reason)),
        (jobs[1].run.id, ResultWritten(status="not_applicable", reason="a test")),
    ]


@pytest.mark.parametrize("ready", [True, False], ids=["at work", "still importing"])
def test_a_run_that_is_stopped_has_the_result_that_was_given_and_the_next_one_a_new_worker(
    ready: bool, fake: Callable[..., None], tmp_path: Path
) -> None:
    jobs = some_jobs(2, tmp_path)
    fake(Ready(), ResultWritten(status="not_applicable", reason="a test"))
    stopped = StopRun(run=jobs[0].run.id).result(jobs[0])
    with local.Local(tmp_path, 2) as executor:
        executor.place(jobs[0])
        for worker in executor._workers.values():
            worker.ready = ready
        executor.stop(jobs[0], stopped)
        executor.stop(jobs[1], stopped)  # not at work: nothing
        happened = None
        while happened is None:
            happened = executor.wait()
        assert happened == (jobs[0], ResultWritten(status="failed", reason=stopped.reason))
        assert read_result(Path(jobs[0].folder)) == stopped
        assert executor.room == 1
        drive(FixedList(jobs[1:]), executor, silent, tmp_path)
    assert FakeWorker.answers.empty(), "the second run was given to a new worker"


def test_a_run_that_ended_before_it_could_be_stopped_keeps_its_result_and_the_next_one_is_made(
    fake: Callable[..., None], tmp_path: Path
) -> None:
    jobs = some_jobs(2, tmp_path)
    ended = ResultWritten(status="not_applicable", reason="a test")
    fake(ended, ended)
    with local.Local(tmp_path, 2) as executor:
        executor.place(jobs[0])  # its result is written, and nobody has heard of it
        executor.stop(jobs[0], StopRun(run=jobs[0].run.id).result(jobs[0]))
        heard: list[tuple[Job, Event]] = []
        while len(heard) < 2:
            happened = executor.wait()
            if happened is not None:
                heard.append(happened)
                if len(heard) == 1:
                    executor.place(jobs[1])
    assert heard == [(jobs[0], ended), (jobs[1], ended)]


def starting(monkeypatch: pytest.MonkeyPatch, *deaths: int | None) -> list[FakeWorker]:
    """Workers in their turn: each dies with a code while it imports, or becomes ready."""
    started: list[FakeWorker] = []
    codes = iter(deaths)

    def start(self: FakeWorker, number: int, workers: int, out: Path, events: Any) -> None:
        code = next(codes, None)
        self.number, self.job, self.ready, self._events = number, None, False, events
        self.starts = code is None  # type: ignore[attr-defined]
        events.put((self, Ready() if code is None else Ended(code=code)))
        started.append(self)

    def give(self: FakeWorker, job: Job) -> None:
        self.job = job  # type: ignore[assignment]
        if self.starts:  # type: ignore[attr-defined]
            write_result(Path(job.folder), NotApplicable(reason="a test", run=job.run.info("bert")))
            self._events.put((self, ResultWritten(status="not_applicable", reason="a test")))

    monkeypatch.setattr(FakeWorker, "__init__", start)
    monkeypatch.setattr(FakeWorker, "start", give)
    return started


def outcomes(jobs: list[Job], out: Path, workers: int) -> list[str | None]:
    """The reasons in the jobs' results after a study."""
    with local.Local(out, len(jobs), workers) as executor:
        drive(FixedList(jobs), executor, silent, out)
    results = [read_result(Path(job.folder)) for job in jobs]
    return [getattr(result, "reason", "missing") for result in results]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_job_of_a_worker_that_dies_while_it_imports_goes_to_another_one(
    workers: int, monkeypatch: pytest.MonkeyPatch, fake: Callable[..., None], tmp_path: Path
) -> None:
    fake()
    started = starting(monkeypatch, -9, None)

    assert outcomes(some_jobs(3, tmp_path), tmp_path, workers) == ["a test"] * 3
    assert len(started) == workers + 1


def test_a_job_whose_workers_die_twice_while_they_import_is_recorded_as_failed_and_the_next_one_is_made(
    monkeypatch: pytest.MonkeyPatch, fake: Callable[..., None], tmp_path: Path
) -> None:
    fake()
    started = starting(monkeypatch, 1, -9)

    first, *others = outcomes(some_jobs(3, tmp_path), tmp_path, 1)
    assert str(first).startswith("two workers ended before they were ready. The last one: its process was killed")
    assert others == ["a test"] * 2
    assert len(started) == 3


def test_a_full_disk_stops_the_study_with_the_way_out(fake: Callable[..., None], tmp_path: Path) -> None:
    fake(Unwritable(reason="result.json: No space left on device"))

    with pytest.raises(UserError) as caught, local.Local(tmp_path, 2) as executor:
        drive(FixedList(some_jobs(2, tmp_path)), executor, silent, tmp_path)
    assert str(caught.value) == (
        f"--out {tmp_path}: result.json: No space left on device. Correct that and repeat the command: "
        "finished runs are kept, and the interrupted one continues."
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_worker_that_dies_on_a_full_disk_stops_the_study_with_the_way_out(
    number: int, monkeypatch: pytest.MonkeyPatch, fake: Callable[..., None], tmp_path: Path
) -> None:
    def full(*_: Any) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    fake()
    starting(monkeypatch, 1, -9)
    monkeypatch.setattr("tunebench.run.executors.ends.write_result", full)
    with pytest.raises(UserError) as caught, local.Local(tmp_path, 2) as executor:
        drive(FixedList(some_jobs(2, tmp_path)), executor, silent, tmp_path)
    assert str(caught.value) == (
        f"--out {tmp_path}: it cannot be written ({os.strerror(number)}). Correct that and repeat the command: "
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


def started_with(patch: pytest.MonkeyPatch, folder: Path, workers: int, number: int = 0) -> dict[str, str]:
    """The environment that a worker is started with."""
    seen: dict[str, str] = {}

    def start(*arguments: str, env: dict[str, str], **options: Any) -> Any:
        seen.update(env)
        raise RuntimeError("seen")

    patch.setattr(local.python, "start", start)
    with pytest.raises(RuntimeError, match="seen"):
        local.Worker(number, workers, folder, queue.Queue())
    return seen


def test_threads_share_the_cores_that_a_process_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert started_with(monkeypatch, tmp_path, 2)["OMP_NUM_THREADS"] == "2"
    assert started_with(monkeypatch, tmp_path, 8)["OMP_NUM_THREADS"] == "1"


def test_the_users_number_of_threads_is_heeded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "cpu_count", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert started_with(monkeypatch, tmp_path, 2)["OMP_NUM_THREADS"] == "3"
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert started_with(monkeypatch, tmp_path, 2)["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0,1", ["0", "1"]),
        ("3, 1", ["3", "1"]),
        (" 2", ["2"]),
        ("1,-1,0", ["1"]),
        ("-1", []),
        ("", []),
        ("NoDevFiles", []),
        ("none", []),
        ("0,none,1", ["0"]),
        ("2,4,1", ["2"]),
        ("7", []),
        ("1,1", []),
        ("GPU-8932f937, GPU-1a2b", ["GPU-8932f937", "GPU-1a2b"]),
        ("MIG-c6d4f1ef-42e4,MIG-GPU-5/0/1", ["MIG-c6d4f1ef-42e4", "MIG-GPU-5/0/1"]),
        ("0,,1", ["0"]),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(value: str, expected: list[str]) -> None:
    assert local.visible_gpus(value, 4) == expected


@pytest.mark.parametrize(("value", "given"), [("-1", "-1"), ("1, 0", "0"), (None, "1")])
def test_a_worker_gets_one_gpu_of_those_that_are_visible(
    value: str | None, given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local, "_gpus_here", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if value is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert started_with(monkeypatch, tmp_path, 2, number=1)["CUDA_VISIBLE_DEVICES"] == given


def test_a_list_of_gpus_that_this_machine_lacks_leaves_one_worker_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cpu_count", lambda: 5)
    monkeypatch.setattr(local, "_WORKER_BYTES", 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(local, "_gpus_here", lambda: 0)
    assert local.auto_workers(9) == 5
    monkeypatch.setattr(local, "_gpus_here", lambda: 2)
    assert local.auto_workers(9) == 1


def test_every_process_is_started_where_no_script_of_the_users_can_be_imported() -> None:
    package = Path(local.__file__).parents[2]
    started = [
        path.relative_to(package) for path in package.rglob("*.py") if "sys.executable" in path.read_text("utf-8")
    ]
    assert started == [Path("_util/python.py")]


@pytest.mark.parametrize("name", ["random.py", "tokenizers.py", "queue.py"])
def test_no_script_in_the_working_directory_is_imported_by_a_worker_or_the_command(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("raise SystemExit('a script of the user was imported')\n")
    code = "import random, tokenizers, queue; print('imported')"
    with contextlib.chdir(tmp_path):
        worker = local.python.start("-c", code, stderr=subprocess.PIPE)
        command = subprocess.run([sys.executable, "-m", "tunebench", "--version"], capture_output=True, check=False)
    assert worker.communicate() == (b"imported\n", b"")
    assert b"a script of the user" not in command.stdout + command.stderr


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
