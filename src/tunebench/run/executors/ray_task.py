"""What a Ray task does: it makes the run whose job's file it is given. Ray keeps a function's name and its arguments.

A Ray process makes one run after another, and so does the worker process that it started: torch is imported once.
"""

import os
import socket
import subprocess
from pathlib import Path

from joblib import cpu_count

from tunebench._util import python
from tunebench.run.executors import there
from tunebench.run.executors.local import WORKER, environment_of
from tunebench.run.executors.placement import Placement

_kept: dict[str, "subprocess.Popen[bytes]"] = {}
"""The worker process of this Ray process, by the GPUs that it sees: Ray may give the next run another one."""


class WorkerDiedError(Exception):
    """A worker process ended without a result."""


def make_run(path: str, logs: str, threads: int) -> None:
    """Make a run, unless another job of it has.

    Args:
        path: of the job's file.
        logs: the folder of the workers' logs.
        threads: of each worker process.

    Raises:
        WorkerDiedError: the run is to be made again.
    """
    files = Placement(Path(path))
    with there.alone(files):
        if files.is_over():
            return
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        if gpus not in _kept or _kept[gpus].poll() is not None:
            _end_kept()
            _kept[gpus] = _started(Path(logs), threads)
        if not there.make(files, _kept[gpus]):
            raise WorkerDiedError(f"its process ended with code {_kept.pop(gpus).wait()}")


def _started(logs: Path, threads: int) -> "subprocess.Popen[bytes]":
    """A worker that ends with this process, whose end closes its standard input."""
    logs.mkdir(parents=True, exist_ok=True)
    environment = environment_of(0, max(1, cpu_count() // threads)) | {"OMP_NUM_THREADS": str(threads)}
    with (logs / f"{socket.gethostname()}-{os.getpid()}.log").open("ab") as log:
        return python.start("-c", WORKER, stderr=log, env=environment)


def _end_kept() -> None:
    for process in _kept.values():
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    _kept.clear()
