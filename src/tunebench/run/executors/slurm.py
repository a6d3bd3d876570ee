"""Jobs on a SLURM cluster, through submitit: one array task per run, in arrays below the site's limit.

The study's folder, models and data must be on a file system that the nodes share. Each run is made by the same worker
process as on one machine (`slurm_task.py`) and reports through files in its folder, so that a command that was killed
and is repeated finds the jobs that it had queued.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from submitit import AutoExecutor, SlurmJob
from submitit.core.utils import FailedJobError, FailedSubmissionError

from tunebench._util.errors import UserError
from tunebench._util.files import read_json, write_atomically, write_json
from tunebench.engine.events import Event, Ready, ResultWritten, Unwritable, read_event
from tunebench.records import Failed
from tunebench.run.executors import ends
from tunebench.run.executors.slurm_task import EVENTS, JOB, SlurmTask
from tunebench.run.folder import unwritable
from tunebench.run.job import Job

_QUEUED = "slurm.json"
"""In a run's folder: the SLURM job that makes it."""

_LOOK_SECONDS = 1.0  # between two looks at the files of the runs
_GRACE_SECONDS = 20.0  # a shared file system may show late what another node wrote
_SUBMISSIONS = 3  # of a run whose jobs end without a result
_WAITING = ("PENDING", "RUNNING", "REQUEUED", "CONFIGURING", "COMPLETING", "SUSPENDED", "PREEMPTED")
_TIMEOUTS = 1_000_000  # a run continues after each, from its newest checkpoint


@dataclass(frozen=True)
class SlurmOptions:
    """What is asked of SLURM.

    Attributes:
        partition: None: the site's default.
        minutes: of one job; a run that takes longer is queued again and continues.
        extra: other options of sbatch, without dashes, such as `gpus-per-node` or `account`.
        at_once: runs in the queue at once.
        array: tasks of one array; sites commonly allow 1,001.
        cluster: "local" for processes on this machine, which is for tests.
    """

    partition: str | None = None
    minutes: int = 240
    extra: Mapping[str, str] = field(default_factory=dict)
    at_once: int = 500
    array: int = 1_000
    cluster: str = "slurm"


@dataclass
class _Placed:
    """A run that was placed, and its SLURM job once it is queued."""

    job: Job
    queued: Any = None
    read: int = 0  # bytes of its events
    submissions: int = 0
    ended: float | None = None  # when its SLURM job was first seen to have ended
    stopped: Failed | None = None


class Slurm:
    """An executor that queues each job on a SLURM cluster.

    Leaving its context cancels what is queued or at work. A command that was killed leaves its jobs: the next one
    waits for them.

    Args:
        out: the study's output folder, which holds submitit's files and logs in `slurm`.
        options: what is asked of SLURM.

    Raises:
        UserError: this machine has no SLURM, or it has no such option.
    """

    def __init__(self, out: Path, options: SlurmOptions):
        self._out, self._options = out, options
        self._placed: dict[str, _Placed] = {}
        self._waiting: deque[_Placed] = deque()
        self._happened: deque[tuple[Job, Event]] = deque()
        self._engine = _engine(out / "slurm", options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for placed in self._placed.values():
            if placed.queued is not None:
                placed.queued.cancel(check=False)

    @property
    def room(self) -> int:
        """How many more runs may be queued."""
        return self._options.at_once - len(self._placed)

    def place(self, job: Job) -> None:
        """Queue a run with the next look, or wait for the SLURM job that an earlier command queued for it."""
        placed = self._placed[job.folder] = _Placed(job)
        placed.queued = self._queued_before(Path(job.folder))
        if placed.queued is None:
            self._waiting.append(placed)

    def stop(self, job: Job, result: Failed) -> None:
        """Cancel a run's SLURM job; its result is written when it has ended."""
        placed = self._placed.get(job.folder)
        if placed is None:
            return
        placed.stopped = result
        if placed.queued is None:
            self._waiting.remove(placed)
            self._end(placed, result)
        else:
            placed.queued.cancel(check=False)

    def wait(self) -> tuple[Job, Event] | None:
        """The next event of a run; None after a second without one.

        Raises:
            UserError: SLURM refuses the jobs, or the output folder cannot be written any more.
        """
        self._submit()
        if not self._happened:
            time.sleep(_LOOK_SECONDS)
            for placed in list(self._placed.values()):
                self._look(placed)
        return self._happened.popleft() if self._happened else None

    def release(self) -> None:
        """Nothing is idle: every job has its own process."""

    def _submit(self) -> None:
        """Queue what waits, in arrays."""
        while self._waiting:
            part = [self._waiting.popleft() for _ in range(min(self._options.array, len(self._waiting)))]
            try:
                for placed in part:
                    _prepare(placed.job)
                queued = self._engine.map_array(SlurmTask(), [str(Path(one.job.folder).absolute()) for one in part])
                for placed, job in zip(part, queued, strict=True):
                    placed.queued, placed.read, placed.ended = job, 0, None
                    placed.submissions += 1
                    write_json(Path(placed.job.folder) / _QUEUED, {"job": job.job_id})
            except OSError as error:
                raise unwritable(self._out, error) from error
            except (FailedJobError, FailedSubmissionError) as error:
                raise UserError(f"--on slurm: sbatch refuses the jobs: {' '.join(str(error).split())}") from error

    def _queued_before(self, folder: Path) -> Any:
        """The SLURM job of an earlier command, if it has not ended."""
        known = read_json(folder / _QUEUED)
        if self._options.cluster != "slurm" or not known:
            return None
        job: Any = SlurmJob(folder=self._out.absolute() / "slurm", job_id=str(known.get("job")))
        return job if SlurmJob.watcher.get_state(job.job_id, mode="force") in _WAITING else None

    def _look(self, placed: _Placed) -> None:
        """Take what a run has reported, or notice that its SLURM job ended without a result."""
        if placed.queued is None:
            return
        for event in self._new_events(placed):
            if isinstance(event, Unwritable):
                raise ends.unwritable(self._out, event.reason)
            self._happened.append((placed.job, event))
            if isinstance(event, ResultWritten):
                self._placed.pop(placed.job.folder, None)
                return
        if placed.queued.done():
            placed.ended = placed.ended or time.monotonic()
            if time.monotonic() - placed.ended >= _GRACE_SECONDS:
                self._ended(placed, placed.queued.state)

    def _new_events(self, placed: _Placed) -> Iterator[Event]:
        try:
            with (Path(placed.job.folder) / EVENTS).open("rb") as file:
                file.seek(placed.read)
                content = file.read()
        except FileNotFoundError:
            return
        whole, newline, _ = content.rpartition(b"\n")
        placed.read += len(whole) + len(newline)
        yield from (event for line in whole.splitlines() if not isinstance(event := read_event(line), Ready))

    def _ended(self, placed: _Placed, state: str) -> None:
        """A SLURM job left no result: the run continues in another one, unless that would end alike."""
        logs = f"see the logs in {self._out / 'slurm'}"
        if placed.stopped is not None:
            self._end(placed, placed.stopped)
        elif state.startswith("OUT_OF_ME"):
            self._end(placed, f"its SLURM job ran out of memory. Ask for more, such as --slurm mem=32G; {logs}.")
        elif state.startswith("CANCELLED"):
            self._end(placed, f"its SLURM job was cancelled; {logs}.")
        elif placed.submissions >= _SUBMISSIONS:
            self._end(placed, f"{_SUBMISSIONS} SLURM jobs ended without a result, the last one as {state}; {logs}.")
        else:
            placed.queued = None
            self._waiting.append(placed)

    def _end(self, placed: _Placed, result: Failed | str) -> None:
        del self._placed[placed.job.folder]
        record = ends.failed if isinstance(result, str) else ends.written
        self._happened.append((placed.job, record(placed.job, result, self._out)))  # type: ignore[arg-type]


def _prepare(job: Job) -> None:
    """Write what the node reads; what earlier jobs of the run reported is no longer news."""
    folder = Path(job.folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVENTS).unlink(missing_ok=True)
    there = job.model_copy(update={"folder": str(folder), "cache": str(Path(job.cache).absolute())})
    write_atomically(folder / JOB, there.model_dump_json().encode())


def _engine(folder: Path, options: SlurmOptions) -> AutoExecutor:
    """Submitit with these options.

    Raises:
        UserError: this machine has no SLURM, or an option cannot be written for sbatch.
    """
    try:
        engine = AutoExecutor(folder.absolute(), cluster=options.cluster, slurm_max_num_timeout=_TIMEOUTS)
    except RuntimeError as error:
        raise UserError(f"--on slurm: {error}") from error
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    extra = {"cpus-per-task": "4", **options.extra}
    if options.partition:
        extra["partition"] = options.partition
    for name, value in extra.items():
        if not name.replace("-", "").replace("_", "").isalnum() or not value.isprintable():
            raise UserError(f"--slurm {name}={value!a}: sbatch has no such option. Write it as gpus-per-node=1.")
    own = engine._executor._valid_parameters()
    named = {name.replace("-", "_"): int(value) if value.isdecimal() else value for name, value in extra.items()}
    for reserved in ("time", "setup", "additional_parameters", "array_parallelism", "job_name"):
        if reserved in named:
            raise UserError(f"--slurm {reserved}: tunebench sets it. For the time there is --slurm-time.")
    known = {f"slurm_{name}": value for name, value in named.items() if name in own}
    others = {name: value for name, value in named.items() if name not in own}
    engine.update_parameters(
        name="tunebench",
        timeout_min=options.minutes,
        slurm_array_parallelism=options.at_once,
        slurm_additional_parameters=others,
        **known,
    )
    return engine
