"""The loop between a scheduler, which says what is made next, and an executor, which makes it."""

from collections.abc import Callable
from pathlib import Path

from tunebench.engine.events import Event, ResultWritten
from tunebench.records import Failed, Result, read_result, write_result
from tunebench.run.executors.base import Executor
from tunebench.run.folder import unwritable
from tunebench.run.job import Job
from tunebench.run.journal import Journal
from tunebench.run.requests import Requests
from tunebench.run.scheduler import Scheduler


def drive(scheduler: Scheduler, executor: Executor, observe: Callable[[Job, Event], None], out: Path) -> None:
    """Execute jobs until the scheduler is finished and every job has its result.

    What happens goes to the `progress.jsonl` of the study's folder `out`, and requests are taken from there.

    Raises:
        UserError: the executor cannot continue, such as on a full disk.
        RuntimeError: the scheduler waits for a result, and no job is at work.
    """
    with Journal(out, executor.room) as journal:
        _Drive(scheduler, executor, observe, out, journal).until_finished()


class _Drive:
    """One loop: what is at work, and who hears of it."""

    def __init__(
        self,
        scheduler: Scheduler,
        executor: Executor,
        observe: Callable[[Job, Event], None],
        out: Path,
        journal: Journal,
    ):
        self._scheduler, self._executor, self._observe, self._journal = scheduler, executor, observe, journal
        self._out, self._requests = out, Requests(out)
        self._at_work: dict[str, Job] = {}

    def until_finished(self) -> None:
        """Place jobs and wait for what happens, in turn."""
        scheduler, executor = self._scheduler, self._executor
        while True:
            self._heed()
            idle = self._place()
            if scheduler.finished:
                executor.release()
                if not self._at_work:
                    return
            elif idle and not self._at_work:
                raise RuntimeError("the scheduler waits for a result, but no job is running")
            happened = executor.wait()
            self._journal.beat()
            if happened is not None:
                self._heard(*happened)

    def _heed(self) -> None:
        """End the jobs at work that somebody wants stopped."""
        for request in self._requests.new():
            for job in [job for job in self._at_work.values() if request.covers(job)]:
                self._executor.stop(job, request.result(job))

    def _place(self) -> bool:
        """Fill the executor's room; says whether the scheduler has no job now."""
        while self._executor.room:
            job = self._scheduler.ask()
            if job is None:
                return True
            skipped = self._requests.skipped(job)
            if skipped is None:
                self._journal.placed(job)
                self._executor.place(job)
                self._at_work[job.folder] = job
            else:
                self._skip(job, skipped.result(job))
        return False

    def _skip(self, job: Job, result: Failed) -> None:
        """Record a job that is not started.

        Raises:
            UserError: the output folder cannot be written.
        """
        try:
            write_result(Path(job.folder), result)
        except OSError as error:
            raise unwritable(self._out, error) from error
        self._heard(job, ResultWritten(status="failed", reason=result.reason))

    def _heard(self, job: Job, event: Event) -> None:
        self._journal.observe(job, event)
        self._observe(job, event)
        if isinstance(event, ResultWritten):
            self._at_work.pop(job.folder, None)
            self._scheduler.tell(job, _result(job))


def _result(job: Job) -> Result:
    result = read_result(Path(job.folder))
    if result is None:
        raise RuntimeError(f"{job.folder}: its result was reported, but cannot be read")
    return result
