"""What a computation would keep in memory at its worst moment, on tensors that have shapes and no bytes."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operations make, until they are freed.

    What a computation asks of its data is answered with no and 0: a mask is then not all ones, as with padding.

    Args:
        existing: tensors whose storages do not count.

    Attributes:
        peak: the highest number of live bytes since `restart`.
    """

    def __init__(self, existing: Iterable[Tensor]):
        super().__init__()
        self._known = {_key(tensor) for tensor in existing}
        self._now = self.peak = 0

    def restart(self) -> None:
        """Begin a new peak."""
        self.peak = self._now

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operation's outputs, whose new storages are counted."""
        if func is torch.ops.aten._local_scalar_dense.default:
            return False if args[0].dtype == torch.bool else 0
        outputs = func(*args, **(kwargs or {}))
        for output in tree_leaves(outputs):
            if isinstance(output, Tensor) and _key(output) not in self._known:
                self._count(output)
        return outputs

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        size = storage.nbytes()
        self._known.add(_key(tensor))
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._free, _key(tensor), size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
