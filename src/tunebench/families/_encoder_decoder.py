"""What families of an encoder and a decoder share: one reads the source, the other writes the answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunebench.families.base import Family, base_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class EncoderDecoderFamily(Family):
    """Two stacks over shared embeddings, and no new head. A cut is within or above the encoder."""

    architecture = "encoder-decoder"
    auto_classes: Mapping[str, str] = {"text_to_text": "AutoModelForSeq2SeqLM"}
    fresh_heads = ()

    def positions(self, values: Mapping[str, Any]) -> int:
        """Relative positions and sinusoids know no end; the tokenizer's limit and the task's stand."""
        return 1 << 20

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """Training keeps no cache of keys and values."""
        for part in (model, *self.halves(model)):
            part.config.use_cache = False
        return model

    def head(self, model: nn.Module) -> list[nn.Module]:
        """Nothing: the pretrained language-modelling head answers."""
        return []

    def halves(self, model: nn.Module) -> tuple[Any, Any]:
        """Encoder and decoder."""
        base: Any = base_of(model)
        return base.encoder, base.decoder

    @abstractmethod
    def stacks(self, model: nn.Module) -> list[Sequence[nn.Module]]:
        """The encoder's layers and the decoder's."""

    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """The encoder's layers, then the decoder's."""
        encoder, decoder = self.stacks(model)
        return [*encoder, *decoder]

    def frozen_depth(self, model: nn.Module) -> int:
        """As `Family.frozen_depth`, at most up to the encoder's outputs."""
        return min(super().frozen_depth(model), 1 + len(self.stacks(model)[0]))

    @abstractmethod
    def entrances(self, model: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
        """Encoder and decoder, each with its attentions: a generation calls them one by one."""

    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """The encoder's self-attentions, then each decoder layer's self-attention and cross-attention."""
        return [attention for _, behind in self.entrances(model) for attention in behind]

    def keys_and_values(self, model: nn.Module, ids: Tensor) -> Tensor:
        """Of a text that the encoder reads and the decoder writes (see `Family.keys_and_values`)."""
        from tunebench.families.attention import prefix

        return prefix.keys_and_values(base_of(model), self.attentions(model), ids, decoder_input_ids=ids[None])

    def embedded(self, model: nn.Module, ids: Tensor) -> Tensor:
        """The embedder's rows."""
        return self.embedder(model)(ids)
