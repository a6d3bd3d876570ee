"""Jobs on a Ray cluster: what Ray is asked, and what its answers mean; `test_ray_deaths.py` has a real one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'tunebench[ray]'")

from ray import exceptions

from tests.test_local import some_jobs
from tunebench._util.errors import UserError
from tunebench.cli.where import WhereOptions, chosen
from tunebench.records import PlannedMemory
from tunebench.run.executors import ray
from tunebench.run.executors.elsewhere import End
from tunebench.run.executors.ray import Ray, RayOptions
from tunebench.study import Places, Study

NODES = (
    {"CPU": 4.0, "memory": 8e9},
    {"CPU": 4.0, "GPU": 2.0, "memory": 64e9},
    {"CPU": 1.0, "memory": 8e9},
)

NAMES = tuple(56 * digit for digit in "abc")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[ray._Node]:
    """Nodes of which nothing is asked; a test may change them."""
    nodes = [ray._Node(name, resources) for name, resources in zip(NAMES, NODES, strict=True)]
    monkeypatch.setattr(ray, "_nodes", lambda: nodes)
    monkeypatch.setattr(Ray, "_forecast", lambda *_: 1_000)
    return nodes


@pytest.mark.parametrize(
    ("options", "room"),
    [
        (RayOptions(num_gpus=0), 9),
        (RayOptions(num_gpus=0, num_cpus=2), 4),
        (RayOptions(), 2),  # a GPU each
        (RayOptions(num_gpus=0.25), 4),  # as its node has cores
        (RayOptions(num_gpus=4), 1),  # no node has them now; one run waits, for which a cluster may grow
        (RayOptions(at_once=40), 40),
    ],
)
def test_as_many_runs_are_placed_as_the_nodes_have_room_for(
    options: RayOptions, room: int, cluster: Any, tmp_path: Path
) -> None:
    assert Ray(tmp_path, options).room == room


def test_runs_of_one_model_and_task_go_to_one_node_and_others_to_another(
    cluster: list[ray._Node], tmp_path: Path
) -> None:
    tasks = ("emotion", "ner", "emotion")
    first, second, third = (_job(task, seed, tmp_path) for seed, task in enumerate(tasks))
    executor = Ray(tmp_path, RayOptions(num_gpus=0))
    homes = [executor._asked(job, cluster)["scheduling_strategy"] for job in (first, second, third)]
    assert [home.node_id for home in homes] == [NAMES[0], NAMES[1], NAMES[0]]
    assert all(home.soft and home._spill_on_unavailable for home in homes), "a node that is busy makes nobody wait"
    assert executor._asked(third, cluster[1:])["scheduling_strategy"].node_id == NAMES[2], "its node has died"
    assert "scheduling_strategy" not in executor._asked(third, cluster[:1]), "there is one node"


def test_ray_is_asked_what_the_options_say(cluster: list[ray._Node], tmp_path: Path) -> None:
    (job,) = some_jobs(1, tmp_path)
    options = ["num_cpus=2", "num_gpus=0.5", "memory=8G", "accelerator_type=A100", "cache=/scratch/t"]
    executor: Any = chosen(WhereOptions("ray", ray=options))(tmp_path, 1)
    asked = executor._asked(job, cluster)
    expected = {"num_cpus": 2, "num_gpus": 0.5, "memory": 8_000_000_000, "accelerator_type": "A100"}
    assert {name: asked[name] for name in expected} == expected
    assert asked["max_retries"] > 0
    assert executor.there(job).cache == "/scratch/t"


def test_a_run_asks_for_its_forecast_and_its_process_and_at_most_for_all_of_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = some_jobs(1, tmp_path)
    key = (job.run.model, job.run.task.name, job.run.label)
    needs = PlannedMemory(weights=2 * 10**9, gradients=10**9, optimizer=10**9, activations=10**9, kept=10**8)
    monkeypatch.setattr("tunebench.run.memory.forecasts", lambda runs, places: {key: needs})
    nodes = [ray._Node("a", {"memory": 5.5e9}), ray._Node("b", {"memory": 1e9})]
    executor = Ray(tmp_path, RayOptions())
    assert executor._forecast(job, True, nodes) == 2_900_000_000
    assert executor._forecast(job, False, nodes) == 5_500_000_000


def test_a_run_whose_data_are_elsewhere_asks_for_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(runs: Any, places: Places) -> Mapping[Any, Any]:
        raise UserError("not here")

    monkeypatch.setattr("tunebench.run.memory.forecasts", unknown)
    (job,) = some_jobs(1, tmp_path)
    assert Ray(tmp_path, RayOptions())._forecast(job, False, []) is None


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (exceptions.NodeDiedError("x"), End("'NodeDiedError'", reported=False)),
        (exceptions.WorkerCrashedError(), End("'WorkerCrashedError'", reported=False)),
        (exceptions.TaskCancelledError(), End("cancelled", "its Ray task was cancelled")),
        (
            exceptions.OutOfMemoryError("x"),
            End("out of memory", "its Ray node ran out of memory. Ask for more, such as --ray memory=32G"),
        ),
        (
            exceptions.RayTaskError("make_run", "", RuntimeError("its process ended with code -9")),
            End("'its process ended with code -9'", reported=False),
        ),
    ],
)
def test_what_ray_says_of_an_end(error: Exception, end: End, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(ticket: Any) -> None:
        raise error

    monkeypatch.setattr(ray.ray, "get", ended)
    assert Ray(tmp_path, RayOptions()).end_of(None) == end


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(address: str, **options: Any) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray.ray, "init", nobody)
    with pytest.raises(UserError, match=r"there is no Ray cluster at 'auto'. nobody answers"):
        ray._connect("auto")


def _job(task: str, seed: int, out: Path) -> Any:
    from tunebench.run.job import job_in
    from tunebench.run.pending import Pending

    experiment = {"model": "m", "task": task, "techniques": ["full"]}
    (run,) = Study.model_validate({"name": "x", "seeds": [seed], "experiments": [experiment]}).runs()
    return job_in(out, Pending(run, "bert"), Places())
