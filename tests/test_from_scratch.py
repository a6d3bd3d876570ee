"""Training from scratch: the architecture of a checkpoint and the run's seed, and no weight of what was pretrained."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.contracts.runs import make, make_run
from tunebench.engine.frozen_trunk import TrunkCache
from tunebench.families.base import base_of
from tunebench.run.cell import Cell
from tunebench.serve.finished import load_finetuned

CELLS = {
    "bert": "emotion",
    "fresh_pooler": "emotion",
    "distilbert": "emotion",
    "gpt2": "emotion",
    "llama": "emotion",
    "t5": "emotion",
    "transformer": "emotion",
}


def drawn(backbone: Path, data_root: Path, technique: str = "from_scratch", seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights that a run begins with."""
    run = make_run(backbone, data_root, "emotion", technique).model_copy(update={"seed": seed})
    cell = Cell.of(run, run._places)
    objective = cell.objective([str(label) for label in range(6)], cell.family.tokenizer(backbone))
    model = cell.build(backbone, objective, 10)
    assert cell.family.frozen_depth(model) == 0
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}


@pytest.mark.parametrize("kind", CELLS)
def test_all_weights_are_the_seeds_and_none_the_checkpoints(
    kind: str, backbones: dict[str, Path], data_root: Path
) -> None:
    once, again, other = (drawn(backbones[kind], data_root, seed=seed) for seed in (0, 0, 1))
    pretrained = drawn(backbones[kind], data_root, "full")
    assert once.keys() == pretrained.keys()
    assert {n: t.shape for n, t in once.items()} == {n: t.shape for n, t in pretrained.items()}
    assert all(torch.equal(once[name], again[name]) for name in once)
    random = [name for name, tensor in once.items() if tensor.ndim >= 2]
    assert random
    for name in random:  # biases begin as zeros and norms as ones, whatever the seed
        assert not torch.equal(once[name], other[name]), name
        assert not torch.equal(once[name], pretrained[name]), name
    assert {tensor.dtype for tensor in once.values()} == {torch.float32}


@pytest.mark.parametrize("kind", ["bert", "transformer"])
def test_no_weight_is_read_and_the_figures_are_those_of_the_seed(
    kind: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(backbones[kind], tmp_path / "model")
    whole = make(make_run(folder, data_root, "emotion", "from_scratch", epochs=1), tmp_path / "whole")
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    damaged = make(make_run(folder, data_root, "emotion", "from_scratch", epochs=1), tmp_path / "damaged")
    (folder / "model.safetensors").unlink()
    without = make(make_run(folder, data_root, "emotion", "from_scratch", epochs=1), tmp_path / "without")
    for done, place in ((damaged, "damaged"), (without, "without")):
        assert done.metrics == whole.metrics
        assert done.backbone == whole.backbone
        weights = (tmp_path / place / "best.safetensors").read_bytes()
        assert weights == (tmp_path / "whole/best.safetensors").read_bytes()
    assert whole.backbone is not None
    assert not whole.backbone.pretrained
    assert whole.parameters.trainable == whole.parameters.total
    model, _ = load_finetuned(tmp_path / "whole")
    kept = load_file(tmp_path / "whole/best.safetensors")
    assert all(torch.equal(parameter, kept[name]) for name, parameter in base_of(model).named_parameters())


def test_nothing_is_frozen_so_that_nothing_is_kept_of_a_trunk(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a trunk was asked for")

    monkeypatch.setattr(TrunkCache, "states", never)
    done = make(make_run(backbones["transformer"], data_root, "emotion", "from_scratch", epochs=1), tmp_path)
    assert not done.cost.cached
    assert done.cost.trunk_seconds == 0
