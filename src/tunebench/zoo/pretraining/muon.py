"""Muon whose products are in a chosen format, and of all matrices of one shape at once."""

# torch._foreach_*, on which torch's own optimizers stand, are exported by no other name.
# pyright: reportPrivateImportUsage=false

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, optim


class Muon(optim.Muon):
    """torch's Muon (`match_rms_adamw`), whose products are in bf16, of one matrix after another.

    Processors without bf16 emulate it: on one with AVX2 alone the steps of torch's Muon took nine tenths of a
    pretraining run. On a GPU small matrices one by one are a thousand launches a step.

    Args:
        matrices: what it moves.
        products: the format to multiply in.
        settings: of torch's Muon.
    """

    def __init__(self, matrices: Iterable[Tensor], products: torch.dtype = torch.float32, **settings: Any):
        super().__init__(matrices, **settings)
        self.products = products

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step, without a closure."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for shape, parameters in alike.items():
                updates = orthogonalised(torch.stack(self._momenta(parameters, group)).to(self.products), group)
                rate = group["lr"] * 0.2 * math.sqrt(max(shape))  # Liu et al. 2025, arXiv:2502.16982, eq. 4
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, list(updates.to(parameters[0].dtype).unbind()), alpha=-rate)

    def _momenta(self, parameters: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        gradients: Any = [parameter.grad for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        return list(torch._foreach_lerp(gradients, momenta, group["momentum"])) if group["nesterov"] else momenta


def orthogonalised(updates: Tensor, group: dict[str, Any]) -> Tensor:
    """Newton and Schulz's iteration: singular values come near 1, singular vectors stay.

    Args:
        updates: (matrices, rows, columns).
        group: with torch's settings of the iteration.
    """
    a, b, c = group["ns_coefficients"]
    tall = updates.shape[1] > updates.shape[2]
    wide = updates.mT if tall else updates
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=group["eps"])
    for _ in range(group["ns_steps"]):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.mT if tall else wide
