"""Encoder, decoder and the output before the softmax, as a model of the transformers library."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache, GenerationMixin, PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from tunebench.zoo.transformer.config import TransformerConfig
from tunebench.zoo.transformer.embeddings import ScaledEmbedding
from tunebench.zoo.transformer.smoothing import IGNORED, smoothed_cross_entropy
from tunebench.zoo.transformer.stacks import Decoder, Encoder


class Transformer(PreTrainedModel, GenerationMixin):
    """p(y_t | y_1 ... y_t-1, x) = softmax(Decoder(y_1 ... y_t-1, Encoder(x)) E^T), E the shared embeddings (3.1, 3.4).

    With V tokens, width d, inner width f and N layers a stack it has
    V d + N (4 d^2 + 2 d f + f + 5 d) + N (8 d^2 + 2 d f + f + 7 d) parameters: the matrices of one attention and of
    two, the feed-forward networks with their biases, and the norms.
    """

    config_class = TransformerConfig
    base_model_prefix = "transformer"  # no attribute has this name: the whole model is the backbone
    main_input_name = "input_ids"
    _supports_sdpa = True
    _tied_weights_keys = {
        "decoder.tokens.weight": "encoder.tokens.weight",
        "lm_head.weight": "encoder.tokens.weight",
    }

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """The paper names no initial values: Glorot and Bengio's for matrices, and 1 / d_model for embeddings."""
        if isinstance(module, ScaledEmbedding):
            initialization.normal_(module.weight, std=module.embedding_dim**-0.5)
        elif isinstance(module, nn.Linear):
            initialization.xavier_uniform_(module.weight)
            if module.bias is not None:
                initialization.zeros_(module.bias)
        else:
            super()._init_weights(module)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: Any = None,
        past_key_values: EncoderDecoderCache | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> Seq2SeqLMOutput:
        """A source and the target so far to logits (batch, targets, V) of each next token; padding is on the right.

        The loss of `labels` is smoothed in training; in evaluation it is the plain negative log-likelihood. They are
        the decoder's input, too, one place to the right, unless that is given.
        """
        wanted = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, **wanted
            )
        elif isinstance(encoder_outputs, tuple):
            encoder_outputs = BaseModelOutput(*encoder_outputs)
        if labels is not None and decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        caches = self.config.use_cache if use_cache is None else use_cache
        if caches and past_key_values is None and labels is None:
            past_key_values = EncoderDecoderCache(DynamicCache(), DynamicCache())
        decoded = self.decoder(
            encoder_hidden_states=encoder_outputs.last_hidden_state,
            input_ids=decoder_input_ids,
            attention_mask=decoder_attention_mask,
            encoder_attention_mask=attention_mask,
            inputs_embeds=decoder_inputs_embeds,
            past_key_values=past_key_values,
            **wanted,
        )
        logits = self.lm_head(decoded.last_hidden_state)
        loss = None
        if labels is not None:
            loss = smoothed_cross_entropy(logits, labels, self.config.label_smoothing if self.training else 0.0)
        return Seq2SeqLMOutput(
            loss=loss,  # type: ignore[arg-type]
            logits=logits,
            past_key_values=decoded.past_key_values,
            decoder_hidden_states=decoded.hidden_states,
            decoder_attentions=decoded.attentions,
            cross_attentions=decoded.cross_attentions,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
            encoder_hidden_states=encoder_outputs.hidden_states,
            encoder_attentions=encoder_outputs.attentions,
        )

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """The target one place to the right: "the predictions for position i depend on those less than i" (3.1)."""
        start = labels.new_full((len(labels), 1), int(self.config.decoder_start_token_id))
        shifted = torch.cat([start, labels[:, :-1]], dim=1)
        return shifted.masked_fill(shifted == IGNORED, int(self.config.pad_token_id))

    def get_input_embeddings(self) -> nn.Module:
        """The shared embeddings."""
        return self.encoder.tokens

    def set_input_embeddings(self, value: Any) -> None:
        """Replace them in both stacks."""
        self.encoder.tokens = self.decoder.tokens = value

    def get_output_embeddings(self) -> nn.Linear:
        """The output before the softmax."""
        return self.lm_head
