"""The encoder and the decoder: an embedded text and N layers (Vaswani et al. 2017, section 3.1 and figure 1)."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput, BaseModelOutputWithPastAndCrossAttentions

from tunebench.zoo.transformer import masks
from tunebench.zoo.transformer.config import TransformerConfig
from tunebench.zoo.transformer.embeddings import Positions, ScaledEmbedding
from tunebench.zoo.transformer.layers import DecoderLayer, EncoderLayer


class _Stack(nn.Module):
    """A text, embedded: token + position, some of it dropped in training (3.4, 3.5, 5.4)."""

    main_input_name = "input_ids"

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        self.tokens = ScaledEmbedding(config.vocab_size, config.d_model)
        self.positions = Positions(config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def embed(self, ids: Tensor | None, embedded: Tensor | None, first: int) -> Tensor:
        """Token ids, or tokens embedded already, to states (batch, tokens, d_model), the first at place `first`."""
        if embedded is None:
            assert ids is not None, "a stack takes token ids or embedded tokens"
            embedded = self.tokens(ids)
        return self.dropout(embedded + self.positions(embedded, first))


class Encoder(_Stack):
    """Reads the source: each token may look at all."""

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(EncoderLayer(config, number) for number in range(config.num_layers))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> BaseModelOutput:
        """Token ids (batch, sources), or embedded tokens without positions, to states (batch, sources, d_model).

        `attention_mask` is 1 where a text stands and 0 where it is filled up, which must be on its right.
        """
        mask = masks.padding(attention_mask)
        states = self.embed(input_ids, inputs_embeds, first=0)
        passed, looked = [states], []
        for layer in self.layers:
            states, weights = layer(states, mask)
            passed.append(states)
            looked.append(weights)
        return BaseModelOutput(
            last_hidden_state=states,  # type: ignore[arg-type]
            hidden_states=tuple(passed) if output_hidden_states else None,  # type: ignore[arg-type]
            attentions=tuple(looked) if output_attentions else None,
        )


class Decoder(_Stack):
    """Generates the target: each token attends to those before it, and to the whole source."""

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(DecoderLayer(config, number) for number in range(config.num_layers))

    def forward(
        self,
        encoder_hidden_states: Tensor,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: EncoderDecoderCache | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """Token ids (batch, targets), those after the cached ones, to states (batch, targets, d_model)."""
        before = 0 if past_key_values is None else past_key_values.get_seq_length()
        states = self.embed(input_ids, inputs_embeds, first=before)
        mask = _looking_back(states, before, attention_mask)
        memory_mask = masks.padding(encoder_attention_mask)
        passed, looked, read = [states], [], []
        for layer in self.layers:
            states, weights, cross_weights = layer(states, mask, encoder_hidden_states, memory_mask, past_key_values)
            passed.append(states)
            looked.append(weights)
            read.append(cross_weights)
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=states,  # type: ignore[arg-type]
            past_key_values=past_key_values,
            hidden_states=tuple(passed) if output_hidden_states else None,  # type: ignore[arg-type]
            attentions=tuple(looked) if output_attentions else None,
            cross_attentions=tuple(read) if output_attentions else None,
        )


def _looking_back(states: Tensor, before: int, attention_mask: Tensor | None) -> Tensor | None:
    """The causal mask, without padding; None where one last token may look at all."""
    targets = states.shape[1]
    filled = masks.padding(attention_mask)
    if targets == 1:
        return filled
    causal = masks.causal(targets, before + targets, states.device)
    return causal if filled is None else torch.logical_and(causal, filled)
