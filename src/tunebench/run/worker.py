"""A process that makes runs: jobs come as JSON lines on standard input, events go as JSON lines to standard output.

It ends when its standard input does, so that no orphan trains on after its parent was killed.
"""

import errno
import gc
import json
import os
import queue
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, Any

import sklearn.metrics  # noqa: F401  now, so that the first run's evaluation does not count the import

from tunebench._util.errors import UserError
from tunebench.engine.observers import event_file, seldom, tell_all
from tunebench.records import Failed, write_json, write_result
from tunebench.run.execute import execute
from tunebench.study import Run

UNWRITABLE = 74  # EX_IOERR of sysexits.h
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def make(job: dict[str, Any], tell: Any) -> None:
    """Make one run and write its result: done, not applicable, or failed with its traceback.

    Raises:
        OSError: the output folder cannot be written; that is no failure of the run.
    """
    run, folder = Run.model_validate(job["run"]), Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "run.json", run.model_dump(mode="json"))
    (folder / "error.txt").unlink(missing_ok=True)
    observe = tell_all([event_file(folder / "events.jsonl"), seldom(tell)])
    try:
        result = execute(run, folder, Path(job["cache"]), observe, job["track"])
    except UserError as error:
        result = _failed(run, folder, job["family"], str(error), str(error))
    except Exception as error:  # the one border: a failed run is a value, and the study goes on
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise
        reason = f"{type(error).__name__}: {error}"
        result = _failed(run, folder, job["family"], reason, traceback.format_exc())
    write_result(folder, result)
    if result.status == "done":
        shutil.rmtree(folder / "resume", ignore_errors=True)
    tell({"event": "result", "status": result.status, "reason": result.reason})


def _failed(run: Run, folder: Path, family: str, reason: str, text: str) -> Failed:
    (folder / "error.txt").write_text(text + "\n", "utf-8")
    return Failed(reason=reason, run=run.info(family), environment={})


def main() -> None:
    """Serve jobs until standard input ends."""
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is log, not protocol
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin, jobs), daemon=True).start()

    def tell(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    gc.freeze()  # what is imported is no garbage, and each run looks for some first: 0.4 s less a run
    gc.enable()
    tell({"event": "ready"})
    while True:
        try:
            make(jobs.get(), tell)
        except OSError as error:
            tell({"event": "unwritable", "reason": f"{error.filename or 'the output folder'}: {error.strerror}"})
            sys.exit(UNWRITABLE)


def _listen(stream: IO[str], jobs: "queue.Queue[dict[str, Any]]") -> None:
    for line in stream:
        jobs.put(json.loads(line))
    os._exit(0)  # the parent is gone, or has no more work


if __name__ == "__main__":
    main()
