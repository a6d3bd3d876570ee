"""Prompt tuning: trained vectors at the input, everything else frozen but the head."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tunebench.families.base import AttentionKind, Family, base_of
from tunebench.techniques import _prefix
from tunebench.techniques.base import Virtual, freeze, train

if TYPE_CHECKING:
    from torch import Tensor, nn


class PromptTuning(_prefix.PrefixTechnique):
    """Soft tokens join the embedded text, and their outputs are removed, so labels and pooled token keep their places.

    Lester et al. 2021, sections 2 and 3.2. In a decoder they precede the text. In an encoder they follow it, so that
    the text keeps its positions; they have none themselves. Where positions are relative they precede it, because
    padding, which ends a text, must not come between. In an encoder-decoder they precede the source, and the
    decoder attends to the encoder's states of them, as in the paper. Parameters: tokens x hidden, and the head.
    """

    name = "prompt_tuning"
    title = "Prompt tuning"
    paper = (
        "Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning, https://arxiv.org/abs/2104.08691"
    )

    prefix_length: int = Field(20, ge=1, description="soft tokens; Lester et al. 2021, 3.2: more than 20 gain little")
    initial: Literal["random", "vocabulary", "text"] = Field(
        "vocabulary",
        description="random: uniform in [-0.5, 0.5]; vocabulary: drawn tokens; text: those of initial_text",
    )
    initial_text: str | None = Field(None, min_length=1, description="repeated or truncated to the prompt's length")
    learning_rate: float = Field(
        0.02,
        gt=0,
        le=1,
        description="Lester et al. 2021: 0.3, for Adafactor; pocket-gpt2 on validation: 0.02: 0.387, 0.1: 0.297",
    )

    @model_validator(mode="after")
    def _text_where_asked(self) -> PromptTuning:
        if (self.initial == "text") != (self.initial_text is not None):
            raise ValueError("initial: text and initial_text go together. Give both or neither.")
        return self

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The same model with soft tokens at its input."""
        from torch import nn

        base, embedder = base_of(model), family.embedder(model)
        entrances: list[Any] = [entrance for entrance, _ in family.entrances(model)]
        backbone: Any = base.base_model if len(entrances) > 1 else entrances[0]
        freeze(model)
        train(family.head(model))
        backbone.prompt = nn.Parameter(self._initial(base, family))
        if family.reads_left_to_right:
            backbone.register_forward_pre_hook(functools.partial(_prepend, embedder=embedder), with_kwargs=True)
            backbone.register_forward_hook(_drop_first, with_kwargs=True)
        elif family.prompt_is_read:
            reads = functools.partial(_read_first, backbone=backbone, embedder=embedder)
            entrances[0].register_forward_pre_hook(reads, with_kwargs=True)
            if len(entrances) == 1:
                backbone.register_forward_hook(_drop_front, prepend=True)
            else:
                entrances[1].register_forward_pre_hook(_widen_cross_attention, with_kwargs=True)
        elif len(entrances) > 1:
            encoder, decoder = entrances
            embedder.register_forward_hook(functools.partial(_put_in_front, backbone=backbone))
            encoder.register_forward_pre_hook(functools.partial(_widen_encoder, backbone=backbone), with_kwargs=True)
            decoder.register_forward_pre_hook(_widen_cross_attention, with_kwargs=True)
        else:
            place, widen, drop = (
                (_put_in_front, _widen_front, _drop_front) if family.prompt_first else (_append, _widen, _drop_last)
            )
            embedder.register_forward_hook(functools.partial(place, backbone=backbone))
            backbone.register_forward_pre_hook(widen, with_kwargs=True)
            backbone.register_forward_hook(drop, prepend=True)  # before a mean over tokens is taken
        return model

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """Soft tokens join an embedded text."""
        return family.refuses_prompt()

    def positions_taken(self, family: Family) -> int:
        """Where the text begins after the prompt."""
        return self.prefix_length if family.reads_left_to_right or family.prompt_is_read else 0

    def virtual_tokens(self, model: nn.Module, family: Family, kind: AttentionKind) -> Virtual | None:
        """Tokens of the text that is read, or in cross-attention of what the decoder sees of it."""
        both = len(family.stacks(model)) > 1
        if both and kind == "masked":
            return None
        before = both or family.reads_left_to_right or family.prompt_first
        return Virtual("prompt", self.prefix_length, before=before, query=kind != "cross")

    def save_adapter(self, model: nn.Module, family: Family, folder: Path) -> bool:
        """PEFT's folder of a prompt, for decoders; PEFT fails on tagging, whose labels it does not shift."""
        from peft import PromptTuningConfig

        from tunebench.techniques import _virtual_tokens

        if not family.reads_left_to_right:
            return False
        base = base_of(model)
        kind = _virtual_tokens.task_type(base)
        if kind == "TOKEN_CLS":
            return False
        entrance: Any = family.entrances(model)[0][0]
        prompt = entrance.prompt
        config = PromptTuningConfig(
            task_type=kind,  # type: ignore[arg-type]
            num_virtual_tokens=self.prefix_length,
            token_dim=prompt.shape[1],
            num_transformer_submodules=1,
            num_attention_heads=base.config.num_attention_heads,
            num_layers=base.config.num_hidden_layers,
            inference_mode=True,
            base_model_name_or_path=base.name_or_path,
        )
        _virtual_tokens.save_prompt(base, family, config, prompt.detach(), folder)
        return True

    def _initial(self, base: Any, family: Family) -> Tensor:
        import torch

        from tunebench.techniques import _virtual_tokens

        embeddings = base.get_input_embeddings().weight
        if embeddings.is_meta or self.initial == "random":
            shape = (self.prefix_length, family.prompt_width(base))
            return torch.empty(shape, device=embeddings.device).uniform_(-0.5, 0.5)
        if self.initial == "vocabulary":
            ids = _virtual_tokens.drawn_tokens(base, self.prefix_length)
        else:
            tokenizer = family.tokenizer(Path(base.name_or_path))
            given = tokenizer(self.initial_text, add_special_tokens=False)["input_ids"]
            ids = torch.tensor([given[index % len(given)] for index in range(self.prefix_length)])
        with torch.no_grad():
            return family.embedded(base, ids).detach().clone().float()


def _prepend(module: Any, args: tuple, kwargs: dict[str, Any], *, embedder: Any) -> tuple[tuple, dict[str, Any]]:
    """A decoder's inputs with the prompt in front; later steps of a generation have it in their cache."""
    import torch

    from tunebench.techniques import _virtual_tokens

    prompt, mask, cache = module.prompt, kwargs.get("attention_mask"), kwargs.get("past_key_values")
    numbered = _virtual_tokens.takes_positions(module)
    if numbered:
        kwargs = {**kwargs, "position_ids": _virtual_tokens.shifted(args, kwargs, len(prompt))}
    if mask is not None:
        kwargs["attention_mask"] = torch.cat([mask.new_ones(len(mask), len(prompt)), mask], dim=1)
    if cache is not None and cache.get_seq_length() > 0:
        return args, kwargs
    ids = args[0] if args else kwargs.get("input_ids")
    text = kwargs["inputs_embeds"] if ids is None else embedder(ids)
    kwargs = {**kwargs, "input_ids": None}
    kwargs["inputs_embeds"] = torch.cat([prompt.to(text.dtype).expand(len(text), -1, -1), text], dim=1)
    if numbered:
        positions = kwargs["position_ids"]
        before = torch.arange(len(prompt), device=text.device).expand(len(positions), -1)
        kwargs["position_ids"] = torch.cat([before, positions], dim=1)
    return (), kwargs


def _drop_first(module: Any, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
    if not args and kwargs.get("input_ids") is None:  # only a text with the prompt in front is embedded
        output.last_hidden_state = output.last_hidden_state[:, len(module.prompt) :].contiguous()
    return output  # contiguous: the language-modelling head multiplies a bf16 slice 12 times as slowly on a CPU


def _read_first(
    module: Any, args: tuple, kwargs: dict[str, Any], *, backbone: Any, embedder: Any
) -> tuple[tuple, dict[str, Any]]:
    """An encoder's inputs with the prompt as the beginning of the embedded text."""
    import torch

    prompt, ids = backbone.prompt, args[0] if args else kwargs.get("input_ids")
    text = kwargs["inputs_embeds"] if ids is None else embedder(ids)
    kwargs = {**kwargs, "input_ids": None}
    kwargs["inputs_embeds"] = torch.cat([prompt.to(text.dtype).expand(len(text), -1, -1), text], dim=1)
    kinds = kwargs.get("token_type_ids")
    if kinds is not None:
        kwargs["token_type_ids"] = torch.cat([kinds.new_zeros(len(kinds), len(prompt)), kinds], dim=1)
    return _widen_encoder(module, (), kwargs, backbone=backbone)


def _append(module: nn.Module, args: tuple, output: Tensor, *, backbone: Any) -> Tensor:
    import torch

    return torch.cat([output, backbone.prompt.to(output.dtype).expand(len(output), -1, -1)], dim=1)


def _widen(module: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    import torch

    mask = kwargs.get("attention_mask")
    if mask is not None:
        kwargs = {**kwargs, "attention_mask": torch.cat([mask, mask.new_ones(len(mask), len(module.prompt))], dim=1)}
    return args, kwargs


def _drop_last(module: Any, args: tuple, output: Any) -> Any:
    output.last_hidden_state = output.last_hidden_state[:, : -len(module.prompt)].contiguous()
    return output


def _widen_front(module: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    return _widen_encoder(module, args, kwargs, backbone=module)


def _drop_front(module: Any, args: tuple, output: Any) -> Any:
    output.last_hidden_state = output.last_hidden_state[:, len(module.prompt) :].contiguous()
    return output


def _put_in_front(module: Any, args: tuple, output: Any, *, backbone: Any) -> Any:
    import torch

    prompt = backbone.prompt.to(output.dtype).expand(len(output), -1, -1)
    return torch.cat([prompt, output], dim=1)


def _widen_encoder(module: Any, args: tuple, kwargs: dict[str, Any], *, backbone: Any) -> tuple[tuple, dict[str, Any]]:
    mask = kwargs.get("attention_mask")
    if mask is not None:
        kwargs = {**kwargs, "attention_mask": _seen(mask, len(backbone.prompt))}
    return args, kwargs


def _widen_cross_attention(module: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """The mask of the source is as wide as the text; the states of the encoder hold the prompt as well."""
    mask, states = kwargs.get("encoder_attention_mask"), kwargs["encoder_hidden_states"]
    if mask is not None:
        kwargs = {**kwargs, "encoder_attention_mask": _seen(mask, states.shape[1] - mask.shape[1])}
    return args, kwargs


def _seen(mask: Any, count: int) -> Any:
    """A mask with `count` visible places in front."""
    import torch

    return torch.cat([mask.new_ones(len(mask), count), mask], dim=1)
