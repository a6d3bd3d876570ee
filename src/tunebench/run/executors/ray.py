"""Jobs on a Ray cluster: one task per run, on the node where runs of the same model and task were made before.

What Ray is given is the name of the job's file. A node that dies costs its runs the work since their last checkpoint.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ray  # pyright: ignore[reportMissingImports]  # an extra
from ray import exceptions  # pyright: ignore[reportMissingImports]
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # pyright: ignore[reportMissingImports]

from tunebench._util.errors import UserError
from tunebench.records import PlannedMemory
from tunebench.run.executors.elsewhere import LOOK_SECONDS, Elsewhere, End, QueuedRun
from tunebench.run.executors.ray_task import make_run
from tunebench.run.job import Job

_DEATHS = 20  # of nodes that one task outlives; then the run is queued again, as after other deaths
_PROCESS_BYTES = 800_000_000  # of a run's process on a CPU, without its model
_OBJECTS_BYTES = 80_000_000  # Ray's store on this machine: runs and their results are files


@dataclass(frozen=True)
class RayOptions:
    """What is asked of Ray.

    Attributes:
        address: of the cluster; "auto": the one that runs here or that `RAY_ADDRESS` names; "local": none, Ray is
            started on this machine; None: "auto" where there is one, else "local".
        at_once: runs queued or at work at once; None: as many as the nodes have room for.
        num_cpus: of a run.
        num_gpus: of a run, or a part of one; None: one where the cluster has GPUs.
        memory: bytes that a run asks for; None: its forecast.
        accelerator_type: as Ray names it, such as A100.
        cache: a folder on each node for frozen outputs that its runs share; None: in the study's folder.
    """

    address: str | None = None
    at_once: int | None = None
    num_cpus: float = 1
    num_gpus: float | None = None
    memory: int | None = None
    accelerator_type: str | None = None
    cache: str | None = None


class Ray(Elsewhere):
    """An executor that gives each job to a Ray cluster. Ray ends the tasks of a command that was killed.

    Args:
        out: the study's output folder, which gets the workers' logs in `ray`.
        options: what is asked of Ray.

    Raises:
        UserError: there is no cluster at this address.
    """

    CLUSTER = "Ray"

    def __init__(self, out: Path, options: RayOptions):
        super().__init__(out, out / "ray")
        self._options = options
        self._room, self._counted = 0, 0.0
        self._homes: dict[tuple[str, str], str] = {}
        self._forecasts: dict[tuple[str, str, str], PlannedMemory | None] = {}

    def __enter__(self) -> Self:
        _connect(self._options.address)
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        ray.shutdown()

    def slots(self) -> int:
        """As the options say, else what the nodes have room for; at least one, so that a cluster that scales grows."""
        if self._options.at_once is not None:
            return self._options.at_once
        if time.monotonic() - self._counted > LOOK_SECONDS:
            self._counted = time.monotonic()
            nodes = _nodes()
            self._room = max(1, sum(self._room_of(node, self._gpus(nodes)) for node in nodes))
        return self._room

    def there(self, job: Job) -> Job:
        """With the nodes' own cache, if they have one."""
        return job.model_copy(update={"cache": self._options.cache}) if self._options.cache else job

    def submit(self, waiting: Sequence[QueuedRun]) -> None:
        """One task per run."""
        nodes = _nodes()
        task = ray.remote(make_run)
        given = os.environ.get("OMP_NUM_THREADS", "")
        threads = int(given) if given.isdecimal() else max(1, int(self._options.num_cpus))
        for placed in waiting:
            asked = task.options(**self._asked(placed.job, nodes))
            placed.ticket = asked.remote(str(placed.files.path), str(self._logs.absolute()), threads)
            placed.submissions += 1

    def submitted_before(self, folder: Path) -> None:
        """None: Ray ends the tasks of a command that was killed."""

    def ended(self, placed: Collection[QueuedRun], seconds: float) -> list[QueuedRun]:
        """Those whose tasks are over."""
        if not placed:
            time.sleep(seconds)
            return []
        tickets = {one.ticket: one for one in placed}
        over, _ = ray.wait(list(tickets), timeout=seconds, fetch_local=False)
        if over:  # and those that ended with it
            over, _ = ray.wait(list(tickets), num_returns=len(tickets), timeout=0, fetch_local=False)
        return [tickets[ticket] for ticket in over]

    def end_of(self, ticket: Any) -> End:
        """A death is not the run's fault, unless its node had no memory left."""
        try:
            ray.get(ticket)
        except exceptions.OutOfMemoryError:
            return End("out of memory", "its Ray node ran out of memory. Ask for more, such as --ray memory=32G")
        except exceptions.TaskCancelledError:
            return End("cancelled", "its Ray task was cancelled")
        except exceptions.RayTaskError as error:
            return End(f"'{error.cause}'", reported=False)
        except exceptions.RayError as error:
            return End(f"'{type(error).__name__}'", reported=False)
        return End("'finished'")

    def cancel(self, ticket: Any) -> None:
        """At once: the process of the task is killed, and its worker ends with it."""
        ray.cancel(ticket, force=True)

    def _asked(self, job: Job, nodes: Sequence["_Node"]) -> dict[str, Any]:
        """What a run needs, and where it is made if there is room."""
        options = self._options
        gpus = self._gpus(nodes)
        asked: dict[str, Any] = {
            "name": job.run.id,
            "num_cpus": options.num_cpus,
            "num_gpus": gpus,
            "memory": options.memory or self._forecast(job, gpus > 0, nodes),
            "max_retries": _DEATHS,
        }
        if options.accelerator_type:
            asked["accelerator_type"] = options.accelerator_type
        home = self._home(job, nodes)
        if home is not None:
            asked["scheduling_strategy"] = NodeAffinitySchedulingStrategy(home, soft=True, _spill_on_unavailable=True)
        return asked

    def _gpus(self, nodes: Sequence["_Node"]) -> float:
        if self._options.num_gpus is not None:
            return self._options.num_gpus
        return 1.0 if any(node.has("GPU") for node in nodes) else 0.0

    def _room_of(self, node: "_Node", gpus: float) -> int:
        room = node.has("CPU") / self._options.num_cpus
        return int(min(room, node.has("GPU") / gpus) if gpus else room)

    def _home(self, job: Job, nodes: Sequence["_Node"]) -> str | None:
        """The node of the runs that share a model and a task, whose frozen outputs it may have read already."""
        alive = [node.id for node in nodes if self._room_of(node, self._gpus(nodes))]
        if len(alive) < 2:
            return None
        key = (job.run.model, job.run.task.name)
        if self._homes.get(key) not in alive:
            homes = Counter(self._homes.values())
            self._homes[key] = min(alive, key=lambda node: homes[node])
        return self._homes[key]

    def _forecast(self, job: Job, on_gpu: bool, nodes: Sequence["_Node"]) -> int | None:
        """The bytes of a node's memory that a run needs, at most all of one; None where nobody knows."""
        run = job.run
        key = (run.model, run.task.name, run.label)
        if key not in self._forecasts:
            from tunebench.run.memory import forecasts  # torch

            try:
                self._forecasts[key] = forecasts([run], job.places).get(key)
            except UserError:  # its data are not on this machine
                self._forecasts[key] = None
        model = self._forecasts[key]
        if model is None:
            return None
        needed = _PROCESS_BYTES + (model.weights + model.kept if on_gpu else model.total)
        return int(min(needed, max((node.has("memory") for node in nodes), default=needed)))


@dataclass(frozen=True)
class _Node:
    id: str
    resources: Mapping[str, float]

    def has(self, resource: str) -> float:
        return self.resources.get(resource, 0.0)


def _nodes() -> list[_Node]:
    """Those that are alive."""
    return [_Node(str(node["NodeID"]), node["Resources"]) for node in ray.nodes() if node["Alive"]]


def _connect(address: str | None) -> None:
    """Join a cluster, or start Ray on this machine.

    Raises:
        UserError: there is no cluster at this address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address != "local":
        try:
            ray.init(address or "auto", **quiet)
            return
        except (ConnectionError, RuntimeError, ValueError) as error:
            if address is not None or os.environ.get("RAY_ADDRESS"):
                raise UserError(
                    f"--on ray: there is no Ray cluster at '{address or os.environ['RAY_ADDRESS']}'. {error}"
                ) from error
    ray.init("local", include_dashboard=False, object_store_memory=_OBJECTS_BYTES, **quiet)
