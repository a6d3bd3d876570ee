"""Bottleneck adapters: small trained networks inside every frozen layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from tunebench._util.errors import UserError
from tunebench._util.ranges import Worth
from tunebench._util.words import plural
from tunebench.families.base import Family
from tunebench.techniques.base import Trained, freeze, train

if TYPE_CHECKING:
    from torch import Tensor, nn


class BottleneckAdapter(Trained):
    """h + up(f(down(x))) inside every layer; `up` is zero at the start, so the model begins as it was.

    `houlsby` (Houlsby et al. 2019, section 2.1 and the authors' code): x = h is the output of a sub-layer, before the
    addition; one adapter after attention (in a decoder also after cross-attention) and one after the feed-forward
    network; the norms of the whole model train, too. `pfeiffer` (Pfeiffer et al. 2020, MAD-X, section 3.1; `seq_bn` of
    AdapterHub): one adapter a layer; h is the output of the feed-forward network, x that of the addition and norm that
    follow, and the same addition and norm follow once more. The head trains.
    Parameters per adapter, where bottleneck = hidden / reduction: 2 x hidden x bottleneck + bottleneck + hidden.
    """

    name = "bottleneck_adapter"
    title = "Bottleneck adapter"
    paper = "Houlsby et al. 2019, Parameter-Efficient Transfer Learning for NLP, https://arxiv.org/abs/1902.00751"
    version: ClassVar[int] = 2  # 1: frozen norms; pfeiffer read the network's output before the addition

    placement: Literal["houlsby", "pfeiffer"] = Field("pfeiffer", description="after each sub-layer, or one per layer")
    reduction: Annotated[int, Worth("Pfeiffer et al. 2020: 2, 16, 64", choices=(2, 16, 64))] = Field(
        16, ge=1, description="hidden size / bottleneck; Pfeiffer et al. 2020: 16"
    )
    activation: Literal["relu", "gelu", "tanh"] = Field("relu", description="f; Pfeiffer et al. 2020: relu")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="within Houlsby et al. 2019, 3.1: 3e-5 to 3e-3")

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """The sub-layers end in linear modules, where an adapter follows each of them."""
        return family.lacks(("output", "mlp_out")) if self.placement == "houlsby" else None

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The same model with adapters in its layers."""
        width = family.width(model)
        if self.reduction > width:
            raise UserError(
                f"bottleneck_adapter.reduction: {self.reduction} leaves none of {plural(width, 'dimension')}. "
                f"Give at most {width}."
            )
        freeze(model)
        train(family.head(model))
        if self.placement == "houlsby":
            train(_norms(model))
            self._after_projections(model, family)
        else:
            for layer in family.layers(model):
                self._attach(family.end_of_feed_forward(layer), next(layer.parameters()), width)
        return model

    def _after_projections(self, model: Any, family: Family) -> None:
        paths = family.projections(model)
        for layer in family.layers(model):
            inside = {path for path, _ in layer.named_modules()}
            for path in (path for role in ("output", "mlp_out") for path in paths[role] if path in inside):
                projection: Any = layer.get_submodule(path)
                self._attach(projection, projection.weight, family.width(model))

    def _attach(self, module: Any, like: Tensor, hidden: int) -> None:
        """Let an adapter change a module's output; it lies on the device of `like`."""
        with like.device:
            module.adapter = _adapter(hidden, hidden // self.reduction, self.activation)
        module.register_forward_hook(_normed_again if _is_norm(module) else _added)

    def merged(self, model: nn.Module) -> nn.Module:
        """It cannot be."""
        raise UserError(
            "export: a bottleneck adapter is not linear, so it cannot be merged into the weights of an ordinary "
            "transformers model. 'tunebench predict' answers with the run itself."
        )


def _is_norm(module: nn.Module) -> bool:
    return type(module).__name__.endswith("Norm")


def _norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if _is_norm(module)]


def _added(module: Any, args: tuple, output: Any) -> Any:
    """The output, and the adapter's answer to it: h of a projection, h + residual of a layer that normalises first."""
    if isinstance(output, tuple):
        return (output[0] + module.adapter(output[0]), *output[1:])
    return output + module.adapter(output)


def _normed_again(module: Any, args: tuple, output: Tensor) -> Tensor:
    """The norm of h + up(f(down(x))) + residual, where the norm has read h + residual and given x."""
    return module.forward(args[0] + module.adapter(output))


def _adapter(hidden: int, bottleneck: int, activation: str) -> nn.Module:
    from torch import nn

    functions = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}

    class Adapter(nn.Module):
        """up(f(down(x))), (batch, tokens, hidden)."""

        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Linear(hidden, bottleneck), nn.Linear(bottleneck, hidden)
            self.function = functions[activation]()
            nn.init.normal_(self.down.weight, std=0.01)  # Houlsby et al. 2019, 3.6: below 0.01 all do well
            for zero in (self.down.bias, self.up.weight, self.up.bias):
                nn.init.zeros_(zero)

        def forward(self, states: Any) -> Any:
            """States of the layer."""
            return self.up(self.function(self.down(states)))

    return Adapter()
