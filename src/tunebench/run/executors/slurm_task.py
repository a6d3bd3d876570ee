"""What a SLURM job does: it makes the run whose job's file it is given, and leaves the node when SLURM asks.

submitit keeps a `SlurmTask` and the file's name, no run.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from submitit.helpers import DelayedSubmission

from tunebench._util import python
from tunebench.run.executors import there
from tunebench.run.executors.local import WORKER, environment_of
from tunebench.run.executors.placement import Placement


class SlurmTask:
    """One run, in a worker process of its own, as on every other machine.

    When SLURM takes the node away, the run saves a checkpoint after its current step, and the job is queued again.
    """

    def __call__(self, path: str) -> None:
        """Make the run.

        Raises:
            SystemExit: the worker ended without a result.
        """
        files = Placement(Path(path))
        with there.alone(files):
            code = 0 if files.is_over() else _made(files)
        if code:
            sys.exit(code)

    def checkpoint(self, path: str) -> DelayedSubmission:
        """What is queued again: the same, which continues from the run's newest checkpoint."""
        return DelayedSubmission(self, path)


def _made(files: Placement) -> int:
    """Make the run, or leave the machine if SLURM asks; the exit code of a worker that left no result."""
    process = python.start("-c", WORKER, env=environment_of(0, 1))
    assert process.stdin is not None
    requeue = _pass_on_preemption(process)
    if there.make(files, process):
        process.stdin.close()
        process.wait()
        return 0
    code = process.wait()
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
