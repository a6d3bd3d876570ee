"""Bottleneck adapters: small trained networks inside every frozen layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunebench._util.errors import UserError
from tunebench.families.base import Family
from tunebench.techniques.base import Trained, freeze, train

if TYPE_CHECKING:
    from torch import nn

_PLACES = {"houlsby": ("output", "mlp_out"), "pfeiffer": ("mlp_out",)}


class BottleneckAdapter(Trained):
    """h + up(f(down(h))) after a sub-layer's output projection; `up` is zero at the start, so the adapter is identity.

    Houlsby et al. 2019, section 2.1: one after attention (in a decoder also after cross-attention) and one after the
    feed-forward network of each layer; Pfeiffer et al. 2021, section 3: the latter only. The head trains.
    Parameters per adapter, where bottleneck = hidden / reduction: 2 x hidden x bottleneck + bottleneck + hidden.
    """

    name = "bottleneck_adapter"
    title = "Bottleneck adapter"
    paper = "Houlsby et al. 2019, Parameter-Efficient Transfer Learning for NLP, https://arxiv.org/abs/1902.00751"

    placement: Literal["houlsby", "pfeiffer"] = Field("pfeiffer", description="after each sub-layer, or one per layer")
    reduction: int = Field(16, ge=1, description="hidden size / bottleneck; Pfeiffer et al. 2020: 16")
    activation: Literal["relu", "gelu", "tanh"] = Field("relu", description="f; Pfeiffer et al. 2020: relu")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="within Houlsby et al. 2019, 3.1: 3e-5 to 3e-3")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The same model with adapters behind its projections."""
        config: Any = model.config
        if self.reduction > config.hidden_size:
            raise UserError(
                f"bottleneck_adapter.reduction: {self.reduction} leaves none of {config.hidden_size} dimensions. "
                f"Give at most {config.hidden_size}."
            )
        freeze(model)
        train(family.head(model))
        paths = family.projections(model)
        for layer in family.layers(model):
            inside = {path for path, _ in layer.named_modules()}
            for path in (path for role in _PLACES[self.placement] for path in paths[role] if path in inside):
                parent, _, name = path.rpartition(".")
                owner = layer.get_submodule(parent)
                inner: Any = getattr(owner, name)
                setattr(owner, name, _behind(inner, config.hidden_size, self.reduction, self.activation))
        return model

    def merged(self, model: nn.Module) -> nn.Module:
        """It cannot be."""
        raise UserError(
            "export: a bottleneck adapter is not linear, so it cannot be merged into the weights of an ordinary "
            "transformers model. 'tunebench predict' answers with the run itself."
        )


def _behind(inner: nn.Module, hidden: int, reduction: int, activation: str) -> nn.Module:
    from torch import nn

    functions = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
    bottleneck = hidden // reduction

    class Adapted(nn.Module):
        """A frozen projection and the adapter behind it."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            weight: Any = inner.weight
            with weight.device:
                self.down, self.up = nn.Linear(hidden, bottleneck), nn.Linear(bottleneck, hidden)
            self.function = functions[activation]()
            nn.init.normal_(self.down.weight, std=0.01)  # Houlsby et al. 2019, 3.6: below 0.01 all do well
            for zero in (self.down.bias, self.up.weight, self.up.bias):
                nn.init.zeros_(zero)

        @property
        def weight(self) -> Any:
            """The frozen projection's, whose number format T5 asks for."""
            return self.inner.weight

        def forward(self, states: Any) -> Any:
            """States (batch, tokens, hidden) of the layer."""
            out = self.inner(states)
            return out + self.up(self.function(self.down(out)))

    return Adapted()
