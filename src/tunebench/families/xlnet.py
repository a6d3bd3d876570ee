"""XLNet (Yang et al. 2019): its tables of transformers list it among decoders, and it reads a text as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunebench.families._decoder import pool_last
from tunebench.families.base import Pooling
from tunebench.families.encoder import OtherEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Xlnet(OtherEncoder):
    """An encoder whose text heads read the last token, where pretraining put the sign that stands for a text.

    Texts are padded on the right here, so the last real token is read. Query, key and value are no linear modules, and
    states lie in another order than in other models, so that no model is cut within its layers.
    """

    name = "xlnet"
    title = "XLNet"
    model_types = ("xlnet",)

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """The last real token stands for a text."""
        model.config.use_mems_eval = model.config.use_mems_train = False
        if self.poolings(objective, {}):
            pool_last(model)
        return super().prepared(model, objective)

    def poolings(self, objective: str, values: Mapping[str, Any]) -> tuple[Pooling, ...]:
        """A classifier of texts reads the last token."""
        return ("last",) if self.auto_classes[objective] == "AutoModelForSequenceClassification" else ()

    def pool(self, model: Any, pooling: Pooling) -> None:
        """There is one way."""
        model.pooling = pooling
