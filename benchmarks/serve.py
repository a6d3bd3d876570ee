"""Many tasks on one backbone: `tunebench serve` without HTTP, beside one `FinishedRun` per task.

    python benchmarks/serve.py MODEL_FOLDER OUT [--tasks 1,8,64]

Makes a run with a tuned head and one with LoRA on the model (a BERT, such as MiniLM), copies them to as many tasks as
are asked for, and measures each way in a process of its own: seconds to load, memory, texts per second, processor
milliseconds per text (which other programs on the machine do not change much), and milliseconds until an answer.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

_SECONDS = 4.0
_WORDS = "i feel so very happy and really quite gloomy today as the book was lovely and a dog is tender".split()  # noqa: SIM905
KINDS = {"head": ("classifier_head",), "lora": ("lora",), "mixed": ("classifier_head", "lora")}


def main() -> None:
    """Print one line of JSON per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", default="1,8,64")
    parser.add_argument("--kinds", default="head,lora,mixed")
    parser.add_argument("--ways", default="served,finished")
    parser.add_argument("--only", nargs=3, metavar=("WAY", "KIND", "TASKS"))
    options = parser.parse_args()
    if options.only is not None:
        way, kind, tasks = options.only
        print(json.dumps(measured(options.out, way, kind, int(tasks))))
        return
    make(options.model, options.out)
    for kind in options.kinds.split(","):
        for tasks in options.tasks.split(","):
            for way in options.ways.split(","):
                only = ["--only", way, kind, tasks]
                subprocess.run([sys.executable, __file__, str(options.model), str(options.out), *only], check=True)


def make(model: Path, out: Path) -> None:
    """Two finished runs, if they are not there."""
    import yaml

    if (out / "results.json").is_file():
        return
    out.mkdir(parents=True, exist_ok=True)
    study = {
        "name": "serve",
        "data": "embedded",
        "training": {"epochs": 1},
        "experiments": [
            {
                "model": {"name": "minilm", "path": str(model.absolute())},
                "task": {"name": "emotion", "rows": {"train": 200, "validation": 50, "test": 50}},
                "techniques": ["classifier_head", "lora"],
            }
        ],
    }
    (out / "serve.yaml").write_text(yaml.safe_dump(study))
    subprocess.run([sys.executable, "-m", "tunebench", "run", str(out / "serve.yaml"), "--out", str(out)], check=True)


def folders(out: Path, kind: str, tasks: int) -> list[Path]:
    """As many runs as tasks, each a folder of its own."""
    found = [path for technique in KINDS[kind] for path in sorted((out / "runs").glob(f"*--{technique}--*"))]
    copies = []
    for number in range(tasks):
        copy = out / "copies" / f"{kind}-{number}"
        if not copy.exists():
            shutil.copytree(found[number % len(found)], copy)
        copies.append(copy)
    return copies


def text(number: int) -> str:
    """Another one for each number, of 8 to 24 words."""
    return " ".join(_WORDS[(number * 7 + at * (1 + number % 5)) % len(_WORDS)] for at in range(8 + number % 17))


def measured(out: Path, way: str, kind: str, tasks: int) -> dict[str, Any]:
    """Load, then ask every task one text, again and again."""
    import torch

    runs = folders(out, kind, tasks)
    FinishedRuns(runs[:1]).ask([text(0)])  # imports and threads are there
    process, before = psutil.Process(), time.perf_counter()
    backbone = process.memory_info().rss
    server: Any = {"served": ServedRuns, "finished": FinishedRuns}[way](runs)
    loading = time.perf_counter() - before
    latencies, rounds, start, cpu = [], 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < _SECONDS or rounds < 2:
        latencies += server.ask([text(rounds * tasks + number) for number in range(tasks)])
        rounds += 1
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    same = spent(lambda: server.ask([text(3)] * tasks))
    return {
        "way": way,
        "kind": kind,
        "tasks": tasks,
        "threads": torch.get_num_threads(),
        "loading_seconds": round(loading, 2),
        "memory_mb": round((process.memory_info().rss - backbone) / 1e6),
        "texts_per_second": round(rounds * tasks / seconds, 1),
        "cpu_ms_per_text": round(1000 * cpu / (rounds * tasks), 2),
        "p50_ms": round(1000 * statistics.median(latencies), 1),
        "p95_ms": round(1000 * sorted(latencies)[int(0.95 * len(latencies))], 1),
        "one_text_to_all_cpu_ms": round(1000 * same, 1),
    }


def spent(function: Callable[[], Any], times: int = 5) -> float:
    """The median of some calls, in seconds of the processor."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


class FinishedRuns:
    """A model per task; they are asked one after the other."""

    def __init__(self, runs: Sequence[Path]):
        from tunebench.serve.finished import FinishedRun

        self._runs = [FinishedRun.load(folder) for folder in runs]
        for run in self._runs:
            run.predict(["a word"])

    def ask(self, texts: Sequence[str]) -> list[float]:
        """Seconds until each answer; all ask at once."""
        start, ends = time.perf_counter(), []
        for run, one in zip(self._runs, texts, strict=True):
            run.predict([one])
            ends.append(time.perf_counter() - start)
        return ends


class ServedRuns:
    """All tasks on one backbone."""

    def __init__(self, runs: Sequence[Path]):
        from tunebench.serve.answering import AnsweringThread, BatchLimits
        from tunebench.serve.api.models import Models
        from tunebench.serve.api.server import backbones_here

        models = Models(backbones_here(), {})
        self._served = [models.add(folder.name, folder).served for folder in runs]
        self._answering = AnsweringThread(BatchLimits())
        self.ask(["a word"] * len(runs))

    def ask(self, texts: Sequence[str]) -> list[float]:
        """Seconds until each answer; all ask at once."""
        start, ends = time.perf_counter(), []
        futures = [self._answering.ask(one, [question]) for one, question in zip(self._served, texts, strict=True)]
        for future in futures:
            future.add_done_callback(lambda done: ends.append(time.perf_counter() - start))
        for future in futures:
            future.result()
        return ends


if __name__ == "__main__":
    main()
