"""Gradient checkpointing changes memory and time, and no number; a study may choose how attention is computed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import make, make_run
from tests.contracts.test_objectives import posed
from tunebench._util.errors import UserError
from tunebench.engine.recompute import recompute
from tunebench.families import families
from tunebench.objectives import objectives
from tunebench.run.cell import Cell
from tunebench.run.plan import plan
from tunebench.study.training import Training


@pytest.mark.parametrize(
    ("kind", "technique"),
    [
        ("bert", "full"),
        ("gpt2", "prefix_tuning"),
        pytest.param("t5", "lora", marks=pytest.mark.full),
        pytest.param("bert", "freeze", marks=pytest.mark.full),
    ],
)
def test_gradient_checkpointing_changes_no_number(
    kind: str, technique: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    def made(**training: Any) -> Any:
        run = make_run(backbones[kind], data_root, "emotion", technique, epochs=1, **training)
        return make(run, tmp_path / run.id)

    plain, checkpointed = made(), made(gradient_checkpointing=True)
    assert plain.run.id != checkpointed.run.id
    assert [epoch.train_loss for epoch in plain.history] == [epoch.train_loss for epoch in checkpointed.history]
    assert plain.metrics == checkpointed.metrics
    weights = [name for name in plain.files if name.endswith(".safetensors") and "/" not in name]
    assert weights
    assert all(plain.files[name] == checkpointed.files[name] for name in weights)


def saved_bytes(model: Any, batch: Any) -> int:
    """Bytes that the forward pass keeps for the backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(**batch)
    return sum(kept.values())


def test_it_keeps_less_for_the_backward_pass(backbones: dict[str, Path], data_root: Path) -> None:
    objective, examples = posed("emotion", backbones["bert"], data_root)
    head = objectives()[objective.name].head(examples.labels)
    model = families()["bert"].load(backbones["bert"], objective.name, head).train()
    batch = objective.collate(objective.encode(examples.splits["train"]), range(32))
    before = saved_bytes(model, batch)
    recompute(model)
    assert saved_bytes(model, batch) < 0.7 * before


def test_a_model_that_cannot_is_refused_when_the_study_is_planned(backbones: dict[str, Path], data_root: Path) -> None:
    run = make_run(backbones["transformer"], data_root, "emotion", "full", gradient_checkpointing=True)
    with pytest.raises(UserError, match=r"training\.gradient_checkpointing: the layers of this model cannot"):
        plan([run], run._places)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_attention_is_computed_as_the_study_asks(
    implementation: str, backbones: dict[str, Path], data_root: Path
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "full", attention=implementation)
    cell = Cell.of(run, run._places)
    objective, _ = posed("emotion", backbones["bert"], data_root)
    assert cell.build(backbones["bert"], objective, 10).config._attn_implementation == implementation


def test_attention_that_a_technique_computes_itself_is_refused_when_the_study_is_planned(
    backbones: dict[str, Path], data_root: Path
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "prefix_tuning", attention="eager")
    with pytest.raises(UserError, match=r"training\.attention: eager is unavailable with prefix_tuning"):
        plan([run], run._places)


def test_defaults_leave_ids_and_records_as_they_were(backbones: dict[str, Path], data_root: Path) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "full")
    assert {"gradient_checkpointing", "attention"} & set(run.info("bert").training) == set()
    for change in ({"gradient_checkpointing": True}, {"attention": "eager"}):
        other = run.model_copy(update={"training": Training.model_validate({**run.training.model_dump(), **change})})
        assert other.id != run.id
        assert set(change) <= set(other.info("bert").training)
