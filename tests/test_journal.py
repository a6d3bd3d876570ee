"""What a study writes for those who watch it, and what they may ask of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.test_drive import InProcess, jobs_in, runs_of
from tunebench.advise.evidence import build
from tunebench.engine.events import BatchDone, Driven, Driving, EpochEnded, Event, Placed, ResultWritten, Step
from tunebench.records import Failed, read_result
from tunebench.run import journal
from tunebench.run.drive import drive
from tunebench.run.folder import locked
from tunebench.run.job import Job
from tunebench.run.journal import EARLIER, PROGRESS, Journal, ProgressLine, progress_line
from tunebench.run.requests import REQUESTS, SkipTechnique, StopRun, ask
from tunebench.run.scheduler import FixedList
from tunebench.study import Places

STEP = Step(step=1, steps=9, loss=0.5, epoch=1, epochs=1)


def entries(path: Path) -> list[ProgressLine]:
    found = [progress_line(line) for line in path.read_bytes().splitlines() if line]
    return [entry for entry in found if entry is not None]


def nobody(job: Job, event: Event) -> None:
    """Nobody observes."""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return jobs_in(tmp_path, runs_of("m", ["full"]), Places())[0]


def test_a_study_writes_what_its_runs_do(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, runs_of("m", ["full"], seeds=2), Places())
    with InProcess(room=1) as executor:
        drive(FixedList(jobs), executor, nobody, tmp_path)

    first, *between, last = entries(tmp_path / PROGRESS)
    assert isinstance(first.event, Driving)
    assert (first.event.process, first.event.workers) == (os.getpid(), 1)
    assert isinstance(last.event, Driven)
    assert [(entry.run, type(entry.event)) for entry in between] == [
        (jobs[0].run.id, Placed),
        (jobs[0].run.id, ResultWritten),
        (jobs[1].run.id, Placed),
        (jobs[1].run.id, ResultWritten),
    ]
    placed = between[0].event
    assert isinstance(placed, Placed)
    assert (placed.folder, placed.label, placed.seed) == (f"runs/{jobs[0].run.id}", "full", 0)


def test_of_the_steps_of_a_run_one_a_second_is_written_and_every_epoch(tmp_path: Path, job: Job) -> None:
    epoch = EpochEnded(epoch=1, train_loss=0.5, validation={"accuracy": 0.5}, seconds=1)
    with Journal(tmp_path, 1) as written:
        written.placed(job)
        for event in (STEP, STEP, BatchDone(phase="x", batch=1, batches=2), epoch, epoch):
            written.observe(job, event)
    events = [entry.event.event for entry in entries(tmp_path / PROGRESS)]
    assert events == ["driving", "placed", "step", "epoch", "epoch", "driven"]


def test_two_files_hold_the_newest_lines_and_no_more(tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_LARGEST", 2_000)
    with Journal(tmp_path, 1) as written:
        for number in range(100):
            written.observe(job, EpochEnded(epoch=number, train_loss=None, validation={}, seconds=1))
    files = [tmp_path / EARLIER, tmp_path / PROGRESS]
    assert all(path.stat().st_size < 2_300 for path in files)
    kept = [entry.event.epoch for path in files for entry in entries(path) if isinstance(entry.event, EpochEnded)]
    assert kept == list(range(kept[0], 100))
    assert len(kept) > 10


def test_a_line_that_a_kill_left_unfinished_spoils_no_other(tmp_path: Path, job: Job) -> None:
    (tmp_path / PROGRESS).write_bytes(b'{"time": 1, "ev')
    with Journal(tmp_path, 1) as written:
        written.placed(job)
    assert [entry.event.event for entry in entries(tmp_path / PROGRESS)] == ["driving", "placed", "driven"]


@pytest.mark.parametrize(
    "line", [b"null", b"7", b'{"time": 1}', b'{"time": "x", "event": "test"}', b"\xff", b"[" * 9999]
)
def test_a_line_that_is_none_is_ignored(line: bytes) -> None:
    assert progress_line(line) is None


def test_a_full_disk_ends_no_study(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from tests.faults import full_disk; from tunebench.run.journal import *\n"
        "from tunebench.engine.events import Testing\n"
        "with full_disk(600), Journal(pathlib.Path(sys.argv[1]), 1) as j:\n"
        "    for _ in range(100): j._write(Testing(), 'a')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert 0 < (tmp_path / PROGRESS).stat().st_size <= 600
    assert entries(tmp_path / PROGRESS)


def test_a_folder_that_cannot_be_written_ends_no_study(tmp_path: Path, job: Job) -> None:
    (tmp_path / PROGRESS).mkdir()
    with Journal(tmp_path, 1) as written:
        written.placed(job)
        written.beat()


def test_a_silent_study_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path, 1) as written:
        os.utime(tmp_path / PROGRESS, (1, 1))
        written.beat()
        assert (tmp_path / PROGRESS).stat().st_mtime == 1, "the last line is young"
        monkeypatch.setattr(journal, "BEAT", -1.0)
        written.beat()
        assert (tmp_path / PROGRESS).stat().st_mtime > 1


class Asked(InProcess):
    """Somebody asks something as soon as the first job is placed."""

    def __init__(self, question: Callable[[Job], None]):
        super().__init__(room=1)
        self._question: Callable[[Job], None] | None = question

    def wait(self) -> tuple[Job, Event] | None:  # type: ignore[override]
        if self._question is not None:
            self._question(self._at_work[0])
            self._question = None
            return None
        return super().wait()


def test_a_run_that_somebody_stops_is_recorded_as_stopped_and_the_others_are_made(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, runs_of("m", ["full"], seeds=2), Places())
    with Asked(lambda job: ask(tmp_path, StopRun(run=job.run.id))) as executor:
        drive(FixedList(jobs), executor, nobody, tmp_path)
    first, second = (read_result(Path(job.folder)) for job in jobs)
    assert isinstance(first, Failed)
    assert (first.by_hand, first.reason) == ("stopped", "stopped by hand in 'tunebench watch'")
    assert second is not None
    assert second.status == "not_applicable", "the executor's own word"


def test_a_technique_that_somebody_skips_is_recorded_so_for_every_run_that_waits(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, runs_of("m", ["full", "lora"], seeds=2), Places())
    seen: list[tuple[str, str]] = []
    with Asked(lambda job: ask(tmp_path, SkipTechnique(label="lora"))) as executor:
        drive(FixedList(jobs), executor, lambda job, event: seen.append((job.run.label, event.event)), tmp_path)
    results = [(job.run.label, read_result(Path(job.folder))) for job in jobs]
    assert [result.by_hand for label, result in results if label == "lora" and isinstance(result, Failed)] == [
        "skipped"
    ] * 2
    assert [result.status for label, result in results if label == "full" and result] == ["not_applicable"] * 2
    assert sorted(seen) == [("full", "result")] * 2 + [("lora", "result")] * 2, "the display counts them"


def test_trials_of_a_skipped_technique_go_on_as_they_decide_which_trial_comes_next(job: Job) -> None:
    request = SkipTechnique(label="full")
    assert request.covers(job)
    assert not request.covers(job.model_copy(update={"trial": True}))


def test_requests_of_an_earlier_command_are_void(tmp_path: Path) -> None:
    ask(tmp_path, StopRun(run="a"))
    with locked(tmp_path):
        assert not (tmp_path / REQUESTS).exists()


def test_a_request_that_is_none_is_ignored(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, runs_of("m", ["full"]), Places())

    def damaged(job: Job) -> None:
        (tmp_path / REQUESTS).write_text('null\n{"action": "remove"}\n{"action": "stop", "run": "other"}\n{"act')

    with Asked(damaged) as executor:
        drive(FixedList(jobs), executor, nobody, tmp_path)
    result = read_result(Path(jobs[0].folder))
    assert result is not None
    assert result.status == "not_applicable"


def test_the_record_changes_no_result_and_no_identity(tmp_path: Path) -> None:
    (job,) = jobs_in(tmp_path, runs_of("m", ["full"]), Places())
    before = job.run.id
    with InProcess(room=1) as executor:
        drive(FixedList([job]), executor, nobody, tmp_path)
    assert json.loads((tmp_path / "runs" / before / "result.json").read_text())["run"]["id"] == before
    assert [path.name for path in (tmp_path / "runs" / before).iterdir()] == ["result.json"]


def test_a_run_that_was_stopped_by_hand_is_no_evidence(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str | None] = []
    monkeypatch.setattr(build, "append", lambda into, cell, run: kept.append(run.reason))
    building = SimpleNamespace(_building=SimpleNamespace(into=tmp_path), _cells={job.run.task.name: None})
    stopped = StopRun(run=job.run.id).result(job)
    build.Build.tell(building, job, stopped)  # type: ignore[arg-type]
    build.Build.tell(building, job, stopped.model_copy(update={"by_hand": None, "reason": "it broke"}))  # type: ignore[arg-type]
    assert kept == ["it broke"]
