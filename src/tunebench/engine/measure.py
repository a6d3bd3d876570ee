"""The cost of a run, in parameters, seconds and memory, and its environment."""

import ctypes
import gc
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from tunebench.families.base import Family
from tunebench.records import Parameters

_PACKAGES = ("tunebench", "torch", "transformers", "peft", "accelerate", "tokenizers", "scikit-learn", "numpy")


def idle_parameters(model: nn.Module) -> set[int]:
    """The `id` of each parameter of PEFT's frozen originals of trained modules, which never run."""
    return {id(p) for name, m in model.named_modules() if name.endswith("original_module") for p in m.parameters()}


def count_parameters(model: nn.Module, family: Family) -> Parameters:
    """Count each tensor once, tied ones too, but not PEFT's frozen original of a trained head."""
    idle = idle_parameters(model)
    head = {id(p) for module in family.head(model) for p in module.parameters()}
    counted = [p for p in model.parameters() if id(p) not in idle]
    trainable = [p for p in counted if p.requires_grad]
    in_head = sum(p.numel() for p in trainable if id(p) in head)
    total = sum(p.numel() for p in trainable)
    return Parameters(total=sum(p.numel() for p in counted), trainable=total, technique=total - in_head, head=in_head)


class Stopwatch:
    """Seconds by purpose."""

    def __init__(self, **seconds: float):
        self.seconds = dict(seconds)
        self._starts: dict[str, float] = {}

    @contextmanager
    def time(self, purpose: str) -> Iterator[None]:
        """Add the block's wall-clock seconds to a purpose, after the GPU has finished it."""
        start = self._starts[purpose] = time.perf_counter()
        try:
            yield
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds[purpose] = self.seconds.get(purpose, 0.0) + time.perf_counter() - start

    def running(self, purpose: str) -> float:
        """Seconds since the newest block of a purpose began."""
        return time.perf_counter() - self._starts[purpose]


def reset_peak_memory() -> None:
    """Start a new peak, so that a worker's second run does not report the first one's."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError, AttributeError, TypeError):  # glibc keeps freed memory; other systems have no such call
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):  # not Linux, or not allowed: the peak is then that of the whole process
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Peak resident set of this process since the last reset, in bytes (Linux; elsewhere since the process began)."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        info = psutil.Process().memory_info()
        return int(getattr(info, "peak_wset", info.rss))


def peak_gpu_memory() -> int | None:
    """Peak bytes allocated on the GPU since the last reset; None without one."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


@dataclass(frozen=True)
class Peaks:
    """`peak_memory` and `peak_gpu_memory` at one moment."""

    memory: int = field(default_factory=peak_memory)
    gpu_memory: int | None = field(default_factory=peak_gpu_memory)


def environment(device: torch.device, precision: str) -> dict[str, Any]:
    """What a reader needs to judge the seconds and to reproduce the figures."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "workers": int(os.environ.get("TUNEBENCH_WORKERS", "1")),
        "memory_bytes": psutil.virtual_memory().total,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": precision,
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
