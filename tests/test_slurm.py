"""Jobs on a SLURM cluster: what sbatch is asked, what is made of what SLURM and the nodes report."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("submitit")

from submitit.local.local import LocalJobEnvironment

from tests.test_local import silent, some_jobs
from tunebench._util.errors import UserError
from tunebench._util.files import read_json
from tunebench.cli.where import WhereOptions, chosen
from tunebench.engine.events import Event, Ready, ResultWritten, Resumed, Step, Unwritable
from tunebench.records import Done, Failed, NotApplicable, read_result, write_result
from tunebench.run.drive import drive
from tunebench.run.executors import elsewhere, slurm
from tunebench.run.executors.local import Local
from tunebench.run.executors.placement import Placement
from tunebench.run.executors.slurm import Slurm, SlurmOptions
from tunebench.run.job import Job, job_in
from tunebench.run.pending import Pending
from tunebench.run.scheduler import FixedList
from tunebench.study import Places, Study


class Queued:
    """A SLURM job that has the state it is given."""

    def __init__(self, number: int, path: str):
        self.job_id, self.state, self.cancelled = f"17_{number}", "PENDING", False
        self.files = Placement(Path(path))
        self.folder = self.files.path.parent

    def done(self) -> bool:
        return self.state not in ("PENDING", "RUNNING")

    def cancel(self, check: bool) -> None:
        self.cancelled, self.state = True, "CANCELLED by 0"

    def reports(self, *events: Event) -> None:
        with self.files.events.open("a") as file:
            file.writelines(event.model_dump_json() + "\n" for event in events)

    def ends(self, job: Job) -> None:
        """As a node ends a run."""
        write_result(self.folder, NotApplicable(reason="a test", run=job.run.info("bert")))
        self.reports(ResultWritten(status="not_applicable"))
        self.state = "COMPLETED"


class Cluster:
    """submitit without SLURM: keeps the arrays that it is given."""

    def __init__(self) -> None:
        self.arrays: list[list[Queued]] = []

    @property
    def jobs(self) -> list[Queued]:
        return [job for array in self.arrays for job in array]

    def map_array(self, task: Any, paths: Sequence[str]) -> list[Queued]:
        self.arrays.append([Queued(len(self.jobs) + number, path) for number, path in enumerate(paths)])
        return self.arrays[-1]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster on which nothing happens by itself, seen without delay."""
    made = Cluster()
    monkeypatch.setattr(slurm, "_engine", lambda folder, options: made)
    monkeypatch.setattr(elsewhere, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(elsewhere, "_GRACE_SECONDS", 0.0)
    return made


def test_runs_are_queued_in_arrays_no_larger_than_the_site_allows(cluster: Cluster, tmp_path: Path) -> None:
    jobs = some_jobs(7, tmp_path)
    with Slurm(tmp_path, SlurmOptions(at_once=5, array=2)) as executor:
        while executor.room:
            executor.place(jobs.pop())
        assert executor.wait() is None
    assert [len(array) for array in cluster.arrays] == [2, 2, 1]
    assert all(Job.model_validate_json(job.files.path.read_bytes()).folder == str(job.folder) for job in cluster.jobs)


def test_events_of_a_node_are_passed_on_and_a_half_written_one_waits(cluster: Cluster, tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)
    with Slurm(tmp_path, SlurmOptions()) as executor:
        executor.place(job)
        assert executor.wait() is None
        (queued,) = cluster.jobs
        queued.reports(Ready(), Resumed(step=3, epoch=1))
        whole = ResultWritten(status="done").model_dump_json() + "\n"
        with queued.files.events.open("a") as file:
            file.write(whole[:9])
        happened = executor.wait()
        assert happened is not None and isinstance(happened[1], Resumed) and happened[1].step == 3
        assert executor.wait() is None
        with queued.files.events.open("a") as file:
            file.write(whole[9:])
        happened = executor.wait()
        assert happened is not None and isinstance(happened[1], ResultWritten)
        assert executor.room == SlurmOptions().at_once


def test_a_run_whose_node_dies_continues_in_another_job_and_fails_after_three(cluster: Cluster, tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)
    with Slurm(tmp_path, SlurmOptions()) as executor:
        executor.place(job)
        happened = None
        while happened is None:
            happened = executor.wait()
            for queued in cluster.jobs:
                queued.state = "NODE_FAIL"
    assert len(cluster.jobs) == 3
    result = read_result(Path(job.folder))
    assert isinstance(result, Failed)
    assert result.reason.startswith("3 SLURM jobs ended without a result, the last one as NODE_FAIL; see the logs in ")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("OUT_OF_MEMORY", "its SLURM job ran out of memory. Ask for more"),
        ("CANCELLED by 7", "its SLURM job was cancelled"),
    ],
)
def test_a_run_that_would_end_alike_again_is_recorded_at_once(
    state: str, reason: str, cluster: Cluster, tmp_path: Path
) -> None:
    (job,) = some_jobs(1, tmp_path)
    with Slurm(tmp_path, SlurmOptions()) as executor:
        executor.place(job)
        executor.wait()
        cluster.jobs[0].state = state
        while executor.wait() is None:
            pass
    result = read_result(Path(job.folder))
    assert isinstance(result, Failed) and result.reason.startswith(reason)
    assert len(cluster.jobs) == 1


def test_a_stopped_run_is_cancelled_and_recorded_as_stopped(cluster: Cluster, tmp_path: Path) -> None:
    queued, waiting = some_jobs(2, tmp_path)
    why = Failed(reason="stopped by hand", run=queued.run.info("bert"), environment={})
    with Slurm(tmp_path, SlurmOptions()) as executor:
        executor.place(queued)
        executor.wait()
        executor.place(waiting)
        executor.stop(waiting, why)
        executor.stop(queued, why)
        assert cluster.jobs[0].cancelled
        ended = [executor.wait(), executor.wait()]
    assert all(one is not None and isinstance(one[1], ResultWritten) for one in ended)
    results = [read_result(Path(job.folder)) for job in (queued, waiting)]
    assert [isinstance(one, Failed) and one.reason for one in results] == ["stopped by hand"] * 2


def test_leaving_cancels_what_is_queued(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Slurm(tmp_path, SlurmOptions()) as executor:
        executor.place(some_jobs(1, tmp_path)[0])
        executor.wait()
        raise KeyboardInterrupt
    assert cluster.jobs[0].cancelled


def test_a_folder_that_a_node_cannot_write_ends_the_command(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no space left"), Slurm(tmp_path, SlurmOptions()) as executor:
        executor.place(some_jobs(1, tmp_path)[0])
        executor.wait()
        cluster.jobs[0].reports(Unwritable(reason="runs: no space left"))
        executor.wait()


def test_a_command_that_was_killed_finds_its_jobs_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is still queued is waited for; what is unknown to SLURM by now is queued again."""
    alive, lost = some_jobs(2, tmp_path)
    killed = Slurm(tmp_path, SlurmOptions())
    for job in (alive, lost):
        killed.place(job)
    killed.wait()
    cluster.jobs[0].reports(Resumed(step=1))
    states = {cluster.jobs[0].job_id: "RUNNING", cluster.jobs[1].job_id: "UNKNOWN"}

    class Known(Queued):
        class watcher:  # noqa: N801  submitit's name
            get_state = staticmethod(lambda number, mode: states[number])

        def __init__(self, folder: Path, job_id: str):
            super().__init__(0, str(Placement.of(alive).path))
            self.job_id, self.state = job_id, "RUNNING"

    monkeypatch.setattr(slurm, "SlurmJob", Known)
    with Slurm(tmp_path, SlurmOptions()) as executor:
        executor.place(alive)
        executor.place(lost)
        happened = executor.wait()
    assert happened is not None and happened[0] == alive and isinstance(happened[1], Resumed)
    assert [len(array) for array in cluster.arrays] == [2, 1]
    assert read_json(Path(lost.folder) / "slurm.json") == {"job": cluster.arrays[1][0].job_id}


# sbatch ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with SLURM's commands, which keep what they are asked."""
    site = tmp_path / "site"
    site.mkdir()
    commands = {
        "sbatch": f'cat "$1" >> {site}/asked; echo "Submitted batch job 17"',
        "srun": "",
        "sacct": "",
        "scancel": "",
    }
    for name, body in commands.items():
        path = site / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{site}:{os.environ['PATH']}")
    monkeypatch.setattr(elsewhere, "LOOK_SECONDS", 0.0)
    return site


def test_sbatch_is_asked_what_the_options_say(site: Path, tmp_path: Path) -> None:
    options = ["gpus-per-node=1", "mem=24G", "account=nlp lab", "reservation=night"]
    with chosen(WhereOptions("slurm", "40", "long", 90, options))(tmp_path / "out", 2) as executor:
        for job in some_jobs(2, tmp_path / "out"):
            executor.place(job)
        executor.wait()
    asked = (site / "asked").read_text().splitlines()
    for line in (
        "partition=long", "time=90", "gpus-per-node=1", "mem=24G", "account='nlp lab'", "reservation=night",
        "array=0-1%2", "cpus-per-task=4", "job-name=tunebench",
    ):  # fmt: skip
        assert f"#SBATCH --{line}" in asked
    assert str(some_jobs(1, tmp_path / "out")[0].folder) not in "\n".join(asked), "a run is passed by its folder's file"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (WhereOptions(slurm_partition="long"), "are for --on slurm"),
        (WhereOptions("slrm"), "Did you mean 'slurm'"),
        (WhereOptions("slurm", slurm=["gpus"]), "--slurm gpus: write an option of sbatch as NAME=VALUE"),
        (WhereOptions("slurm", "0"), "--workers 0: give a number from 1 up, or auto."),
    ],
)
def test_an_option_that_is_none_is_one_sentence(where: WhereOptions, words: str) -> None:
    with pytest.raises(UserError) as caught:
        chosen(where)
    assert words in str(caught.value)


@pytest.mark.parametrize("option", ["time=3", "x=1\n#SBATCH --uid=0", "a b=1"])
def test_an_option_that_sbatch_cannot_be_given_is_refused(option: str, site: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--slurm"):
        chosen(WhereOptions("slurm", slurm=[option]))(tmp_path, 1)


def test_without_slurm_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="--on slurm: Could not detect"):
        chosen(WhereOptions("slurm"))(tmp_path, 1)


def test_what_sbatch_refuses_is_one_sentence(site: Path, tmp_path: Path) -> None:
    (site / "sbatch").write_text('#!/bin/sh\necho "sbatch: error: invalid partition specified: lnog" >&2; exit 1\n')
    with (
        pytest.raises(UserError, match=r"sbatch refuses the jobs: .*invalid partition specified: lnog"),
        chosen(WhereOptions("slurm", slurm_partition="lnog"))(tmp_path / "out", 1) as executor,
    ):
        executor.place(some_jobs(1, tmp_path / "out")[0])
        executor.wait()


# On this machine, by submitit's local jobs ----------------------------------------------------------------------------


@pytest.mark.full
def test_a_preempted_run_is_saved_queued_again_and_ends_with_the_bits_of_an_undisturbed_one(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the checkpoint that the signal asks for, the run would begin again: regular ones are an hour apart."""
    monkeypatch.setattr(elsewhere, "LOOK_SECONDS", 0.1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    places = Places(models={"tiny-bert": str(backbones["bert"])}, data_root=str(data_root))
    study = Study.model_validate(
        {
            "name": "preempted",
            "training": {"epochs": 5, "batch_size": 1, "patience": 5, "checkpoint_seconds": 3600},
            "experiments": [{"model": "tiny-bert", "task": "emotion", "techniques": ["full"]}],
        }
    )
    folders, events = {}, list[Event]()
    for name in ("here", "there"):
        out = tmp_path / name
        (job,) = [job_in(out, Pending(run, "bert"), places) for run in study.runs()]
        folders[name] = Path(job.folder)
        out.mkdir()
        if name == "here":
            with Local(out, 1) as executor:
                drive(FixedList([job]), executor, silent, out)
            continue
        with Slurm(out, SlurmOptions(cluster="local")) as executor:

            def preempt(job: Job, event: Event, executor: Slurm = executor) -> None:
                if isinstance(event, Step) and not any(isinstance(one, Step) for one in events):
                    _take_the_node_away(executor._placed[job.folder].ticket)
                events.append(event)

            drive(FixedList([job]), executor, preempt, out)
    resumed = [event for event in events if isinstance(event, Resumed)]
    assert len(resumed) == 1 and resumed[0].step > 0
    done = [read_result(folder) for folder in folders.values()]
    assert isinstance(done[0], Done) and isinstance(done[1], Done)
    assert [epoch.validation for epoch in done[0].history] == [epoch.validation for epoch in done[1].history]
    weights = [(folder / "best.safetensors").read_bytes() for folder in folders.values()]
    assert weights[0] == weights[1]


def _take_the_node_away(queued: Any) -> None:
    """As SLURM signals a task before it ends its job; submitit's own method signals the process above it."""
    (task,) = psutil.Process(int(queued.job_id)).children()
    task.send_signal(LocalJobEnvironment._usr_sig())
