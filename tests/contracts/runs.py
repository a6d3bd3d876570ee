"""One run of a tiny study, in this process."""

from pathlib import Path
from typing import Any

from tunebench.execute import execute
from tunebench.results import Done, write_json, write_result
from tunebench.study import Run, Study

TASKS = ("emotion", "ner", "similarity")
CELLS = [(kind, task) for kind in ("bert", "gpt2") for task in TASKS] + [("gpt2", "instruction")]
"""Families with the tasks that they can do."""
TRAINING = {"epochs": 2, "batch_size": 8, "precision": "float32", "checkpoint_seconds": 0, "patience": 9}


def make_run(backbone: Path, data_root: Path, task: Any, technique: Any, **training: Any) -> Run:
    """The only run of a study with one cell."""
    study = Study.model_validate(
        {
            "name": "tiny",
            "training": {**TRAINING, **training},
            "experiments": [{"model": str(backbone), "task": task, "techniques": [technique]}],
        }
    )
    (run,) = study.runs(data_root=str(data_root))
    return run


def make(run: Run, folder: Path, observe: Any = lambda event: None, cache: Path | None = None) -> Done:
    """Execute a run in a folder, as a worker does."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "run.json", run.model_dump(mode="json"))
    result = execute(run, folder, cache or folder / "cache", observe)
    assert isinstance(result, Done)
    write_result(folder, result)
    return result
