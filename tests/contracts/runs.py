"""One run of a tiny study, in this process."""

from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from tunebench.families import families
from tunebench.records import Done, NotApplicable, Paused, PlannedCell, write_result
from tunebench.run.execute import execute
from tunebench.run.job import Job
from tunebench.run.plan import plan
from tunebench.study import Places, Run, Study, read_study, write_run
from tunebench.tasks import tasks

TASKS = ("emotion", "ner", "similarity")
CELLS = [
    *((kind, task) for kind in ("bert", "gpt2") for task in TASKS),
    ("gpt2", "instruction"),
    ("bert", "question_answering"),
    ("t5", "emotion"),
    ("t5", "summarization"),
    ("transformer", "emotion"),
]
"""Families with tasks of every objective that they can do."""
SHORT: dict[str, dict[str, Any]] = {
    "summarization": {"name": "summarization", "max_new_tokens": 6, "beams": 2},
    "question_answering": {"name": "question_answering", "max_new_tokens": 6, "beams": 2},
}
"""Tasks whose answers would take long to write."""


def posed(kind: str, task: str) -> str:
    """The objective that a task is posed as to a family."""
    objective = tasks()[task].objective_of(families()[kind].auto_classes)
    assert objective is not None
    return objective


def published(family: str) -> tuple[PlannedCell, ...]:
    """The plan of one family's cells of the study of published results."""
    study, _ = read_study("published")
    return plan([run for run in study.runs() if family in run.model])


TRAINING = {"epochs": 2, "batch_size": 8, "precision": "float32", "patience": 9}


class LocatedRun(Run):
    """A run that knows where its model and data lie here."""

    _places: Places = PrivateAttr(default=Places())


def make_run(backbone: Path, data_root: Path, task: Any, technique: Any, **training: Any) -> LocatedRun:
    """The only run of a study with one cell."""
    study = Study.model_validate(
        {
            "name": "tiny",
            "training": {**TRAINING, **training},
            "experiments": [{"model": str(backbone), "task": SHORT.get(str(task), task), "techniques": [technique]}],
        }
    )
    (run,) = study.runs()
    located = LocatedRun.model_validate(run.model_dump())
    located._places = study.places(data_root=str(data_root))
    return located


def job_of(run: Run, folder: Path, **changes: Any) -> Job:
    """The run as a job in a folder."""
    places = run._places if isinstance(run, LocatedRun) else Places()
    options = {"places": places, "family": "bert", "folder": str(folder), "cache": str(folder / "cache")}
    return Job(run=run, **{**options, **changes})


def make(run: Run, folder: Path, observe: Any = lambda event: None, cache: Path | None = None, **changes: Any) -> Done:
    """Execute a run in a folder, as a worker does."""
    result = make_until(None, run, folder, observe, cache, **changes)
    assert isinstance(result, Done)
    return result


def make_until(
    epoch: int | None,
    run: Run,
    folder: Path,
    observe: Any = lambda event: None,
    cache: Path | None = None,
    **changes: Any,
) -> Done | Paused:
    """Execute a run until the end of an epoch, or to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    job = job_of(run, folder, cache=str(cache or folder / "cache"), until_epoch=epoch, **changes)
    write_run(folder, run, job.places)
    result = execute(job, observe)
    assert not isinstance(result, NotApplicable)
    write_result(folder, result)
    return result
