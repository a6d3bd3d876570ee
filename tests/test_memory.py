"""The forecast of memory counts what torch would allocate, without allocating it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import make_run
from tunebench.cli.commands.plan import plan
from tunebench.engine.live_bytes import LiveBytes
from tunebench.records import PlannedMemory
from tunebench.run.cell import Cell
from tunebench.run.memory import forecast
from tunebench.tasks import load as data

CPU = torch.device("cpu")


def forecast_of(backbone: Path, data_root: Path, technique: Any, **training: Any) -> PlannedMemory:
    run = make_run(backbone, data_root, "emotion", technique, **training)
    examples = data.load(run._places.located(run.task), data_root)
    return forecast(Cell.of(run, run._places), examples, CPU)


def test_live_bytes_are_those_of_storages_that_are_not_freed_yet() -> None:
    given = torch.zeros(100)
    with LiveBytes([given]) as live:
        one = given + 1
        assert live.peak == 400
        two = one.view(10, 10) * 2  # a view has no storage of its own
        assert live.peak == 800
        del one
        three = two + 1
        assert live.peak == 800
        live.restart()
        del two
        assert live.peak == 800
    assert three.numel() == 100


def test_full_fine_tuning_needs_weights_gradients_and_two_moments_and_a_head_only_its_own(
    backbones: dict[str, Path], data_root: Path
) -> None:
    full, head = (forecast_of(backbones["bert"], data_root, name) for name in ("full", "classifier_head"))
    assert full.gradients == full.weights == head.weights
    assert full.optimizer == 2 * full.weights
    assert 0 < head.gradients < 0.05 * full.gradients
    assert full.total == full.weights + full.gradients + full.optimizer + full.activations
    assert head.kept > 0 == full.kept


def test_activations_follow_the_batch_and_gradient_checkpointing(backbones: dict[str, Path], data_root: Path) -> None:
    few = {"evaluation_batch_tokens": 1}  # else the evaluation needs more than a step
    large, small, checkpointed = (
        forecast_of(backbones["bert"], data_root, "full", batch_size=32, **few, **more).activations
        for more in ({}, {"micro_batch_size": 4}, {"gradient_checkpointing": True})
    )
    assert small < 0.4 * large
    assert checkpointed < 0.8 * large


@pytest.mark.parametrize(
    ("kind", "technique"), [("gpt2", "prefix_tuning"), pytest.param("t5", "lora", marks=pytest.mark.full)]
)
def test_other_families_and_techniques_have_a_forecast(
    kind: str, technique: str, backbones: dict[str, Path], data_root: Path
) -> None:
    assert forecast_of(backbones[kind], data_root, technique).activations > 0


def test_shared_weights_count_once(backbones: dict[str, Path], data_root: Path) -> None:
    run = make_run(backbones["gpt2"], data_root, "instruction", "full")
    cell = Cell.of(run, run._places)
    examples = data.load(run._places.located(run.task), data_root)
    assert forecast(cell, examples, CPU).weights == 4 * cell.count(examples.labels).total


def test_a_plan_shows_memory_where_it_is_asked_for(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        f"name: x\nexperiments:\n  - {{model: {backbones['bert']}, task: emotion, techniques: [full, tfidf]}}\n"
    )
    plan(str(study), data_root=data_root, memory=True)
    assert "Memory in MB" in capsys.readouterr().out
    plan(str(study), data_root=data_root)
    assert "Memory in MB" not in capsys.readouterr().out
