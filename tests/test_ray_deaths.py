"""Nodes of a Ray cluster and the command are killed while a study is made: nothing is lost, and nothing is made twice.

More deaths: `python -m tests.test_ray_deaths FOLDER RUNS NODES COMMANDS`.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

STUDY = """
name: deaths
data: embedded
seeds: [{seeds}]
training: {{epochs: 3, batch_size: 2, patience: 3, checkpoint_seconds: 2}}
experiments:
  - model: pocket-bert
    task: {{name: emotion, rows: {{train: 120, validation: 100, test: 100}}}}
    techniques: [full]
"""

_SECONDS = 900  # after which a study counts as stuck


class Nodes:
    """Three nodes with a core each, and a head that makes no runs."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self._nodes = [self._cluster.add_node(num_cpus=1) for _ in range(3)]
        self.address = self._cluster.address

    def kill_one(self, dice: random.Random) -> None:
        """Kill all processes of a node by SIGKILL, and start another node."""
        node = dice.choice(self._nodes)
        self._nodes.remove(node)
        _kill(*[info.process.pid for infos in node.all_processes.values() for info in infos])
        with suppress(Exception):  # its processes are gone, which is all that Ray has to say
            self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._cluster.add_node(num_cpus=1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._cluster.shutdown()


@dataclass
class Command:
    """The command, which is started again when it is killed."""

    study: Path
    out: Path
    options: list[str]

    def __post_init__(self) -> None:
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        program = [sys.executable, "-c", "from tunebench.cli.app import main; main()"]
        command = [*program, "run", str(self.study), "--out", str(self.out), *self.options]
        with (self.out.parent / f"{self.out.name}-{self.starts}.txt").open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )

    def kill(self) -> None:
        """Kill it by SIGKILL and start it again."""
        self.process.kill()
        self.process.wait()
        self.start()


@contextmanager
def results_seen(out: Path) -> Iterator[dict[str, set[Any]]]:
    """How often each run's result was written: each is another file."""
    seen: dict[str, set[Any]] = defaultdict(set)
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for path in out.glob("runs/*/result.json"):
                with suppress(OSError):
                    about = path.stat()
                    seen[path.parent.name].add((about.st_ino, about.st_mtime_ns))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        time.sleep(0.1)
        over.set()
        thread.join()


def survived(folder: Path, runs: int, nodes: int, commands: int) -> dict[str, Any]:
    """Make a study under so many deaths, and without any; returns what was counted."""
    study = folder / "study.yaml"
    study.write_text(STUDY.format(seeds=", ".join(map(str, range(runs)))))
    dice = random.Random(0)
    deaths = ["node"] * nodes + ["command"] * commands
    dice.shuffle(deaths)
    done = []
    start = time.monotonic()
    with Nodes() as cluster, results_seen(folder / "ray") as seen:
        command = Command(study, folder / "ray", ["--on", "ray", "--ray-address", cluster.address])
        while command.process.poll() is None:
            assert time.monotonic() - start < _SECONDS, "the study is stuck"
            time.sleep(dice.uniform(6, 14))
            at_work = list((folder / "ray").glob("runs/*/resume/*"))
            if not deaths or not at_work or command.process.poll() is not None:
                continue
            kind = deaths.pop()
            done.append(kind)
            if kind == "node":
                cluster.kill_one(dice)
            else:
                command.kill()
    alone = Command(study, folder / "local", ["--workers", "2"])
    return {
        "runs": runs,
        "nodes killed": done.count("node"),
        "commands killed": done.count("command"),
        "exit codes": (command.process.returncode, alone.process.wait(timeout=_SECONDS)),
        "results written": sorted(len(written) for written in seen.values()),
        "equal bits": sum(_equal(path, folder / "ray") for path in (folder / "local" / "runs").iterdir()),
        "resumed": sum(path.read_text().count('"resumed"') for path in (folder / "ray").glob("runs/*/events.jsonl")),
        "left over": sorted(path.name for path in (folder / "ray").glob("runs/*/placed-*")),
        "seconds": round(time.monotonic() - start),
    }


def _equal(run: Path, there: Path) -> bool:
    names = ("best.safetensors", "predictions.jsonl")
    return all((run / name).read_bytes() == (there / "runs" / run.name / name).read_bytes() for name in names)


def _kill(*pids: int) -> None:
    """These processes and all that they started."""
    processes = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            processes += [process, *process.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.full
@pytest.mark.slow
def test_nodes_and_the_command_are_killed_and_each_run_ends_once_with_the_bits_of_a_local_one(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'tunebench[ray]'")
    counted = survived(tmp_path, runs=3, nodes=2, commands=1)
    assert counted["nodes killed"] == 2 and counted["commands killed"] == 1
    assert counted["exit codes"] == (0, 0)
    assert counted["results written"] == [1] * 3, "none is lost, and none is made twice to the end"
    assert counted["equal bits"] == 3
    assert counted["resumed"] > 0, "what was killed was at work"
    assert counted["left over"] == []


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir()
    print(survived(where, *map(int, sys.argv[2:])))  # noqa: T201
