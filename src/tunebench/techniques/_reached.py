"""What PEFT adds must take part in the model's answer: shown without weights by one pass forwards and backwards."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tunebench.families.base import base_of
from tunebench.techniques import _idle

if TYPE_CHECKING:
    from torch import Tensor, nn

_TOKENS = 4
_FAILURES = (*_idle.REFUSALS, NotImplementedError)


def unreached(tuned: Any, plain: Any) -> str | None:
    """The first module whose added parameters never train, as the model's answer does not depend on them, or None.

    Of modules that are shared under several names PEFT replaces only one, and the model calls the others.

    Args:
        tuned: PEFT's model, on the meta device.
        plain: the model before, which shows whether a pass can be made without weights at all.

    Raises:
        TypeError, ValueError, ...: the tuned model cannot answer (`_idle.REFUSALS`).
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    try:
        _answer(copy.deepcopy(plain))
    except _FAILURES:
        return None
    tried = copy.deepcopy(tuned)
    try:
        answer = _answer(tried)
        if answer.requires_grad:
            answer.backward()
    except RuntimeError as error:
        if "meta" in str(error):  # a method that looks at values
            return None
        raise
    for name, module in tried.named_modules():
        idle = (p for p in module.parameters() if p.requires_grad and p.grad is None)
        if isinstance(module, BaseTunerLayer) and any(True for _ in idle):
            return name.removeprefix("base_model.model.")
    return None


def _answer(model: nn.Module) -> Tensor:
    """The sum of the logits for one text, without a mask, whose values would be looked at."""
    import torch

    base: Any = base_of(model)
    ids = torch.zeros(1, _TOKENS, dtype=torch.long, device="meta")
    written = {"decoder_input_ids": ids} if base.config.is_encoder_decoder else {}
    return model.eval()(input_ids=ids, **written).logits.sum()
