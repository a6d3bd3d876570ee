"""A process that executes jobs: they come as JSON lines on standard input, events go as JSON lines to standard output.

It ends when its standard input does, so that no orphan trains on after its parent was killed.
"""

import gc
import os
import queue
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import IO

import sklearn.metrics  # noqa: F401  now, so that the first run's evaluation does not count the import

from tunebench._util.errors import UserError, unwritable
from tunebench.engine.events import Event, Observer, Ready, ResultWritten, Unwritable
from tunebench.engine.observers import event_file, seldom, to_all
from tunebench.engine.preemption import LEFT, Preempted, leave_on_signal
from tunebench.records import Failed, write_result
from tunebench.run.execute import execute
from tunebench.run.job import Job
from tunebench.study import earlier_notices, write_run

UNWRITABLE = 74  # EX_IOERR of sysexits.h


def make(job: Job, observe: Observer) -> None:
    """Execute one job and write its result: done, not applicable, or failed with its traceback.

    Raises:
        OSError: the output folder cannot be written, which is not a failure of the run.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not job.notices:  # a run that is made again may have been stopped: its record must say so all the same
        job = job.model_copy(update={"notices": earlier_notices(folder)})
    write_run(folder, job.run, job.places, job.notices)
    (folder / "error.txt").unlink(missing_ok=True)
    if job.notices:  # the earlier result does not describe the weights that are trained now
        (folder / "result.json").unlink(missing_ok=True)
    watched = to_all([event_file(folder / "events.jsonl"), seldom(observe)])
    try:
        result = execute(job, watched)
    except UserError as error:
        result = _failed(job, str(error), str(error))
    except Exception as error:  # the only place: a failed run is a value, and the study continues
        disk = unwritable(error)
        if disk is not None:
            raise disk from error
        result = _failed(job, f"{type(error).__name__}: {error}", traceback.format_exc())
    write_result(folder, result)
    if result.status == "done":
        shutil.rmtree(folder / "resume", ignore_errors=True)
    observe(ResultWritten(status=result.status, reason=result.reason))


def _failed(job: Job, reason: str, text: str) -> Failed:
    (Path(job.folder) / "error.txt").write_text(text + "\n", "utf-8")
    return Failed(reason=reason, run=job.run.info(job.family), environment={})


def main() -> None:
    """Execute jobs until standard input ends, or SIGUSR1 asks the run to leave this machine."""
    leave_on_signal()
    border = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # output of libraries goes to the log, not into the protocol
    for log in (sys.stdout, sys.stderr):
        log.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, lines), daemon=True).start()

    def observe(event: Event) -> None:
        border.write(event.model_dump_json() + "\n")

    gc.freeze()  # imported modules are never garbage: 0.4 s less per run
    gc.enable()
    observe(Ready())
    while True:
        try:
            make(Job.model_validate_json(lines.get()), observe)
        except OSError as error:
            observe(Unwritable(reason=f"{error.filename or 'the output folder'}: {error.strerror}"))
            sys.exit(UNWRITABLE)
        except Preempted:
            sys.exit(LEFT)


def _listen(stream: IO[bytes], lines: "queue.Queue[bytes]") -> None:
    for line in stream:
        lines.put(line)
    os._exit(0)  # the parent is gone, or has no more work


if __name__ == "__main__":
    main()
