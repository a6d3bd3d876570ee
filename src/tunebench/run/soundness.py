"""Whether a model's folder holds a model: asked when a study is planned, so that a fault in it is one line."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tunebench._util.errors import UserError, brief
from tunebench.families._folder import refusals
from tunebench.objectives import objectives
from tunebench.run.cell import Cell
from tunebench.zoo import checkpoints

_TOKENS = 4
_MOST_LAYERS = 1_000
"""More than any model has; so many layers are built one by one, even without weights."""


def refuse_impossible(cell: Cell, labels: Sequence[str]) -> None:
    """Build a cell's model without weights, let it read a text, and compare it with the files of its folder.

    No weight is read, and nothing is downloaded: of a model on the hub only the configuration is looked at.

    Raises:
        UserError: no model can be built from config.json, the weights are absent or those of another model, or the
            tokenizer cannot be read or is that of another model.
    """
    checkpoint, family, objective = cell.checkpoint, cell.family, cell.posed
    assert objective is not None, cell.reason
    head = objectives()[objective].head(labels)
    folder = checkpoint.folder
    place = f"model folder {folder}" if folder else f"model '{checkpoint.name}'"
    try:
        _refuse_endless(checkpoint.config)
        _read_a_text(family.skeleton(checkpoint.config, objective, head), family.positions(checkpoint.config))
    except refusals() as error:
        raise UserError(
            f"{place}: no model can be built from its config.json ({brief(error)}). Give one made by save_pretrained."
        ) from error
    if folder is None:
        return
    if cell.technique.reads_weights:
        checkpoints.refuse_without_weights(checkpoint.name, folder)
        family.load(folder, objective, head, shapes_only=True)
    cell.objective(labels, family.tokenizer(folder))


def _refuse_endless(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}")
        if "layer" in name and isinstance(value, int) and value > _MOST_LAYERS:
            raise ValueError(f"{name} is {value:,}")


def _read_a_text(model: Any, positions: int) -> None:
    """A training step's forward pass on the meta device, where only shapes are computed."""
    if positions < 1:
        raise ValueError(f"it has {positions} positions for a text")
    ids = torch.zeros(1, min(_TOKENS, positions), dtype=torch.long, device="meta")
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
    try:
        model.train().base_model(**inputs)
    except RuntimeError as error:
        if "meta" not in str(error):  # else a step that depends on values, which are not there
            raise
