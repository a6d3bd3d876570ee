"""What holds for every problem type: the rows that its docstring shows are read, scored, written out, run and asked."""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.contracts.runs import make, make_run
from tunebench._util.errors import UserError
from tunebench._util.registry import subclasses_in
from tunebench.evaluation.metrics import METRICS
from tunebench.objectives import objectives
from tunebench.serve.finished import predict
from tunebench.study import Study
from tunebench.tasks import problems as package
from tunebench.tasks.base import SPLITS, Task
from tunebench.tasks.leakage import overlap
from tunebench.tasks.load import Data, load
from tunebench.tasks.written import Written

FOLDER: dict[str, Any] = subclasses_in(package, Task)  # without what plugins add
KIND_OF = {"causal_lm": "gpt2", "text_to_text": "t5"}
"""Objective -> the family that poses it here; an encoder poses all others."""

every = pytest.mark.parametrize("name", FOLDER)


def shown(name: str) -> list[dict[str, Any]]:
    """The rows under `Examples:` in the docstring of the problem type, one per line."""
    lines = (inspect.getdoc(FOLDER[name]) or "").partition("\nExamples:\n")[2].splitlines()
    return [json.loads(line) for line in lines]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        flat = [
            {key: json.dumps(cell) if isinstance(cell, list) else cell for key, cell in row.items()} for row in rows
        ]
        pd.DataFrame(flat).to_csv(path, index=False)
    return str(path)


def fields(name: str, folder: Path, ending: str = "jsonl") -> dict[str, Any]:
    """A task of this problem type whose splits are all the rows of its docstring."""
    data = write(folder / f"rows.{ending}", shown(name))
    return {"name": "own", "objective": name, "data": dict.fromkeys(SPLITS, data)}


def task_of(name: str, folder: Path, ending: str = "jsonl", **more: Any) -> Any:
    return Task.model_validate({**fields(name, folder, ending), **more})


def asked_role(task: Task) -> str:
    return next(iter(task.roles))


def in_words(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(value)


def test_the_folder_holds_the_problem_types_that_are_promised() -> None:
    assert sorted(FOLDER) == [
        "causal_lm",
        "multi_label_classification",
        "question_answering",
        "regression",
        "sequence_classification",
        "text_to_text",
        "token_classification",
    ]
    assert all(cls.model_fields["objective"].default == name for name, cls in FOLDER.items())


@every
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_the_rows_of_its_docstring_are_read_from_every_kind_of_file(name: str, ending: str, tmp_path: Path) -> None:
    rows, task = shown(name), task_of(name, tmp_path, ending)
    data = load(task)
    assert len(rows) >= 2
    assert data.splits == load(task_of(name, tmp_path)).splits
    for row, example in zip(rows, data.splits["test"], strict=True):
        given = [
            row[column] for role in task.roles if role != task.gold for column in task.columns_of(role) if column in row
        ]
        read = task.input_of(example)
        assert given
        assert all(in_words(value) in read for value in given if value)
        assert in_words(row[task.column(asked_role(task))]) in task.shown(example)
    references = task.references(data.splits["test"], data.labels)
    assert len({json.dumps(reference) for reference in references}) == len(rows)
    assert bool(data.labels) == task.has_classes


@every
def test_its_default_metrics_are_among_those_it_allows(name: str) -> None:
    cls = FOLDER[name]
    assert cls.default_metrics
    assert set(cls.default_metrics) <= set(cls.allowed_metrics())
    assert all(METRICS[metric].form == cls.form for metric in cls.allowed_metrics())
    assert cls(name="own").metrics == cls.default_metrics
    with pytest.raises(ValueError, match=f"{name} has no metric 'rouge_9'"):
        cls(name="own", metrics=("rouge_9",))


def right_and_wrong(task: Any, data: Data) -> tuple[list[Any], list[Any]]:
    """What a model answers that knows everything, and one that mistakes each example for the one before it."""
    test = data.splits["test"]
    if task.form == "likelihoods":
        sides = [
            [{"response_nll": nll, "nll": nll, "response_tokens": 3, "tokens": 5}] * len(test) for nll in (0.0, 4.0)
        ]
        return sides[0], sides[1]
    if isinstance(task, Written):  # an answer goes through the words that a model reads and writes
        answers = [task.answer_of(task.target_of(example, data.labels), data.labels) for example in test]
    else:
        answers = task.references(test, data.labels)
    return answers, [*answers[1:], answers[0]]


@every
def test_a_right_answer_has_the_best_value_of_each_metric(name: str, tmp_path: Path) -> None:
    task = task_of(name, tmp_path, metrics=FOLDER[name].allowed_metrics())
    data = load(task)
    references = task.references(data.splits["test"], data.labels)
    right, wrong = right_and_wrong(task, data)
    for metric in (METRICS[metric] for metric in task.metrics):
        best, worse = (metric.compute(answers, references) for answers in (right, wrong))
        assert best == pytest.approx(1.0), metric.name  # the greatest score, and the least perplexity
        assert best > worse if metric.higher_is_better else best < worse, metric.name


@every
def test_its_answers_are_readable(name: str, tmp_path: Path) -> None:
    task = task_of(name, tmp_path)
    data = load(task)
    if not isinstance(task, Written) or task.form == "likelihoods":
        return
    answers, _ = right_and_wrong(task, data)
    written = [{"text": task.target_of(example, data.labels)} for example in data.splits["test"]]
    assert task.unreadable(answers, written, data.labels) == ""


@every
def test_a_task_survives_yaml_and_a_study(name: str, tmp_path: Path) -> None:
    task = task_of(name, tmp_path)
    for stored in (
        task.model_dump(mode="json"),
        task.model_dump(mode="json", exclude_unset=True),
        fields(name, tmp_path),
    ):
        assert Task.model_validate(yaml.safe_load(yaml.safe_dump(stored))) == task
    study = {"name": "x", "experiments": [{"model": "m", "task": fields(name, tmp_path), "techniques": ["untuned"]}]}
    (run,) = Study.model_validate(yaml.safe_load(yaml.safe_dump(study))).runs()
    assert type(run.task) is FOLDER[name]
    again = type(run).model_validate(yaml.safe_load(yaml.safe_dump(run.model_dump(mode="json"))))
    assert (again, again.id) == (run, run.id)


@every
def test_a_wrong_column_is_refused_with_the_columns_that_exist(name: str, tmp_path: Path) -> None:
    columns = sorted({column for row in shown(name) for column in row})
    for role in FOLDER[name].roles:
        with pytest.raises(UserError, match=f"has no column 'zzz' \\(for {role}\\)") as refused:
            load(task_of(name, tmp_path, columns={role: "zzz"}))
        assert f"Choose from: {', '.join(columns)}. Name it with columns: {{{role}: NAME}}." in str(refused.value)
    with pytest.raises(ValueError, match=f"columns: {name} has no role 'zzz'. Choose from: "):
        task_of(name, tmp_path, columns={"zzz": columns[0]})


@every
def test_a_test_input_that_occurs_in_train_is_reported(name: str, tmp_path: Path) -> None:
    task = task_of(name, tmp_path)
    data = load(task)
    assert overlap(task, data).exact == tuple(range(len(shown(name))))


@every
def test_it_is_posed_as_objectives_that_exist_with_settings_that_it_has(name: str) -> None:
    cls = FOLDER[name]
    assert set(cls.poses) <= set(objectives())
    assert all(setting in cls.model_fields for settings in cls.poses.values() for setting in settings)
    task = cls(name="own")
    for way in cls.poses:
        assert task.objective_of([way]) == way
        assert set(task.particular(way)) == set(cls.poses[way])
    assert task.objective_of(["zzz"]) is None


POSED = [
    pytest.param(name, way, marks=[] if way == next(iter(cls.poses)) else [pytest.mark.full])
    for name, cls in FOLDER.items()
    for way in cls.poses
]


@pytest.mark.parametrize(("name", "way"), POSED)
def test_a_run_answers_its_rows_again_as_it_did(
    name: str, way: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    short = {"max_new_tokens": 6} if "max_new_tokens" in FOLDER[name].model_fields else {}
    run = make_run(
        backbones[KIND_OF.get(way, "bert")], data_root, {**fields(name, tmp_path), **short}, "full", epochs=1
    )
    done = make(run, tmp_path / "run")
    assert done.run.task_settings["objective"] == way
    assert set(done.metrics.test) == set(FOLDER[name].default_metrics)
    rows = [json.loads(line) for line in (tmp_path / "run/predictions.jsonl").read_text("utf-8").splitlines()]
    answers = predict(tmp_path / "run", *texts_of(run.task, shown(name)))
    assert len(answers) == len(rows) == len(shown(name))
    if run.task.form == "likelihoods":  # scored by likelihood; it wrote answers as well
        assert done.generation is not None
        kept = [answer.texts["greedy"] for answer in done.generation.answers]
    else:
        kept = [row["prediction"] for row in rows]
    for answer, expected in zip(answers, kept, strict=True):
        near = pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected
        assert any(value == near for key, value in answer.items() if key not in ("text", "tokens", "scores"))


def texts_of(task: Task, rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[str] | None]:
    """The rows as new texts, and the second ones where the task takes two."""
    first, second = asked_role(task), task.column(task.second) if task.second else None
    texts = [in_words(row[str(task.column(first))]) for row in rows]
    return texts, [row[second] for row in rows] if second else None
