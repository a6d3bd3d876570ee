"""A study's data are read once before it runs, and what was read is what the plan counts with."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.records import done
from tunebench.cli.app import app
from tunebench.records import write_result
from tunebench.run import task_data as module
from tunebench.run.pending import pending_runs
from tunebench.run.plan import plan
from tunebench.run.survey import survey
from tunebench.run.task_data import TaskData
from tunebench.study import Places, Study
from tunebench.tasks import load as data

IOBES = ["O", "S-PER", "B-PER", "I-PER", "E-PER"]


def tagged(folder: Path) -> str:
    path = folder / "tagged.jsonl"
    rows = [{"tokens": ["Ada", "met", "Ann", "Lee"], "tags": ["S-PER", "O", "B-PER", "E-PER"]}] * 20
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def content_of(*tasks: Any) -> dict[str, Any]:
    experiments = [{"model": "pocket-bert", "task": task, "techniques": ["full", "lora"]} for task in tasks]
    return {"name": "surveyed", "experiments": experiments}


def study_of(*tasks: Any) -> Study:
    return Study.model_validate(content_of(*tasks))


def test_a_head_is_counted_with_the_labels_that_a_model_learns(tmp_path: Path) -> None:
    """Five stated labels of IOBES are three of IOB2."""
    task = {"objective": "token_classification", "data": tagged(tmp_path), "labels": IOBES}
    study = study_of(task)
    runs, places = study.runs(), study.places()
    surveyed = survey(runs, TaskData(places))

    assert surveyed.labels(runs[0].task) == ("O", "B-PER", "I-PER")
    full, _ = plan(runs, places, surveyed=surveyed)
    stated, _ = plan(runs, places)
    assert full.parameters is not None
    assert stated.parameters is not None
    assert stated.parameters.total - full.parameters.total == 2 * (256 + 1)


def test_each_task_is_read_once_by_the_plan_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{'ab'[n % 2]}\n" for n in range(30)))
    own = {"objective": "sequence_classification", "data": str(path)}
    (tmp_path / "study.yaml").write_text(json.dumps(content_of(own, {**own, "rows": {"train": 9}})))
    read: list[str] = []

    def counted(task: Any, *options: Any, **more: Any) -> data.Data:
        read.append(task.name)
        return load(task, *options, **more)

    load = data.load
    monkeypatch.setattr(data, "load", counted)
    monkeypatch.setattr(module, "load", counted)
    result = CliRunner().invoke(app, ["plan", str(tmp_path / "study.yaml"), "--json"])

    assert result.exit_code == 0, result.output
    assert read == ["own", "own"]  # two tasks: the second has fewer rows
    assert [one["rows"]["train"] for one in json.loads(result.output)["data"]] == [24, 9]


def test_two_tasks_of_one_name_keep_their_own_data(tmp_path: Path) -> None:
    """The forecast of a run depends on its rows."""
    runs = study_of(
        {"name": "emotion", "data": "embedded"}, {"name": "emotion", "data": "embedded", "rows": {"train": 50}}
    )
    surveyed = survey(runs.runs(), TaskData(Places()))

    rows = {run.id: surveyed.data(run.task) for run in runs.runs()}
    assert sorted(record.rows["train"] for record in rows.values() if record) == [50, 50, 1800, 1800]


def test_a_half_finished_task_is_read_once_for_what_is_done_and_what_is_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{'ab'[n % 2]}\n" for n in range(30)))
    study = study_of({"objective": "sequence_classification", "data": str(path)})
    finished, _ = study.runs()
    fingerprint = TaskData(study.places()).of(finished.task).fingerprint
    record = done("full", 0.5)
    known = {"data": record.data.model_copy(update={"fingerprint": fingerprint}), "run": finished.info("bert")}
    write_result(tmp_path / "runs" / finished.id, record.model_copy(update={**known, "backbone": None}))
    read: list[str] = []

    def counted(task: Any, *options: Any, **more: Any) -> data.Data:
        read.append(task.name)
        return data.load(task, *options, **more)

    monkeypatch.setattr(module, "load", counted)
    seen = TaskData(study.places())
    pending, _ = pending_runs(study.runs(), study.places(), tmp_path, data=seen)
    surveyed = survey([one.run for one in pending], seen)

    assert [one.run.technique for one in pending] == ["lora"]
    assert [one.rows["train"] for one in surveyed.records] == [24]
    assert read == ["own"]
