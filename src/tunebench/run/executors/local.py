"""Jobs in worker processes on this machine, each with its log, its share of the cores and a GPU, if there are any.

A worker (`run/worker.py`) reads jobs as JSON lines and writes events as JSON lines.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

import psutil
from joblib import cpu_count  # heeds a scheduler's affinity and a container's quota

from tunebench._util.errors import UserError
from tunebench.engine.events import Ended, Event, Ready, ResultWritten, Unwritable, read_event
from tunebench.records import Failed, write_result
from tunebench.run.folder import unwritable
from tunebench.run.job import Job

_WORKER = "import gc; gc.disable(); from tunebench.run.worker import main; main()"
"""Imports make no garbage: looking for some took 1.5 of their seconds. `main` looks again."""
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

    def __enter__(self) -> Self:
        for number in range(self._count):
            self._start(number)
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers.values():
            worker.stop()

    @property
    def room(self) -> int:
        """How many workers wait for a job."""
        return len(self._idle())

    def place(self, job: Job) -> None:
        """Give a job to a worker that waits for one."""
        self._idle()[0].start(job)

    def wait(self) -> tuple[Job, Event] | None:
        """The next event of a job; None where a worker became ready or ended.

        Raises:
            UserError: the output folder cannot be written any more.
            RuntimeError: a worker cannot even start.
        """
        worker, event = self._events.get()
        job = worker.job
        if isinstance(event, Unwritable):
            raise UserError(
                f"--out {self._out}: {event.reason}. Correct that and repeat the command: finished runs are "
                "kept, and the interrupted one continues."
            )
        if isinstance(event, Ended):
            event = self._replace(worker, job, event.code)
        elif isinstance(event, Ready | ResultWritten):
            worker.ready, worker.job = True, None
            if self._released:
                worker.stop()
        return (job, event) if job and event else None

    def release(self) -> None:
        """End the workers that have no job, now or later."""
        if self._released:
            return
        self._released = True
        for worker in self._idle():
            worker.stop()

    def _idle(self) -> list["Worker"]:
        return [worker for worker in self._workers.values() if worker.ready and worker.job is None]

    def _start(self, number: int) -> None:
        self._workers[number] = Worker(number, self._count, self._out, self._events)

    def _replace(self, worker: "Worker", job: Job | None, code: int) -> Event | None:
        """Record a death at work, and start another worker while jobs may come; a death before any work is a bug."""
        del self._workers[worker.number]
        if job is None and code != 0 and not self._released:
            raise RuntimeError(f"a worker ended with code {code}: see {self._out}/worker-{worker.number}.log")
        if not self._released:
            self._start(worker.number)
        return _record_death(job, code) if job else None


class Worker:
    """One worker process; its events go to the queue as (worker, event).

    Attributes:
        job: what it is at work on.
        ready: whether it listens.
    """

    def __init__(self, number: int, workers: int, out: Path, events: "queue.Queue[tuple[Worker, Event]]"):
        self.number, self._events = number, events
        self.job: Job | None = None
        self.ready = False
        try:
            log = (out / f"worker-{number}.log").open("ab")
        except OSError as error:
            raise unwritable(out, error) from error
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(number, workers),
            start_new_session=True,  # Ctrl-C goes to the parent alone, which then closes the workers' input
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, job: Job) -> None:
        """Give it a job."""
        self.job = job
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(job.model_dump_json() + "\n")
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
            self._events.put((self, read_event(line)))
        self._events.put((self, Ended(code=self._process.wait())))


def auto_workers(jobs: int) -> int:
    """One per GPU; without GPUs one per core, as far as memory reaches.

    One-thread workers waste least on small matrices.
    """
    gpus = len(_gpus())
    room = int(psutil.virtual_memory().available // _WORKER_BYTES)
    return max(1, min(jobs, gpus or min(cpu_count(), room)))


def _environment(number: int, workers: int) -> dict[str, str]:
    environment = {
        **MEMORY,
        # A thread that waits for the others yields its core after 0.5 ms, not 15: next to another process that
        # computes, two threads with GNU OpenMP's default took 10 times as long, and as long as this without one.
        **({} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": "10000"}),
        **os.environ,
        "TUNEBENCH_WORKERS": str(workers),
        "OMP_NUM_THREADS": str(max(1, cpu_count() // workers)),
    }
    gpus = _gpus()
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return environment


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(index) for index, _ in enumerate(listed.stdout.splitlines())]


def _record_death(job: Job, code: int) -> ResultWritten:
    reason, folder = _death(code), Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "error.txt").write_text(reason + "\n", "utf-8")
    write_result(folder, Failed(reason=reason, run=job.run.info(job.family), environment={}))
    return ResultWritten(status="failed", reason=reason)


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return (
            "its process was killed, most likely because memory ran out. Use fewer --workers, "
            "a smaller training.micro_batch_size, or a smaller model."
        )
    return f"its process ended with code {code}; the worker's log shows its last output."
