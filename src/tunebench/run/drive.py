"""The loop between a scheduler, which says what is made next, and an executor, which makes it."""

from collections.abc import Callable
from pathlib import Path

from tunebench.engine.events import Event, ResultWritten
from tunebench.records import Result, read_result
from tunebench.run.executors.base import Executor
from tunebench.run.job import Job
from tunebench.run.scheduler import Scheduler


def drive(scheduler: Scheduler, executor: Executor, observe: Callable[[Job, Event], None]) -> None:
    """Execute jobs until the scheduler is finished and every job has its result.

    Raises:
        UserError: the executor cannot continue, such as on a full disk.
        RuntimeError: the scheduler waits for a result, and no job is at work.
    """
    at_work = 0
    while True:
        idle = False
        while executor.room and not idle:
            job = scheduler.ask()
            idle = job is None
            if job is not None:
                executor.place(job)
                at_work += 1
        if scheduler.finished:
            executor.release()
            if not at_work:
                return
        elif idle and not at_work:
            raise RuntimeError("the scheduler waits for a result, but no job is running")
        happened = executor.wait()
        if happened is None:
            continue
        observe(*happened)
        if isinstance(happened[1], ResultWritten):
            at_work -= 1
            scheduler.tell(happened[0], _result(happened[0]))


def _result(job: Job) -> Result:
    result = read_result(Path(job.folder))
    if result is None:
        raise RuntimeError(f"{job.folder}: its result was reported, but cannot be read")
    return result
