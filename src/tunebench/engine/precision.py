"""What is computed in bf16, and what always in float32."""

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from torch import nn

Precision = Literal["bf16", "float32"]
Autocast = Callable[[], AbstractContextManager[Any]]
"""Makes the context in which matrix products are computed in a precision."""


def resolve_precision(wanted: str, device: torch.device) -> Precision:
    """`auto` is bf16 where the hardware multiplies bf16 fast, else float32."""
    if wanted == "auto":
        return "bf16" if _fast_bf16(device) else "float32"
    return "bf16" if wanted == "bf16" else "float32"


def _fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere; older GPUs emulate it
    if device.type != "cpu":
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def store_frozen_in_bf16(model: nn.Module, head: Sequence[nn.Module]) -> None:
    """Store frozen matrices below the head in bf16: half the memory, and no cast per step.

    Trained weights stay float32, and so do norms and biases, whose small changes bf16 would lose.
    """
    kept = {id(parameter) for module in head for parameter in module.parameters()}
    for parameter in model.parameters():
        if not parameter.requires_grad and parameter.ndim >= 2 and id(parameter) not in kept:
            parameter.data = parameter.data.to(torch.bfloat16)


def compute_in_float32(module: nn.Module, device_type: str) -> None:
    """Exclude a head from autocast: bf16 logits have three digits, too few for a score or a ranking."""
    inner = module.forward

    @functools.wraps(inner)
    def forward(*inputs: Any, **options: Any) -> Any:
        with torch.autocast(device_type, enabled=False):
            return inner(*(x.float() if torch.is_tensor(x) and x.is_floating_point() else x for x in inputs), **options)

    module.forward = forward


def autocast_of(device: torch.device, precision: Precision) -> Autocast:
    """Makes the context in which matrix products are computed in bf16, where that is the precision.

    accelerate's `autocast` gives the same context, but looks up its settings each time: 5 % of a head's step.
    """
    return functools.partial(torch.autocast, device.type, torch.bfloat16, enabled=precision == "bf16")


def make_accelerator(wanted: str, folder: Path, track: str | None) -> tuple[Accelerator, Precision]:
    """Accelerate's handle on the device, and the number format it computes in. One worker may make several in turn."""
    AcceleratorState._reset_state(reset_partial_state=True)
    device = PartialState().device
    assert device is not None, "a new PartialState has a device"
    precision = resolve_precision(wanted, device)
    mixed = "bf16" if precision == "bf16" else "no"
    return Accelerator(mixed_precision=mixed, log_with=track, project_dir=folder), precision
