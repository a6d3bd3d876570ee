"""A run that must leave its machine: training saves a checkpoint after the step that it is at, and ends."""

import signal
import threading

LEFT = 75
"""The exit code of a worker whose run was saved and is to go on elsewhere: EX_TEMPFAIL of sysexits.h."""

asked = threading.Event()
"""Set when the run must leave."""


class Preempted(BaseException):
    """The checkpoint is written. No `Exception`: the run has not failed, and no record is made of it."""


def leave_on_signal() -> None:
    """Let SIGUSR1 ask the run of this process to leave. Windows has no such signal."""
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, lambda *_: asked.set())
