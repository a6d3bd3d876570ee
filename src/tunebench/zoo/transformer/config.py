"""The size of a Transformer; the defaults are the base model's (Vaswani et al. 2017, table 3)."""

from typing import ClassVar

from transformers import PreTrainedConfig


class TransformerConfig(PreTrainedConfig):
    """What `config.json` says.

    Attributes:
        vocab_size: of source and target, which share their tokens (5.1: about 37,000 byte pairs).
        d_model: width of every layer's output.
        d_ff: width inside the feed-forward networks.
        num_layers: of the encoder, and again of the decoder.
        num_heads: of every attention; each is d_model / num_heads wide.
        dropout: share of each sub-layer's output, and of the embedded text, that is dropped in training (5.4).
        label_smoothing: of the training loss (5.4).
    """

    model_type = "transformer"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["past_key_values"]
    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "num_attention_heads": "num_heads",
        "num_hidden_layers": "num_layers",
    }

    vocab_size: int = 37_000
    d_model: int = 512
    d_ff: int = 2048
    num_layers: int = 6
    num_heads: int = 8
    dropout: float = 0.1
    label_smoothing: float = 0.1
    is_encoder_decoder: bool = True
    tie_word_embeddings: bool = True
    use_cache: bool = True
    pad_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 1
    decoder_start_token_id: int | None = 0
