"""What a SLURM job does: it makes the run whose folder it is given, and writes its events there.

submitit keeps a `SlurmTask` and the folder's name, no run: what the run is stands in the folder's `slurm-job.json`.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock
from submitit.helpers import DelayedSubmission

from tunebench._util import python
from tunebench.engine.events import ResultWritten, read_event
from tunebench.run.executors.local import WORKER, environment_of

JOB, EVENTS = "slurm-job.json", "slurm-events.jsonl"
"""In a run's folder: the job, and what happened since it was placed."""

_LOCK = ".slurm.lock"


class SlurmTask:
    """One run, in a worker process of its own, as on every other machine.

    When SLURM takes the node away, the run saves a checkpoint after its current step, and the job is queued again.
    """

    def __call__(self, folder: str) -> None:
        """Make the run.

        Raises:
            SystemExit: the worker ended without a result.
        """
        room = Path(folder)
        with FileLock(room / _LOCK):  # an earlier job of the same run may still be at work
            code = 0 if _finished(room) else _made(room)
        if code:
            sys.exit(code)

    def checkpoint(self, folder: str) -> DelayedSubmission:
        """What is queued again: the same, which continues from the run's newest checkpoint."""
        return DelayedSubmission(self, folder)


def _finished(room: Path) -> bool:
    """Whether the run's result was reported since it was placed."""
    try:
        lines = (room / EVENTS).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return False
    return any(isinstance(read_event(line), ResultWritten) for line in lines if line.endswith(b"\n"))


def _made(room: Path) -> int:
    """Make the run, or leave the machine if SLURM asks; the exit code of a worker that left no result."""
    process = python.start("-c", WORKER, env=environment_of(0, 1))
    assert process.stdin is not None and process.stdout is not None
    requeue = _pass_on_preemption(process)
    process.stdin.write((room / JOB).read_bytes() + b"\n")
    process.stdin.flush()
    with (room / EVENTS).open("ab", buffering=0) as file:
        for line in process.stdout:
            file.write(line)
            if isinstance(read_event(line), ResultWritten):
                process.stdin.close()
    code = process.wait()
    if _finished(room):
        return 0
    requeue()
    return code


def _pass_on_preemption(process: "subprocess.Popen[bytes]") -> Callable[[], None]:
    """Let the signal that tells submitit to leave reach the worker; returns what submitit does then, if it came."""
    from submitit.core.job_environment import JobEnvironment

    number = JobEnvironment._usr_sig()
    submitits: Any = signal.getsignal(number)
    caught: list[FrameType | None] = []

    def ask(_: int, frame: FrameType | None) -> None:
        caught.append(frame)
        process.send_signal(signal.SIGUSR1)

    if threading.current_thread() is threading.main_thread():
        signal.signal(number, ask)

    def requeue() -> None:
        if caught and callable(submitits):
            submitits(number, caught[0])

    return requeue
