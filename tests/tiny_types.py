"""A tiny configuration of every text `model_type` of transformers."""

from pathlib import Path
from typing import Any

from tests.tiny import make_decoder_tokenizer, make_seq2seq_tokenizer, make_tokenizer
from tunebench.families.structure.types import shape_of

HIDDEN, LAYERS, HEADS, POSITIONS = 32, 2, 2, 64

_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "dim_model", "word_embed_proj_dim"), HIDDEN),
    **dict.fromkeys(
        ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers",
         "num_encoder_layers", "num_decoder_layers"), LAYERS),
    **dict.fromkeys(
        ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads",
         "num_key_value_heads", "num_kv_heads", "num_encoder_attention_heads", "num_decoder_attention_heads"), HEADS),
    **dict.fromkeys(
        ("intermediate_size", "ffn_dim", "d_ff", "n_inner", "d_inner", "hidden_dim", "encoder_ffn_dim",
         "decoder_ffn_dim", "dff", "moe_intermediate_size", "shared_expert_intermediate_size", "ffn_hidden_size"),
        2 * HIDDEN),
    **dict.fromkeys(
        ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_source_positions",
         "max_target_positions", "max_seq_length"), POSITIONS),
    **dict.fromkeys(("head_dim", "d_kv", "d_head", "attention_head_dim"), HIDDEN // HEADS),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "num_experts_per_token"), 2),
    "embedding_size": HIDDEN // 2,
    "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 16,
    "qk_head_dim": 16, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "rotary_dim": 8,
    "attention_window": 4, "local_attention": 4, "sliding_window": 8,
    "mamba_n_heads": 4, "mamba_n_groups": 1, "num_group": 1,
    "type_vocab_size": 2, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
}  # fmt: skip
"""Field of a configuration -> its tiny value, where the configuration has the field."""

_OF_TYPE: dict[str, dict[str, Any]] = {
    "opt": {"word_embed_proj_dim": HIDDEN // 2},
    "gemma3_text": {"head_dim": 2 * HIDDEN, "query_pre_attn_scalar": 2 * HIDDEN},
    "deberta-v2": {
        "relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "max_relative_positions": -1,
        "type_vocab_size": 0, "conv_kernel_size": 3,
    },
    **{kind: {"head_dim": 8} for kind in ("axk1", "axk2", "deepseek_v3", "longcat_flash", "youtu", "mistral4")},
    "codegen": {"n_head": 4, "rotary_dim": 4},
    "dbrx": {
        "attn_config": {"rope_theta": 10000.0, "kv_n_heads": 2, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 2 * HIDDEN, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2},
    **{
        kind: {"head_dim": HIDDEN // HEADS}
        for kind in ("hunyuan_v1_dense", "hunyuan_v1_moe", "ministral", "nemotron")
    },
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 8]},
    "squeezebert": {"embedding_size": HIDDEN},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], LAYERS // 2]], "window_size": 4},
}  # fmt: skip
"""What else a type needs to be small, or to show its quirks."""


def tiny_values(model_type: str, tokens: int, **changes: Any) -> dict[str, Any]:
    """The content of a `config.json` of a tiny model of this type, with `tokens` words."""
    from transformers import AutoConfig

    if model_type == "encoder-decoder":
        part = tiny_values("bert", tokens)
        decoder = {**part, "is_decoder": True, "add_cross_attention": True}
        ends = {"decoder_start_token_id": 2, "pad_token_id": 0, "eos_token_id": 3}
        return {"model_type": model_type, "encoder": part, "decoder": decoder, **ends, **changes}
    if model_type == "t5gemma":
        part = {**_sizes(AutoConfig.for_model(model_type).decoder), "vocab_size": tokens}
        ends = {"pad_token_id": 0, "eos_token_id": 3, "bos_token_id": 2}
        return {
            "model_type": model_type,
            "encoder": part,
            "decoder": dict(part),
            "vocab_size": tokens,
            **ends,
            **changes,
        }
    values = _sizes(AutoConfig.for_model(model_type))
    return {"model_type": model_type, **values, "vocab_size": tokens, **_OF_TYPE.get(model_type, {}), **changes}


def _sizes(config: Any) -> dict[str, Any]:
    """The tiny sizes of the fields that a configuration has; lists by layer as short as the layers."""
    known = config.to_dict()
    tokens = ("pad_token_id", "bos_token_id", "eos_token_id")
    values = {name: value for name, value in _SIZES.items() if known.get(name) is not None or name in tokens}
    layers = getattr(config, "num_hidden_layers", None)
    for name, value in known.items():
        if isinstance(value, list) and layers and len(value) == layers and name not in values:
            values[name] = _both_kinds(value)
    return values


def _both_kinds(by_layer: list[Any]) -> list[Any]:
    """As many entries as there are layers, of different kinds where the list has several."""
    kinds = list(dict.fromkeys(map(str, by_layer)))
    firsts = [next(value for value in by_layer if str(value) == kind) for kind in kinds]
    return (firsts * LAYERS)[:LAYERS]


def make_checkpoint(folder: Path, model_type: str, seed: int = 0, **changes: Any) -> Path:
    """A folder as `save_pretrained` makes it, of a tiny model with random weights of any text type.

    Args:
        folder: made if it is not there.
        model_type: of transformers.
        seed: of the weights.
        changes: fields of the configuration.
    """
    import torch
    import transformers

    shape = shape_of(model_type)
    tokenizer = _TOKENIZERS[shape]() if shape else make_tokenizer()
    special = {"pad_token_id": tokenizer.pad_token_id or 0, "eos_token_id": tokenizer.eos_token_id}
    start = special["eos_token_id"] if model_type in ("bart", "mbart") else special["pad_token_id"]
    ends = {name: number for name, number in special.items() if number is not None}
    if shape == "encoder-decoder":
        ends["decoder_start_token_id"] = start
    values = tiny_values(model_type, len(tokenizer), **ends, **changes)
    auto = getattr(transformers, _AUTO[shape] if shape else "AutoModel")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto.from_config(transformers.AutoConfig.for_model(**values))
        for name, parameter in model.named_parameters():  # larger than 0.02: else it says the same of all texts
            if parameter.ndim >= 2:
                torch.nn.init.normal_(parameter, std=0.2 if "emb" in name else 0.15)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


_TOKENIZERS: dict[Any, Any] = {
    "encoder": lambda: make_tokenizer(token_types=False),
    "decoder": make_decoder_tokenizer,
    "encoder-decoder": make_seq2seq_tokenizer,
}
_AUTO: dict[Any, str] = {
    "encoder": "AutoModel",
    "decoder": "AutoModelForCausalLM",
    "encoder-decoder": "AutoModelForSeq2SeqLM",
}
