"""ModernBERT (Warner et al. 2024): rotary positions, local and global attention in turn, a norm above the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families._encoder import EncoderFamily
from tunebench.families.base import Stage, base_of

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class ModernBert(EncoderFamily):
    """Embeddings, N layers, and a final norm, which belongs to the highest layer's stage.

    One module computes query, key and value. The head's own first layer pools the first token, or the mean of all.
    The layers take no keys and values from outside, so the top layer cannot be computed for one token only.
    """

    name = "modernbert"
    title = "ModernBERT"
    model_types = ("modernbert",)
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "answerdotai/ModernBERT-base": {"model_type": "modernbert", "vocab_size": 50368}
    }
    roles: ClassVar[Mapping[str, str]] = {
        "query": "attn.Wqkv",
        "key": "attn.Wqkv",
        "value": "attn.Wqkv",
        "output": "attn.Wo",
        "mlp_in": "mlp.Wi",
        "mlp_out": "mlp.Wo",
    }

    prompt_first = True

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """Positions are counted on the states, which virtual tokens make longer than the text."""
        model.base_model.rotary_emb.register_forward_pre_hook(_positions_of_states)
        return super().prepared(model, objective)

    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """The encoder's layers."""
        backbone: Any = base_of(model).base_model
        return list(backbone.layers)

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings and each layer, the highest with the final norm."""
        backbone: Any = base_of(model).base_model
        *stages, top = super().stages(model)
        return [*stages, Stage(top.name, (*top.modules, backbone.final_norm))]

    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """Each layer's self-attention."""
        layers: Any = self.layers(model)
        return [layer.attn for layer in layers]

    def _with_layers(self, backbone: Any, layers: Sequence[nn.Module]) -> Any:
        """The backbone with these layers only, and its norm only above the highest."""
        from torch.nn import Identity, ModuleList

        from tunebench.families.cut import stand_ins

        is_top = bool(layers) and layers[-1] is backbone.layers[-1]
        norm = backbone.final_norm if is_top else Identity()
        return stand_ins.shallow(backbone, layers=ModuleList(layers), final_norm=norm)


def _positions_of_states(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    import torch

    states, positions, *rest = args
    return (states, torch.arange(states.shape[1], device=positions.device)[None], *rest)
