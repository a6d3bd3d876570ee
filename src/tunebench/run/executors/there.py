"""What a machine elsewhere does with a job: it gives it to a worker process, as on every machine, and keeps its events.

It knows no cluster.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock

from tunebench.engine.events import ResultWritten, read_event
from tunebench.run.executors.placement import Placement

_LOCK = ".placed.lock"


@contextmanager
def alone(files: Placement) -> Iterator[None]:
    """Wait until no other job of the same run is at work: an earlier command may have left one."""
    with FileLock(files.path.parent / _LOCK):
        yield


def make(files: Placement, process: "subprocess.Popen[bytes]") -> bool:
    """Let a worker process make the run, and keep its events; says whether it reported a result."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(files.path.read_bytes() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return False
    with files.events.open("ab", buffering=0) as file:
        if file.tell():
            file.write(b"\n")  # a machine that died may have left a part of a line
        for line in process.stdout:
            file.write(line)
            if isinstance(read_event(line), ResultWritten):
                return True
    return False
