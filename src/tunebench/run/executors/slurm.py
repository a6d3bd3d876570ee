"""Jobs on a SLURM cluster, through submitit: one array task per run, in arrays below the site's limit.

A command that was killed and is repeated finds the jobs that it had queued.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submitit import AutoExecutor, SlurmJob
from submitit.core.utils import FailedJobError, FailedSubmissionError

from tunebench._util.errors import UserError
from tunebench._util.files import read_json, write_json
from tunebench.run.executors.elsewhere import Elsewhere, End, QueuedRun
from tunebench.run.executors.slurm_task import SlurmTask
from tunebench.run.folder import unwritable

_QUEUED = "slurm.json"
"""In a run's folder: the SLURM job that makes it."""

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


class Slurm(Elsewhere):
    """An executor that queues each job on a SLURM cluster. The jobs of a command that was killed go on.

    Args:
        out: the study's output folder, which holds submitit's files and logs in `slurm`.
        options: what is asked of SLURM.

    Raises:
        UserError: this machine has no SLURM, or it has no such option.
    """

    CLUSTER = "SLURM"

    def __init__(self, out: Path, options: SlurmOptions):
        super().__init__(out, out / "slurm")
        self._options = options
        self._engine = _engine(out / "slurm", options)

    def slots(self) -> int:
        """As the options say."""
        return self._options.at_once

    def submit(self, waiting: Sequence[QueuedRun]) -> None:
        """Queue these, in arrays.

        Raises:
            UserError: SLURM refuses them, or the output folder cannot be written.
        """
        for start in range(0, len(waiting), self._options.array):
            part = waiting[start : start + self._options.array]
            try:
                queued = self._engine.map_array(SlurmTask(), [str(one.files.path) for one in part])
                for placed, job in zip(part, queued, strict=True):
                    placed.ticket = job
                    placed.submissions += 1
                    write_json(placed.files.path.parent / _QUEUED, {"job": job.job_id})
            except OSError as error:
                raise unwritable(self._out, error) from error
            except (FailedJobError, FailedSubmissionError) as error:
                raise UserError(f"--on slurm: sbatch refuses the jobs: {' '.join(str(error).split())}") from error

    def submitted_before(self, folder: Path) -> Any:
        """The SLURM job of an earlier command, if it has not ended."""
        known = read_json(folder / _QUEUED)
        if self._options.cluster != "slurm" or not known:
            return None
        job: Any = SlurmJob(folder=self._out.absolute() / "slurm", job_id=str(known.get("job")))
        return job if SlurmJob.watcher.get_state(job.job_id, mode="force") in _WAITING else None

    def ended(self, placed: Collection[QueuedRun], seconds: float) -> list[QueuedRun]:
        """Those that SLURM no longer knows to wait or to run."""
        time.sleep(seconds)
        return [one for one in placed if one.ticket.done()]

    def end_of(self, ticket: Any) -> End:
        """Out of memory and cancelled: a repetition would end alike."""
        state = str(ticket.state)
        if state.startswith("OUT_OF_ME"):
            return End(state, "its SLURM job ran out of memory. Ask for more, such as --slurm mem=32G")
        if state.startswith("CANCELLED"):
            return End(state, "its SLURM job was cancelled")
        return End(state)

    def cancel(self, ticket: Any) -> None:
        """By `scancel`."""
        ticket.cancel(check=False)


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
