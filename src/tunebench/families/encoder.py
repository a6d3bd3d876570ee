"""Encoders of every other type: what they are made of is found by looking at them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebench.families import _poolers
from tunebench.families._by_structure import ByStructure
from tunebench.families._encoder import EncoderFamily
from tunebench.families.base import Split, Stage, base_of, fresh_of

if TYPE_CHECKING:
    from torch import Tensor, nn


class OtherEncoder(ByStructure, EncoderFamily):
    """Layers that see the whole text, found by looking at the model: its `model_type` need not be listed here.

    Stages are the embeddings, with what all layers use (relative positions); the layers, the highest with a norm above
    it; and a pretrained pooler. Where layers share their weights, as in ALBERT, they are one stage, which a technique
    freezes, slows down or adapts as a whole. A cut is proven on texts of the task before it is used.
    """

    name = "encoder"
    title = "Other encoders"

    @property
    def prompt_is_read(self) -> bool:  # type: ignore[override]
        """Unless a pooler in the backbone reads the first token, which must then be the text's."""
        return not self._pools()

    @property
    def prompt_first(self) -> bool:  # type: ignore[override]
        """Where it is read as the beginning of the text."""
        return self.prompt_is_read

    def refuses_prompt(self) -> str | None:
        """Behind the text a prompt has no rotary position; before it, a pooler in the backbone would read it."""
        refused = super().refuses_prompt()
        if refused or self._values is None or not self._pools():
            return refused
        model, _ = self._example
        rotary = any("rotary" in name for name, _ in model.named_modules())
        return (
            f"a prompt behind a text has no rotary position, and the pooler of {self.title} reads what is before it"
            if rotary
            else None
        )

    def fresh(self, folder: Path) -> tuple[str, ...]:
        """The pooler of a model that has one, where the checkpoint has none or one that was never trained."""
        return _poolers.fresh(folder) if self._pools() else ()

    def _pools(self) -> bool:
        """Whether a module of the backbone pools for a head, as BERT's does."""
        if self._values is None:
            return False
        _, stack = self._example
        return any(place.endswith("pooler") for place in stack.above)

    def pooler(self, backbone: Any) -> nn.Module | None:
        """The backbone's module of this name, where it has one."""
        return getattr(backbone, "pooler", None)

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, each layer, the highest with what lies above it, and a pretrained pooler."""
        stack = self.structure(model).stacks[0]
        *lower, top = self._of_layers(model, stack, "layer")
        norms = self._at(model, [place for place in stack.above if not place.endswith("pooler")])
        stages = [Stage("embeddings", tuple(self._at(model, stack.below))), *lower]
        stages.append(Stage(top.name, (*top.modules, *norms)))
        pooler = self.pooler(base_of(model).base_model)
        trained = pooler is not None and "pooler" not in fresh_of(model)
        return self._completed(model, [*stages, Stage("pooler", (pooler,))] if trained and pooler else stages)

    def embedder(self, model: nn.Module) -> nn.Module:
        """The token embeddings, or with a pooler the lowest module that gives embedded texts."""
        base = base_of(model)
        if self.prompt_is_read:
            return base.get_input_embeddings()
        return base.get_submodule(self.structure(model).stacks[0].passing[0])

    def embedded(self, model: nn.Module, ids: Tensor) -> Tensor:
        """What it gives for these tokens, as a text of their own."""
        return self.embedder(model)(ids[None])[0]

    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut above the embeddings, any layer, or the pooler (see `Family.split`)."""
        from tunebench.families.cut import by_place, stand_ins

        base: Any = base_of(model)
        place = self.structure(model).stacks[0]
        root, stack = base.get_submodule(place.root), place.within()
        frozen, count = depth - 1, len(stack.layers)
        if frozen < count:
            trunk = by_place.trunk_until(root, stack.layers[frozen])
            upper = by_place.tail_from(root, stack.layers[frozen], stack.layers[:frozen], stack.passing, stack.tuples)
            return Split(trunk, by_place.replaced(base, {place.root: upper}), one_vector=False)
        pooler = self.pooler(root)
        with_pooler = frozen > count
        lower = by_place.without_dropout(root, stack.listed)

        def whole(**inputs: Tensor) -> Tensor:
            output = lower(**inputs)
            if with_pooler:
                return output.pooler_output[:, None]
            return output.last_hidden_state[:, :1] if pooled else output.last_hidden_state

        if pooler is None or with_pooler:
            return Split(whole, by_place.replaced(base, {place.root: stand_ins.ComputedBackbone()}), pooled)
        upper = by_place.tail_above(root, stack.last, stack.layers, stack.passing, stack.tuples)
        return Split(whole, by_place.replaced(base, {place.root: upper}), pooled)
