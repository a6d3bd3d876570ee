"""Virtual tokens in a model: trained keys and values in front of every layer's own, and where a text begins then."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tunebench._util.errors import UserError
from tunebench.families.base import Family, base_of
from tunebench.techniques.base import freeze, train

TASK_TYPES = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "LMHeadModel": "CAUSAL_LM",
    "ForCausalLM": "CAUSAL_LM",
}
"""End of a transformers class's name -> PEFT's task type."""


class Prefix(nn.Module):
    """Keys and values of virtual tokens, (layers, 2, heads, tokens, width).

    Args:
        tokens: how many virtual tokens.
        shape: layers, heads and width of the model's keys and values.
        source: (hidden, bottleneck) of the two-layer network that computes them from one embedding per virtual token
            (Li and Liang 2021, section 4.3); None: they are parameters themselves.
    """

    def __init__(self, tokens: int, shape: tuple[int, int, int], source: tuple[int, int] | None):
        super().__init__()
        self.tokens, self.shape = tokens, shape
        layers, heads, width = shape
        size = layers * 2 * heads * width
        self.states = nn.Parameter(torch.empty(tokens, source[0] if source else size).normal_(std=_INITIAL))
        self.network: nn.Module | None = None
        if source:
            hidden, bottleneck = source
            self.network = nn.Sequential(nn.Linear(hidden, bottleneck), nn.Tanh(), nn.Linear(bottleneck, size))

    def flat(self) -> Tensor:
        """(tokens, layers x 2 x heads x width), computed in float32 whatever the model computes in."""
        with torch.autocast(self.states.device.type, enabled=False):
            return self.states if self.network is None else self.network(self.states)

    def forward(self) -> Tensor:
        """Keys and values by layer."""
        layers, heads, width = self.shape
        return self.flat().view(self.tokens, layers, 2, heads, width).permute(1, 2, 3, 0, 4)

    def begin_as(self, states: Tensor) -> None:
        """Begin near these keys and values, in the shape that `forward` gives: a network begins at their mean."""
        flat = states.permute(3, 0, 1, 2, 4).reshape(self.tokens, -1).float()
        with torch.no_grad():
            if self.network is None:
                self.states.copy_(flat)
            else:
                self.network[-1].bias.copy_(flat.mean(0))  # type: ignore[index]

    def fold(self) -> None:
        """Replace the network by what it gives."""
        if self.network is not None:
            with torch.no_grad():
                self.states = nn.Parameter(self.flat().clone())
            self.network = None


_INITIAL = 0.02  # standard deviation, as BERT's and GPT-2's embeddings


def attach(model: Any, family: Family, tokens: int, bottleneck: int | None, initial: str, reach: str) -> nn.Module:
    """Freeze the model, let its attention read a new prefix, and train that and the head.

    The prefix begins as the keys and values of drawn tokens (`initial` "vocabulary"), or close to zero ("random"). In a
    decoder the text's positions begin after the prefix, as in PEFT; in an encoder at zero. `reach` is "both",
    "encoder" or "decoder".

    Raises:
        UserError: `reach` names one of two stacks, and the model has only one.
    """
    base: Any = base_of(model)
    backbone = base.base_model
    entrances = family.entrances(model)
    if reach != "both":
        if len(entrances) == 1:
            raise UserError(f"reach: this model is not an encoder-decoder, so it has no separate {reach}. Give both.")
        entrances = [entrances[("encoder", "decoder").index(reach)]]
    reached = [attention for _, behind in entrances for attention in behind]
    shape = (len(reached), *family.key_value_shape(model))
    source = (family.width(model), bottleneck) if bottleneck else None
    device = base.get_input_embeddings().weight.device
    freeze(model)
    train(family.head(model))
    with device:
        backbone.prefix = Prefix(tokens, shape, source)
    family.attend_to_prefix(model)
    if initial == "vocabulary" and device.type != "meta":
        places = [index for index, attention in enumerate(family.attentions(model)) if attention in reached]
        backbone.prefix.begin_as(family.keys_and_values(model, drawn_tokens(base, tokens))[places])
    shift = tokens if family.reads_left_to_right and takes_positions(entrances[0][0]) else 0
    first = 0
    for entrance, behind in entrances:
        part = slice(first, first + len(behind))
        hook = functools.partial(_before, attentions=behind, prefix=lambda: backbone.prefix, part=part, shift=shift)
        entrance.register_forward_pre_hook(hook, with_kwargs=True)
        first += len(behind)
    return model


def drawn_tokens(base: Any, count: int) -> Tensor:
    """Token ids drawn from torch's current seed, among the 5,000 commonest as Lester et al. 2021, 3.2, do.

    Byte-pair and word-piece lists begin with these.
    """
    embeddings = base.get_input_embeddings().weight
    return torch.randint(min(5000, len(embeddings)), (count,), device=embeddings.device)


def _before(
    module: nn.Module,
    args: tuple,
    kwargs: dict[str, Any],
    *,
    attentions: list[Any],
    prefix: Any,
    part: slice,
    shift: int,
) -> tuple[tuple, dict[str, Any]]:
    for attention, (keys, values) in zip(attentions, prefix()()[part], strict=True):
        attention.prefix = (keys, values)
    if shift:
        kwargs = {**kwargs, "position_ids": shifted(args, kwargs, shift)}
    return args, kwargs


def takes_positions(module: nn.Module) -> bool:
    """Whether positions are an argument: where they are computed inside, a text begins where the model says."""
    return "position_ids" in inspect.signature(module.forward).parameters


def shifted(args: tuple, kwargs: dict[str, Any], shift: int) -> Tensor:
    """The positions of a decoder's text behind `shift` virtual tokens, (1 or batch, tokens)."""
    if kwargs.get("position_ids") is not None:
        return kwargs["position_ids"] + shift
    inputs = args[0] if args and args[0] is not None else kwargs.get("input_ids")
    inputs = kwargs["inputs_embeds"] if inputs is None else inputs
    return torch.arange(shift, shift + inputs.shape[1], device=inputs.device)[None]


def save(model: Any, family: Family, folder: Path) -> bool:
    """PEFT's folder of a prefix and the head; only for decoders, whose positions PEFT counts as is done here."""
    if not family.reads_left_to_right:
        return False
    from peft import PrefixTuningConfig

    base: Any = base_of(model)
    prefix: Prefix = base.base_model.prefix
    layers, heads, width = prefix.shape
    config = PrefixTuningConfig(
        task_type=task_type(base),
        num_virtual_tokens=prefix.tokens,
        token_dim=heads * width,
        num_transformer_submodules=1,
        num_attention_heads=heads,
        num_layers=layers,
        prefix_projection=False,
        inference_mode=True,
        base_model_name_or_path=base.name_or_path,
    )
    save_prompt(base, family, config, prefix.flat().detach(), folder)
    return True


def task_type(base: nn.Module) -> str:
    """PEFT's name for what a transformers class does."""
    name = type(base).__name__
    return next(kind for end, kind in TASK_TYPES.items() if name.endswith(end))


def save_prompt(base: Any, family: Family, config: Any, prompt: Tensor, folder: Path) -> None:
    """PEFT's files of a prompt-learning method, with the head's weights under the names that PEFT looks for."""
    tensors = {"prompt_embeddings": prompt.float().cpu().contiguous()}
    for name in family.head_names(base):
        weights = base.get_submodule(name).state_dict()
        tensors |= {f"base_model.{name}.{key}": value.float().cpu().contiguous() for key, value in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(folder))
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
