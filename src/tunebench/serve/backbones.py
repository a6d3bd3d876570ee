"""Backbones in memory: runs that stand on the same one share its tensors, its tokenizer and its frozen trunk."""

import zlib
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from tunebench.families.base import Family
from tunebench.serve.trunk import SharedTrunk

_Key = tuple[torch.dtype, torch.Size, int]


class Backbones:
    """What finished runs have in common; it lives as long as a run that uses it.

    Args:
        device: where all of them compute.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self._tensors: WeakValueDictionary[_Key, nn.Parameter] = WeakValueDictionary()
        self._tokenizers: dict[tuple[str, Path, str], Any] = {}
        self._trunks: WeakValueDictionary[tuple[str, str], SharedTrunk] = WeakValueDictionary()

    def tokenizer(self, family: Family, folder: Path, fingerprint: str) -> Any:
        """The tokenizer of a checkpoint's files, read once."""
        key = family.name, folder, fingerprint
        if key not in self._tokenizers:
            self._tokenizers[key] = family.tokenizer(folder)
        return self._tokenizers[key]

    def placed(self, model: Any) -> Any:
        """The model on the device, each frozen parameter replaced by an equal one of another model, where one has it.

        Bit for bit equal, whatever it is called: the answers stay the same.
        """
        model.to(self.device)
        for module in model.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None and not parameter.requires_grad:
                    module._parameters[name] = self._kept(parameter)
        return model

    def _kept(self, parameter: nn.Parameter) -> nn.Parameter:
        key = parameter.dtype, parameter.shape, _checksum(parameter.detach())
        known = self._tensors.setdefault(key, parameter)
        return known if known is parameter or torch.equal(known, parameter) else parameter

    def trunk(self, family: Family, folder: Path, fingerprint: str) -> SharedTrunk:
        """The trunk of a checkpoint, without any technique in it."""
        key = family.name, fingerprint
        trunk = self._trunks.get(key)
        if trunk is None:
            known = family.auto_classes
            # under a head of tags no token's state is moved to another's place
            objective = "token_classification" if "token_classification" in known else next(iter(known))
            model: Any = family.load(folder, objective, {}).eval()
            model.requires_grad_(False)
            trunk = self._trunks[key] = SharedTrunk(family, self.placed(model))
        return trunk


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.cpu().contiguous().view(torch.uint8).numpy().data) if tensor.numel() else 0
