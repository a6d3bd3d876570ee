"""The demo needs nothing from outside, has every cell of its families, and says the same when it is made again."""

from pathlib import Path

import pytest

from tests.contracts.runs import make
from tunebench.study import read_study
from tunebench.zoo.embedded import backbones

CELLS = {
    "bert": {"emotion", "ner", "similarity"},
    "gpt2": {"emotion", "ner", "instruction"},
    "t5": {"summarization", "sentiment", "question_answering"},
}
"""Those of the published comparison."""


def test_the_demo_has_every_published_cell() -> None:
    study, _ = read_study("demo")
    cells = {
        (experiment.model.called.removeprefix("pocket-"), experiment.task.name) for experiment in study.experiments
    }
    assert cells == {(kind, task) for kind, named in CELLS.items() for task in named}
    assert {*(f"pocket-{kind}" for kind in CELLS), "pocket-transformer"} == set(backbones())
    assert all(run.task.data == "embedded" for run in study.runs())
    assert all(len(experiment.techniques) >= 3 for experiment in study.experiments)


@pytest.mark.parametrize(
    "cell",
    ["pocket-bert/similarity/classifier_head", "pocket-gpt2/instruction/lora", "pocket-t5/question_answering/freeze"],
)
def test_a_run_of_the_demo_made_again_gives_the_same_figures_and_weights(cell: str, tmp_path: Path) -> None:
    study, _ = read_study("demo")
    (run,) = [run for run in study.runs() if f"{run.model}/{run.task.name}/{run.technique}" == cell]
    few = {"rows": {"train": 48, "validation": 16, "test": 16}, "samples": 4}
    changes = {name: value for name, value in few.items() if name in type(run.task).model_fields}
    task = run.task.model_copy(update=changes)
    short = run.model_copy(update={"task": task, "training": run.training.model_copy(update={"epochs": 2})})
    first, second = make(short, tmp_path / "a"), make(short, tmp_path / "b")
    assert first.metrics == second.metrics
    assert first.generation == second.generation
    assert [epoch.train_loss for epoch in first.history] == [epoch.train_loss for epoch in second.history]
    assert (tmp_path / "a/best.safetensors").read_bytes() == (tmp_path / "b/best.safetensors").read_bytes()
