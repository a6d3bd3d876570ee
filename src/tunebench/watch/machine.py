"""The load of the machine that watches."""

import os
from typing import Any

import psutil


def load() -> dict[str, Any]:
    """Shares of 0 to 100, and bytes. The first share of the cores is that since the last call."""
    memory, disk = psutil.virtual_memory(), psutil.disk_usage(os.sep)
    averages = os.getloadavg() if hasattr(os, "getloadavg") else None
    return {
        "cores": psutil.cpu_count() or 1,
        "busy": round(psutil.cpu_percent()),
        "load": None if averages is None else round(averages[0], 1),
        "memory_used": memory.total - memory.available,
        "memory": memory.total,
        "disk_free": disk.free,
    }
