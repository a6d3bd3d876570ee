"""What moves the weights in pretraining: AdamW, or Muon for the layers' matrices and AdamW for the rest."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn, optim
from torch.optim import AdamW, Optimizer

from tunebench.engine.precision import resolve_precision
from tunebench.engine.schedule import inverse_square_root
from tunebench.zoo.pretraining.muon import Muon
from tunebench.zoo.pretraining.recipe import Pretraining

_BETAS = (0.9, 0.98)  # a shorter memory than 0.999: runs are short (Liu et al. 2019, RoBERTa, section 3.1)


class Optimizers:
    """Several optimizers that step as one; their states are numbered through."""

    def __init__(self, parts: Iterable[Optimizer]):
        self.parts = list(parts)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of all parts, in order."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        """Every part's step."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Every part's."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """States by running number; the groups are those of the parts."""
        state, first = {}, 0
        for part in self.parts:
            state |= {first + index: values for index, values in part.state_dict()["state"].items()}
            first += _size(part)
        return {"state": state, "param_groups": None}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Put back what `state_dict` gave; rates and other settings stay as they are."""
        first = 0
        for part in self.parts:
            own = {i - first: v for i, v in saved["state"].items() if first <= i < first + _size(part)}
            part.load_state_dict({"state": own, "param_groups": part.state_dict()["param_groups"]})
            first += _size(part)


def _size(optimizer: Optimizer) -> int:
    return sum(len(group["params"]) for group in optimizer.param_groups)


def optimizers(model: nn.Module, training: Pretraining) -> Optimizers:
    """The recipe's optimizer; weight decay acts on matrices only."""
    inside = {
        id(parameter)
        for module in model.modules()
        if not isinstance(module, nn.Embedding)
        for parameter in module.parameters(recurse=False)
    }
    embedded = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}  # tied heads are embeddings
    matrices, embeddings, vectors = [], [], []
    for parameter in model.parameters():
        if parameter.ndim < 2:
            vectors.append(parameter)
        elif id(parameter) in embedded or id(parameter) not in inside:
            embeddings.append(parameter)
        else:
            matrices.append(parameter)
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adamw":
        matrices, embeddings = [], embeddings + matrices
    groups = [{"params": embeddings, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    parts: list[Optimizer] = [AdamW(groups, lr=rate, betas=_BETAS, fused=True)]
    if matrices:
        parts.append(_muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return Optimizers(parts)


def _muon(matrices: list[nn.Parameter], **settings: Any) -> Optimizer:
    """PyTorch's on a processor that multiplies bf16 fast, where many small products cost nothing more; else our own."""
    device = matrices[0].device
    bf16 = resolve_precision("auto", device) == "bf16"
    if bf16 and device.type == "cpu":
        return optim.Muon(matrices, **settings)
    return Muon(matrices, torch.bfloat16 if bf16 else torch.float32, **settings)


def rate_factor(step: int, total: int, warmup: int, schedule: str) -> float:
    """The learning rate's share of its peak: a linear rise over `warmup` steps, then the schedule."""
    if schedule == "inverse_square_root" or step < warmup:
        return inverse_square_root(step, warmup)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def clip(parameters: Iterable[torch.Tensor], limit: float) -> float:
    """Scale gradients down to the norm `limit` and return the norm before."""
    return float(nn.utils.clip_grad_norm_(list(parameters), limit))
