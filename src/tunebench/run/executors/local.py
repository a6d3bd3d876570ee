"""Jobs in worker processes on this machine, each with its log, its share of the cores and a GPU, if there are any.

A worker (`run/worker.py`) reads jobs as JSON lines and writes events as JSON lines.
"""

import functools
import os
import queue
import re
import subprocess
import threading
from pathlib import Path
from typing import Self

import psutil
from joblib import cpu_count  # heeds a scheduler's affinity and a container's quota

from tunebench._util import python
from tunebench.engine.events import Ended, Event, Ready, ResultWritten, Unwritable, read_event
from tunebench.records import Failed
from tunebench.run.executors import ends
from tunebench.run.folder import unwritable
from tunebench.run.job import Job

WORKER = "import gc; gc.disable(); from tunebench.run.worker import main; main()"
"""Imports make no garbage: looking for some took 1.5 of their seconds. `main` looks again."""
_WAIT_SECONDS = 1.0  # for an event
_KILLED = -9  # by SIGKILL, a name that Windows lacks
_WORKER_BYTES = 3e9  # what a run on a small backbone may take; `auto` starts no more workers than fit

MEMORY = {
    # What a batch frees, glibc keeps for the next one: given back and touched anew, page by page, it took a seventh of
    # a pass over frozen layers. Each run begins by giving back what the one before it kept.
    "MALLOC_MMAP_THRESHOLD_": "33554432",  # where glibc itself stops raising it
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    # Large tensors on huge pages: zeroing an embedding's gradient page by page took a third of a full step.
    "THP_MEM_ALLOC_ENABLE": "1",
}
"""How a worker keeps its memory, where the user's environment says nothing else."""


class Local:
    """An executor of worker processes, which begin to import as soon as the context is entered.

    A job may wait for its worker to be ready. Where this dies before, the job goes to one fresh worker.

    Args:
        out: the study's output folder, for the workers' logs.
        jobs: how many are to come, at least.
        workers: how many at once; None: as many as the machine has room for.
    """

    def __init__(self, out: Path, jobs: int, workers: int | None = 1):
        self._out = out
        self._count = min(workers or auto_workers(jobs), jobs)
        self._events: queue.Queue[tuple[Worker, Event]] = queue.Queue()
        self._workers: dict[int, Worker] = {}
        self._released = False
        self._again: set[str] = set()

    def __enter__(self) -> Self:
        for number in range(self._count):
            self._start(number)
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers.values():
            worker.stop()

    @property
    def room(self) -> int:
        """How many more jobs find a worker."""
        return self._count - sum(worker.job is not None for worker in self._workers.values())

    def place(self, job: Job) -> None:
        """Give a job to a worker, if possible to one that is ready."""
        free = [worker for worker in self._workers.values() if worker.job is None]
        free.sort(key=lambda worker: not worker.ready)
        worker = free[0] if free else self._start(min(set(range(self._count)) - self._workers.keys()))
        worker.start(job)

    def stop(self, job: Job, result: Failed) -> None:
        """Kill the worker that has the job; its result is written when the worker's end is reported."""
        for worker in self._workers.values():
            if worker.job is not None and worker.job.folder == job.folder:
                worker.stopped = result
                worker.kill()

    def wait(self) -> tuple[Job, Event] | None:
        """The next event of a job; None after a second without one, or where a worker became ready or ended.

        Raises:
            UserError: the output folder cannot be written any more.
        """
        try:
            worker, event = self._events.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            return None
        job = worker.job
        if isinstance(event, Unwritable):
            raise ends.unwritable(self._out, event.reason)
        if isinstance(event, Ended):
            event = self._ended(worker, job, event.code)
        elif isinstance(event, Ready):
            worker.ready, event = True, None
        elif isinstance(event, ResultWritten):
            worker.job = None
            if worker.stopped is not None:  # too late: its job had ended, and it takes no other
                del self._workers[worker.number]
            elif self._released:
                worker.stop()
        return (job, event) if job and event else None

    def release(self) -> None:
        """End the workers that have no job, now or later."""
        if self._released:
            return
        self._released = True
        for worker in self._workers.values():
            if worker.job is None:
                worker.stop()

    def _start(self, number: int) -> "Worker":
        self._workers[number] = Worker(number, self._count, self._out, self._events)
        return self._workers[number]

    def _ended(self, worker: "Worker", job: Job | None, code: int) -> Event | None:
        """Give the job of a worker that died before it was ready to another one, once; else record the death."""
        if self._workers.get(worker.number) is worker:
            del self._workers[worker.number]
        if job is None:
            return None
        if worker.stopped is not None:
            return ends.written(job, worker.stopped, self._out)
        if worker.ready:
            return ends.failed(job, _death(code), self._out)
        if job.run.id in self._again:
            self._again.discard(job.run.id)
            reason = f"two workers ended before they were ready. The last one: {_death(code)}"
            return ends.failed(job, reason, self._out)
        self._again.add(job.run.id)
        self._start(worker.number).start(job)
        return None


class Worker:
    """One worker process; its events go to the queue as (worker, event).

    Attributes:
        job: what it is at work on.
        ready: whether it listens.
        stopped: the result of its job, where somebody stopped it.
    """

    def __init__(self, number: int, workers: int, out: Path, events: "queue.Queue[tuple[Worker, Event]]"):
        self.number, self._events = number, events
        self.job: Job | None = None
        self.ready = False
        self.stopped: Failed | None = None
        try:
            log = (out / f"worker-{number}.log").open("ab")
        except OSError as error:
            raise unwritable(out, error) from error
        self._process = python.start("-c", WORKER, stderr=log, env=environment_of(number, workers))
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, job: Job) -> None:
        """Give it a job."""
        self.job = job
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(job.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died; its end is reported as an event

    def kill(self) -> None:
        """End it at once; its end is reported as an event."""
        self._process.kill()

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
            self._events.put((self, read_event(line)))
        self._events.put((self, Ended(code=self._process.wait())))


def auto_workers(jobs: int) -> int:
    """One per GPU; without GPUs one per core, as far as memory reaches.

    One-thread workers waste least on small matrices.
    """
    gpus = len(_gpus())
    room = int(psutil.virtual_memory().available // _WORKER_BYTES)
    return max(1, min(jobs, gpus or min(cpu_count(), room)))


def environment_of(number: int, workers: int) -> dict[str, str]:
    """The environment of one of so many workers."""
    environment = {
        **MEMORY,
        # A thread that waits for the others yields its core after 0.5 ms, not 15: next to another process that
        # computes, two threads with GNU OpenMP's default took 10 times as long, and as long as this without one.
        **({} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": "10000"}),
        **os.environ,
        "TUNEBENCH_WORKERS": str(workers),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, cpu_count() // workers)),
    }
    gpus = _gpus()
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return environment


def _gpus() -> list[str]:
    """The GPUs that CUDA shows to a process, as `CUDA_VISIBLE_DEVICES` names them."""
    count = _gpus_here()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not count:
        return [str(index) for index in range(count)]
    return visible_gpus(visible, count)


def visible_gpus(value: str, count: int) -> list[str]:
    """The items of `CUDA_VISIBLE_DEVICES` that name a GPU, of `count`.

    As CUDA reads it: the first item that names none ends the list ("-1", "none", an index too high), and one that
    occurs twice empties it.
    """
    gpus: list[str] = []
    for item in value.split(","):
        name = item.strip()
        index = re.match(r"\+?\d+", name)
        if index:
            name = str(int(index[0]))
        if not (int(name) < count if index else name.startswith(("GPU-", "MIG-"))):
            break
        if name in gpus:
            return []
        gpus.append(name)
    return gpus


@functools.cache
def _gpus_here() -> int:
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))  # a container may lack the command
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def _death(code: int) -> str:
    if code == _KILLED:
        return (
            "its process was killed, most likely because memory ran out. Use fewer --workers, "
            "a smaller training.micro_batch_size, or a smaller model."
        )
    return f"its process ended with code {code}; the worker's log shows its last output."
