"""Whether a cut model is the model: asked before a cut is used that no test has tried for its type."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from tunebench.engine.precision import Autocast
from tunebench.engine.sources import Batch
from tunebench.families._folder import refusals
from tunebench.families.base import Family, Split

_TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Largest difference of logits, relative to the largest logit, by the number format of the kept states."""


def proven_split(
    model: nn.Module,
    family: Family,
    depth: int,
    pooled: bool,
    batch: Callable[[], Batch],
    autocast: Autocast,
    dtype: Any,
) -> Split | None:
    """A model cut above its lowest `depth` stages, or None where what is found there is not the whole model.

    Where the vector of one token a text gives other logits (a head may pool in its own way), all are kept.

    Args:
        model: in evaluation mode.
        family: cuts it.
        depth: how many stages are frozen.
        pooled: whether the head reads one token only.
        batch: makes the batch on which the logits are compared, with `labels`; asked where the cut is not known.
        autocast: makes the context of a forward pass.
        dtype: the number format in which states are kept.
    """
    if family.cuts_are_known:
        return family.split(model, depth, pooled)
    compared = batch()
    return next(
        (split for split in _ways(model, family, depth, pooled) if _equal(model, split, compared, autocast, dtype)),
        None,
    )


def _ways(model: nn.Module, family: Family, depth: int, pooled: bool) -> Iterator[Split]:
    """The cuts to try, that with the smallest outputs first."""
    first = family.split(model, depth, pooled)
    yield first
    if first.one_vector:
        yield family.split(model, depth, pooled=False)


def _equal(model: Any, split: Split, batch: Batch, autocast: Autocast, dtype: Any) -> bool:
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    seen = {} if split.one_vector else {"attention_mask": batch["attention_mask"]}
    try:
        with torch.no_grad(), autocast():
            whole = model(**batch)
            states = split.trunk(**inputs).to(dtype)
            above = split.tail(inputs_embeds=states, labels=batch["labels"], **seen)
    except refusals():
        return False
    largest = float(whole.logits.abs().max())
    differences = [(above.logits - whole.logits).abs().max(), (above.loss - whole.loss).abs()]
    scales = [largest, max(largest, float(whole.loss.abs()))]
    pairs = zip(differences, scales, strict=True)
    return all(float(difference) <= _TOLERANCES[dtype] * scale for difference, scale in pairs)
