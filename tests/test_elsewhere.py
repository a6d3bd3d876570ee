"""Runs that other machines make: what is said through files, and how often a run is made."""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.test_local import some_jobs
from tunebench._util import python
from tunebench._util.errors import UserError
from tunebench.cli.where import WhereOptions, chosen, refuse_address
from tunebench.engine.events import Event, ResultWritten, Resumed, Unwritable
from tunebench.records import Failed, NotApplicable, read_result, write_result
from tunebench.run.executors import elsewhere, there
from tunebench.run.executors.elsewhere import Elsewhere, End, QueuedRun
from tunebench.run.executors.placement import Placement
from tunebench.run.job import Job


class Site(Elsewhere):
    """A cluster on which nothing happens by itself; a ticket is the number of a submission."""

    CLUSTER = "site"

    def __init__(self, out: Path, ends: Sequence[End] = ()):
        super().__init__(out, out / "logs")
        self.submissions: list[QueuedRun] = []
        self.cancelled: list[int] = []
        self._ends = list(ends)

    def slots(self) -> int:
        return 3

    def submit(self, waiting: Sequence[QueuedRun]) -> None:
        for placed in waiting:
            placed.ticket = len(self.submissions)
            placed.submissions += 1
            self.submissions.append(placed)

    def submitted_before(self, folder: Path) -> None:
        """None."""

    def ended(self, placed: Collection[QueuedRun], seconds: float) -> list[QueuedRun]:
        return [one for one in placed if one.ticket < len(self._ends)]

    def end_of(self, ticket: Any) -> End:
        return self._ends[ticket]

    def cancel(self, ticket: Any) -> None:
        self.cancelled.append(ticket)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next look."""
    monkeypatch.setattr(elsewhere, "LOOK_SECONDS", 0.0)


def report(job: Job, *events: Event) -> None:
    """As the machine that makes a run does."""
    for event in events:
        if isinstance(event, ResultWritten):
            write_result(Path(job.folder), NotApplicable(reason="a test", run=job.run.info("bert")))
        with Placement.of(job).events.open("a") as file:
            file.write(event.model_dump_json() + "\n")


DONE = ResultWritten(status="done")


def test_a_result_that_a_killed_command_did_not_hear_of_is_heard_by_the_next_one_and_not_made_again(
    tmp_path: Path,
) -> None:
    heard, lost = some_jobs(2, tmp_path)
    killed = Site(tmp_path)
    for job in (heard, lost):
        killed.place(job)
    killed.wait()
    report(heard, DONE)
    with Site(tmp_path) as site:
        site.place(heard)
        site.place(lost)
        assert site.wait() == (heard, DONE)
        assert [one.job for one in site.submissions] == [lost]
    assert not list(Path(heard.folder).glob("placed-*")), "a result that is known leaves no file"


@pytest.mark.parametrize("event", [ResultWritten(status="failed"), Unwritable(reason="full")], ids=["failed", "disk"])
def test_a_failure_that_nobody_heard_of_is_made_again(event: Event, tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)
    Site(tmp_path).place(job)
    report(job, event)
    site = Site(tmp_path)
    site.place(job)
    assert site.wait() is None and len(site.submissions) == 1


def test_a_job_until_a_later_epoch_withdraws_the_earlier_one_and_does_not_take_its_result(tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)
    early = job.model_copy(update={"until_epoch": 1})
    Site(tmp_path).place(early)
    queued = Placement.of(early)
    assert not queued.is_over()
    report(early, DONE)
    site = Site(tmp_path)
    site.place(job)
    assert queued.is_over(), "a machine that comes to it late makes nothing"
    assert site.wait() is None and len(site.submissions) == 1


def test_a_half_written_line_of_a_machine_that_died_hides_no_later_event(tmp_path: Path) -> None:
    """The next machine makes the run in the same folder."""
    (job,) = some_jobs(1, tmp_path)
    site = Site(tmp_path, [End("node died", reported=False)])
    site.place(job)
    files = Placement.of(job)
    files.events.write_text('{"event": "resu')
    assert site.wait() is None
    script = f"import sys; sys.stdin.readline(); print('{DONE.model_dump_json()}', flush=True); sys.stdin.read()"
    process = python.start("-c", script)
    write_result(Path(job.folder), NotApplicable(reason="a test", run=job.run.info("bert")))
    with there.alone(files):
        assert there.make(files, process)
        assert files.is_over()
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait() == 0
    assert site.wait() == (job, DONE)


def test_a_worker_that_dies_leaves_no_result_and_what_it_reported_is_kept(tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)
    files = Placement.of(job)
    files.write(job)
    line = Resumed(step=3, epoch=1).model_dump_json()
    process = python.start("-c", f"import sys; sys.stdin.readline(); print('{line}'); sys.exit(3)")
    assert not there.make(files, process)
    assert process.wait() == 3
    assert not files.is_over()
    events, _ = files.news(0)
    assert [event.step for event in events if isinstance(event, Resumed)] == [3]


def test_a_run_whose_machine_dies_is_queued_again_at_once_and_fails_after_three(tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)
    site = Site(tmp_path, [End("dead", reported=False)] * 3)
    site.place(job)
    happened = [site.wait() for _ in range(3)]
    assert happened[:2] == [None, None] and len(site.submissions) == 3
    result = read_result(Path(job.folder))
    assert isinstance(result, Failed) and happened[2] == (job, ResultWritten(status="failed", reason=result.reason))
    assert (
        result.reason == f"3 site jobs ended without a result, the last one as dead; see the logs in {tmp_path}/logs."
    )


def test_a_result_that_the_file_system_shows_late_is_waited_for(tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)
    site = Site(tmp_path, [End("finished")])
    site.place(job)
    assert site.wait() is None and site.wait() is None
    report(job, DONE)
    assert site.wait() == (job, DONE) and len(site.submissions) == 1


def test_leaving_cancels_what_is_queued(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        for job in some_jobs(2, tmp_path):
            site.place(job)
        site.wait()
    assert site.cancelled == [0, 1]


# What `--on` takes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (WhereOptions(ray=["num_cpus=2"]), "are for --on ray"),
        (WhereOptions(ray_address="auto"), "are for --on ray"),
        (WhereOptions("ray", slurm_partition="gpu"), "are for --on slurm"),
        (WhereOptions("rai"), "Did you mean 'ray'"),
        (WhereOptions("ray", ray=["num_gpu=1"]), "Did you mean 'num_gpus'"),
        (WhereOptions("ray", ray=["num_gpus=1.5"]), "write --ray num_gpus=1, or 0.5 for two runs on one."),
        (WhereOptions("ray", ray=["num_cpus=0.5"]), "write --ray num_cpus=1 or more."),
        (WhereOptions("ray", ray=["num_cpus=nan"]), "write --ray num_cpus=1 or more."),
        (WhereOptions("ray", ray=["memory=much"]), "write --ray memory=8G."),
        (WhereOptions("ray", ray=["cache=here"]), "write --ray cache=/scratch/tunebench."),
    ],
)
def test_an_option_that_is_none_is_one_sentence(
    asked: WhereOptions, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunebench.cli.where.find_spec", lambda name: name)
    with pytest.raises(UserError) as caught:
        chosen(asked)
    assert words in str(caught.value)


def test_without_ray_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("tunebench.cli.where.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Ray is not installed. Run: pip install 'tunebench\[ray\]'"):
        chosen(WhereOptions("ray"))


@pytest.mark.parametrize("out", ["s3://bucket/study", "gs://bucket/study", "s3:/bucket"])
def test_an_address_as_the_studys_folder_is_refused(out: str) -> None:
    with pytest.raises(UserError, match="a study's folder is a folder of this machine"):
        refuse_address(Path(out))
    refuse_address(Path("C:/studies/one"))
    refuse_address(None)
