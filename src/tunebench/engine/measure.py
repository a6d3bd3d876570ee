"""The cost of a run, in parameters, seconds and memory, and its environment."""

import ctypes
import gc
import os
import platform
import time
from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True)
class Spent:
    """Wall-clock seconds, and CPU seconds of all threads of the process."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @classmethod
    def now(cls) -> "Spent":
        """What both clocks show, after the GPU has finished its work."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return cls(time.perf_counter(), time.process_time())

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.seconds - other.seconds, self.cpu_seconds - other.cpu_seconds)


class Stopwatch:
    """Wall-clock and CPU seconds by purpose, in `seconds` and `cpu_seconds`."""

    def __init__(self, seconds: Mapping[str, float] | None = None, cpu_seconds: Mapping[str, float] | None = None):
        self.seconds, self.cpu_seconds = dict(seconds or {}), dict(cpu_seconds or {})
        self._starts: dict[str, Spent] = {}

    @contextmanager
    def time(self, purpose: str) -> Iterator[None]:
        """Add the block's seconds to a purpose, after the GPU has finished it."""
        self._starts[purpose] = Spent.now()
        try:
            yield
        finally:
            total = self.spent(purpose) + self.running(purpose)
            self.seconds[purpose], self.cpu_seconds[purpose] = total.seconds, total.cpu_seconds

    def spent(self, purpose: str) -> Spent:
        """The seconds of a purpose's ended blocks."""
        return Spent(self.seconds.get(purpose, 0.0), self.cpu_seconds.get(purpose, 0.0))

    def running(self, purpose: str) -> Spent:
        """The seconds since the newest block of a purpose began."""
        return Spent.now() - self._starts[purpose]


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


_levels: list[int] = []
"""Resident bytes of this process at the start of each of its runs."""


def begin_memory() -> None:
    """Start a run's peak.

    The first run of a process loads what they all use: libraries, kernels. What a later one finds above the level that
    the second one found was left behind, and does not count as its own.
    """
    reset_peak_memory()
    _levels.append(psutil.Process().memory_info().rss)


def left_behind() -> int:
    """Bytes that earlier runs of this process left behind."""
    return max(0, _levels[-1] - _levels[1]) if len(_levels) > 2 else 0


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
    """The peaks of a run until one moment, in bytes; `memory` without what earlier runs left behind."""

    memory: int = field(default_factory=lambda: peak_memory() - left_behind())
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
