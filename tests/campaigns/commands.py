"""Commands and their workers as real processes that are killed for real, without the seconds that imports take.

`python -m tests.campaigns.commands` imports everything once. Each line on its standard input starts a command as a copy
of that process; the command's workers and its chart process are copies as well. It answers with the command's number,
and with its exit code (negative: the signal) once the command has ended. Orphans become its children, so that none is
overlooked.
"""

import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).parents[2]
_BECOME_REAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


class Commands:
    """The process that starts commands, seen from a test."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.commands"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that starts commands has died"
        return int(line)

    def start(self, arguments: list[str], folder: Path, room: int | None = None) -> psutil.Process:
        """Start a command in a folder, with its output in `log` at its end; no file can grow beyond `room` bytes."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([arguments, str(folder), room]) + "\n")
        self._process.stdin.flush()
        return psutil.Process(self._answer())

    def end(self) -> int:
        """Wait for the end of the command that was started last; its exit code."""
        return self._answer()

    def left(self, seconds: float = 20) -> list[psutil.Process]:
        """What still runs of all commands after some time."""
        until = time.monotonic() + seconds
        while left := [p for p in psutil.Process(self._process.pid).children(recursive=True) if at_work(p)]:
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        return left

    def close(self) -> None:
        self._process.communicate()


def at_work(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def commands() -> Iterator[Commands]:
    started = Commands()
    try:
        yield started
    finally:
        started.close()


# The process itself ---------------------------------------------------------------------------------------------------


class Copy:
    """A copy of this process in the place of a `subprocess.Popen`."""

    ends: list[IO[bytes]] = []
    """What a later copy must not hold open."""

    def __init__(self, *arguments: str, stderr: IO[bytes] | None = None, env: dict[str, str] | None = None):
        questions, self.stdin = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        self.stdout, answers = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        self.pid = os.fork()
        if not self.pid:
            try:
                self._become(arguments, questions, answers, stderr, env or {})
            finally:
                os._exit(70)
        Copy.ends += [self.stdin, self.stdout]
        questions.close()
        answers.close()
        self._code: int | None = None
        self._lock = threading.Lock()

    def _become(self, arguments: Any, questions: Any, answers: Any, stderr: Any, env: dict[str, str]) -> None:
        os.setsid()
        for end in (*Copy.ends, self.stdin, self.stdout):
            if not end.closed:
                os.close(end.fileno())
        os.dup2(questions.fileno(), 0)
        os.dup2(answers.fileno(), 1)
        if stderr:
            os.dup2(stderr.fileno(), 2)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", closefd=False)  # noqa: SIM115
        os.environ.update(env)
        if "tunebench._util.drawing" in arguments:
            from tunebench._util.drawing import answer

            answer(sys.stdin.buffer, sys.stdout.buffer)
        else:
            from tunebench.run.worker import main

            main()
        os._exit(0)

    def wait(self, timeout: float | None = None) -> int:
        until = time.monotonic() + (timeout or 1e9)
        while not self._ended():
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("copy", timeout or 0)
            time.sleep(0.005)
        assert self._code is not None
        return self._code

    def _ended(self) -> bool:
        with self._lock:  # two threads wait for a worker
            if self._code is None and (status := os.waitpid(self.pid, os.WNOHANG))[0]:
                self._code = os.waitstatus_to_exitcode(status[1])
        return self._code is not None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)

    def communicate(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        self.wait()


def command(arguments: list[str], folder: str, room: int | None, log: int) -> None:
    """Become a command whose output goes to a pipe: a limit of files does not count there."""
    import resource

    from tunebench._util import python
    from tunebench.cli import app
    from tunebench.engine import latency
    from tunebench.run.executors import local

    os.setsid()
    os.chdir(folder)
    for standard, opened in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(opened, standard)
    os.close(log)
    sys.stdout, sys.stderr = (open(end, "w", buffering=1, closefd=False) for end in (1, 2))  # noqa: SIM115
    python.start, latency._SECONDS = Copy, 0.0  # type: ignore[assignment]
    local.cpu_count = lambda: 1
    sys.argv = ["tunebench", *arguments]
    if room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    code = 99
    try:
        app.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        if code == 99:
            traceback.print_exc()
        os._exit(code)


def main() -> None:
    import sklearn.linear_model
    import vl_convert

    import tunebench.report
    import tunebench.run.execute
    import tunebench.run.plan
    import tunebench.run.worker
    from tunebench.cli import app

    del sklearn, vl_convert, tunebench, app
    ctypes.CDLL(None).prctl(_BECOME_REAPER, 1, 0, 0, 0)
    gc.freeze()
    sys.stdout.write("0\n")
    sys.stdout.flush()
    for line in sys.stdin:
        arguments, folder, room = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            command(arguments, folder, room, writing)
        os.close(writing)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        with open(reading, "rb") as output:  # noqa: PTH123
            Path(folder, "log").write_bytes(output.read())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(ChildProcessError):  # orphans that have ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
