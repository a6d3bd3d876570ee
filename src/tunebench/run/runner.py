"""From a study's pending runs to result files, in worker processes that one small interface starts and feeds."""

import fnmatch
import functools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
from filelock import FileLock, Timeout
from joblib import cpu_count  # heeds a scheduler's affinity and a container's quota

from tunebench._util.errors import UserError
from tunebench.records import Done, Failed, read_result, write_atomically, write_json, write_result
from tunebench.study import Run, Study
from tunebench.tasks import load as data
from tunebench.tasks.base import Task
from tunebench.zoo import checkpoints

Cell = dict[str, Any]
"""A cell as `plan.plan` gives it."""

_WORKER = "import gc; gc.disable(); from tunebench.run.worker import main; main()"
"""Imports make no garbage: looking for some took 1.5 of their seconds. `main` looks again."""
_WORKER_BYTES = 3e9  # what a run on a small backbone may take; `auto` starts no more workers than fit


class Display(Protocol):
    """Who shows a study's progress."""

    def event(self, worker: int, run: Run, event: dict[str, Any]) -> None:
        """Something happened in a run."""
        ...


@dataclass(frozen=True)
class Options:
    """How a study is run, none of which changes a figure."""

    out: Path
    command: str
    workers: int | None
    only: str | None
    track: str | None


def pending(runs: Sequence[Run], options: Options) -> list[tuple[Run, str]]:
    """The chosen runs with their family that have no readable result yet, or a failed one; torch is not needed.

    Raises:
        UserError: a model is not known, or `--only` matches none.
    """
    families: dict[str, str] = {}
    for run in runs:
        if run.model not in families:
            families[run.model] = checkpoints.find(run.model, run.revision, run.folder).family.name
    chosen = [run for run in runs if options.only is None or matches(run, families[run.model], options.only)]
    if not chosen:
        raise UserError(
            f"--only '{options.only}': it matches no cell. Cells read FAMILY/TASK/TECHNIQUE, "
            f"such as '{families[runs[0].model]}/{runs[0].task.name}/{runs[0].technique}'."
        )
    return [(run, families[run.model]) for run in chosen if not is_done(run, options.out / "runs" / run.id)]


def write_plan(study: Study, text: str, runs: Sequence[Run], cells: Sequence[Cell], options: Options) -> None:
    """Write `study.yaml` and `plan.json`.

    Raises:
        UserError: the output folder cannot be written.
    """
    families = {cell["model"]: cell["family"] for cell in cells}
    listed = [
        {
            "id": run.id, "model": run.model, "family": families[run.model], "task": run.task.name,
            "technique": run.technique, "label": run.label, "seed": run.seed,
        }
        for run in runs
    ]  # fmt: skip
    try:
        write_atomically(options.out / "study.yaml", text.encode())
        write_json(
            options.out / "plan.json",
            {"study": study.name, "command": options.command, "runs": listed, "cells": cells},
        )
    except OSError as error:
        raise _unwritable(options.out, error) from error


def costliest_first(pending: Sequence[tuple[Run, str]], cells: Sequence[Cell]) -> list[tuple[Run, str]]:
    """In the order for side by side: a long run that started last would leave the other workers idle."""
    trained = {(c["model"], c["task"], c["label"]): (c["parameters"] or {"trainable": 0})["trainable"] for c in cells}
    return sorted(pending, key=lambda item: -trained[item[0].model, item[0].task.name, item[0].label])


def matches(run: Run, family: str, pattern: str) -> bool:
    """Whether FAMILY/TASK/TECHNIQUE or MODEL/TASK/TECHNIQUE fits a shell pattern."""
    ends = f"{run.task.name}/{run.technique}"
    return any(fnmatch.fnmatchcase(f"{start}/{ends}", pattern) for start in (family, run.model))


def is_done(run: Run, folder: Path) -> bool:
    """Whether a run needs no further work; a damaged result, or one of other contents of the user's files, is none."""
    result = read_result(folder)
    if isinstance(result, Done) and run.task.data is not None:
        return result.data.fingerprint == _own_data(run.task.model_dump_json())
    return result is not None and result.status != "failed"


@functools.cache
def _own_data(task: str) -> str:
    """Fingerprint of a task made of the user's files; cached by content, as a Task holds dicts and has no hash."""
    return data.load(Task.model_validate_json(task)).fingerprint()


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold an output folder. The lock is the system's: it ends with the process, however that ends.

    Raises:
        UserError: another process holds it, or the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"--out {out}: another tunebench is at work in it. Wait for it, or choose another folder."
        ) from None
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        yield
    finally:
        lock.release()


def _unwritable(out: Path, error: OSError) -> UserError:
    return UserError(f"--out {out}: it cannot be written ({error.strerror}). Choose another folder.")


def auto_workers(pending: int) -> int:
    """One a GPU; without GPUs one a core, as far as memory reaches.

    One-thread workers waste least on small matrices.
    """
    gpus = len(_gpus())
    room = int(psutil.virtual_memory().available // _WORKER_BYTES)
    return max(1, min(pending, gpus or min(cpu_count(), room)))


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(index) for index, _ in enumerate(listed.stdout.splitlines())]


MEMORY = {
    # What a batch frees, glibc keeps for the next one: given back and touched anew, page by page, it took a seventh of
    # a pass over frozen layers. Each run begins by giving back what the one before it kept.
    "MALLOC_MMAP_THRESHOLD_": "33554432",  # where glibc itself stops raising it
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    # Large tensors on huge pages: zeroing an embedding's gradient page by page took a third of a full step.
    "THP_MEM_ALLOC_ENABLE": "1",
}
"""How a worker keeps its memory, where the user's environment says nothing else."""


class Worker:
    """One worker process with its log; its events go to the queue as (worker, event)."""

    def __init__(self, number: int, workers: int, out: Path, events: "queue.Queue[tuple[Worker, dict[str, Any]]]"):
        self.number, self._events = number, events
        self.run: Run | None = None
        self.family = ""
        self.ready = False
        environment = {
            **MEMORY,
            # A thread that waits for the others gives its core away after 0.5 ms, not 15: beside another process that
            # computes, two threads with GNU OpenMP's default took 10 times as long, and as long as this without one.
            **({} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": "10000"}),
            **os.environ,
            "TUNEBENCH_WORKERS": str(workers),
            "OMP_NUM_THREADS": str(max(1, cpu_count() // workers)),
        }
        gpus = _gpus()
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
        try:
            log = (out / f"worker-{number}.log").open("ab")
        except OSError as error:
            raise _unwritable(out, error) from error
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            start_new_session=True,  # Ctrl-C goes to the parent alone, which then closes the workers' input
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, run: Run, family: str, out: Path, track: str | None) -> None:
        """Give it a run to make."""
        self.run, self.family = run, family
        job = {
            "run": run.model_dump(mode="json"), "family": family, "folder": str(out / "runs" / run.id),
            "cache": str(out / "cache"), "track": track,
        }  # fmt: skip
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died; its end is reported as an event

    def stop(self) -> None:
        """End it, at work or not."""
        assert self._process.stdin is not None
        if not self.ready:
            self._process.kill()  # it does not listen yet
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._events.put((self, json.loads(line)))
        self._events.put((self, {"event": "ended", "code": self._process.wait()}))


class Workers:
    """A study's worker processes. They begin to import at once; leaving the context ends them.

    Args:
        runs: how many are to be made.
        options: how.
    """

    def __init__(self, runs: int, options: Options):
        self._options = options
        self._count = min(options.workers or auto_workers(runs), runs)
        self._events: queue.Queue[tuple[Worker, dict[str, Any]]] = queue.Queue()
        self._workers: dict[int, Worker] = {}

    def __enter__(self) -> "Workers":
        for number in range(self._count):
            self._start(number)
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers.values():
            worker.stop()

    def _start(self, number: int) -> None:
        self._workers[number] = Worker(number, self._count, self._options.out, self._events)

    def make(self, pending: Sequence[tuple[Run, str]], display: Display) -> None:
        """Make the runs; each ends with a `result.json`, whatever becomes of the others.

        Raises:
            UserError: the output folder cannot be written any more.
        """
        waiting, out = list(reversed(pending)), self._options.out
        while self._workers:
            worker, event = self._events.get()
            run = worker.run
            if run is not None:
                display.event(worker.number, run, event)
            if event["event"] == "unwritable":
                raise UserError(
                    f"--out {out}: {event['reason']}. Mend that and give the same command again: "
                    "finished runs are kept, the interrupted one goes on."
                )
            if event["event"] in ("ready", "result"):
                worker.ready, worker.run = True, None
                if waiting:
                    worker.start(*waiting.pop(), out, self._options.track)
                else:
                    worker.stop()
            elif event["event"] == "ended":
                del self._workers[worker.number]
                self._ended(worker, run, event["code"], display)
                if waiting:
                    self._start(worker.number)

    def _ended(self, worker: Worker, run: Run | None, code: int, display: Display) -> None:
        """Record a death at work; one before any work is a bug."""
        if run is not None:
            _record_death(run, worker.family, code, self._options.out)
            display.event(worker.number, run, {"event": "result", "status": "failed", "reason": _death(code)})
        elif code != 0:
            raise RuntimeError(f"a worker ended with code {code}: see {self._options.out}/worker-{worker.number}.log")


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return (
            "its process was killed, most likely for want of memory. Use fewer --workers, "
            "a smaller training.micro_batch_size, or a smaller model."
        )
    return f"its process ended with code {code}; its last words are in the worker's log."


def _record_death(run: Run, family: str, code: int, out: Path) -> None:
    folder = out / "runs" / run.id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "error.txt").write_text(_death(code) + "\n", "utf-8")
    write_result(folder, Failed(reason=_death(code), run=run.info(family), environment={}))


def failed_runs(out: Path, runs: Sequence[Run]) -> list[tuple[str, str]]:
    """The failed runs among these, with their reasons."""
    results = ((run, read_result(out / "runs" / run.id)) for run in runs)
    return [(run.id, result.reason) for run, result in results if isinstance(result, Failed)]
