"""Reading a model's folder: its weights, under a head drawn anew, and its tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebench._util.errors import UserError, brief
from tunebench._util.words import plural

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from tunebench.families.base import Family

_SAVE_TOKENIZER = "Save the tokenizer in the model's folder with tokenizer.save_pretrained."
_SENTENCEPIECE = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}
"""What transformers reads a SentencePiece file with: package -> module."""


def refusals() -> tuple[type[Exception], ...]:
    """What libraries raise for files that are damaged, of another type, or that do not fit each other."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    plain = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
    return (*plain, AssertionError, ImportError, SafetensorError, StrictDataclassError)


def read_weights(family: Family, folder: Path, objective: str, head: Mapping[str, Any], shapes_only: bool) -> Any:
    """A folder's weights in float32, its `redrawn` naming the head's modules that the folder has other weights for.

    Args:
        family: knows the transformers class, and which modules of the backbone belong to the head.
        folder: with config.json and safetensors.
        objective: where its head is a fresh one, that is drawn from torch's current seed.
        head: configuration fields of the objective's head.
        shapes_only: on the meta device, which reads the files' tables of contents and no weight.

    Raises:
        UserError: the weights cannot be read, or are not those that config.json describes.
    """
    import torch

    seeded = torch.get_rng_state()
    try:
        model, info = _model_in(
            folder,
            family.auto_class(objective),
            ignore_mismatched_sizes=True,  # a head for other labels; in the backbone it is refused below
            **({"device_map": "meta"} if shapes_only else {}),
            **head,
        )
    except refusals() as error:
        raise UserError(
            f"model folder {folder}: its weights cannot be read ({brief(error)}). "
            "Give a folder made by save_pretrained, with config.json and model.safetensors."
        ) from error
    model.fresh = fresh = family.fresh(folder)
    # Where the whole model is the backbone, or the pretrained head answers, every tensor must be there.
    prefix = "" if model.base_model is model or objective not in family.fresh_heads else model.base_model_prefix + "."
    _refuse_gaps(folder, model, info, prefix, tuple(f"{prefix}{name}." for name in fresh))
    model.redrawn = _held(model, info["missing_keys"]) if prefix else ()
    if model.redrawn and not shapes_only:
        torch.set_rng_state(seeded)
        _draw(model, model.redrawn)
    return model


def read_language_model(folder: Path, auto_class: str) -> Any | None:
    """A folder's weights in float32 under their own language-modelling head; None where they have none.

    The backbone has been read before, so that its weights are known to be those that config.json describes.
    """
    import transformers

    model, info = _model_in(folder, getattr(transformers, auto_class))
    return None if info["missing_keys"] else model


def _model_in(folder: Path, auto_class: Any, **options: Any) -> tuple[Any, Mapping[str, Any]]:
    """A folder's model in float32, from safetensors and without a network; and which keys were missing or left."""
    import torch

    return auto_class.from_pretrained(
        folder,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        local_files_only=True,
        trust_remote_code=False,
        **options,
    )


def _refuse_gaps(folder: Path, model: Any, info: Mapping[str, Any], prefix: str, fresh: tuple[str, ...]) -> None:
    """Refuse weights of another model than config.json describes."""
    way_out = "Give weights and configuration of the same model."
    missing = sorted(k for k in info["missing_keys"] if k.startswith(prefix) and not k.startswith(fresh))
    if missing:
        raise UserError(
            f"model folder {folder}: model.safetensors lacks {plural(len(missing), 'tensor')} that its "
            f"config.json requires, first {missing[0]}. {way_out}"
        )
    for key, stored, described in sorted(info["mismatched_keys"]):
        if key.startswith(prefix):
            raise UserError(
                f"model folder {folder}: its weights cannot be read ({key} is {tuple(stored)} in model.safetensors and "
                f"{tuple(described)} by config.json). {way_out}"
            )
    layer = _surplus_layer(model, info["unexpected_keys"])
    if layer is not None:
        raise UserError(f"model folder {folder}: its weights have a layer {layer}, its config.json has none. {way_out}")


def _surplus_layer(model: nn.Module, unexpected: Iterable[str]) -> str | None:
    """A layer that the weights have above those of the model."""
    modules = {name for name, _ in model.named_modules()}
    for key in sorted(unexpected):
        numbered = re.match(r"(.*?)\.(\d+)\.", key)
        if numbered is None:
            continue
        stack, index = numbered.groups()
        for known in (stack, f"{getattr(model, 'base_model_prefix', '')}.{stack}"):
            if known in modules and f"{known}.{index}" not in modules:
                return f"{stack}.{index}"
    return None


def _held(model: Any, missing: Iterable[str]) -> tuple[str, ...]:
    """The modules above the backbone that the checkpoint has weights for, of whichever shape."""
    absent = set(missing)
    above = [(name, child) for name, child in model.named_children() if child is not model.base_model]
    return tuple(n for n, child in above if any(f"{n}.{key}" not in absent for key, _ in child.named_parameters()))


def _draw(model: Any, names: Iterable[str]) -> None:
    """Draw these modules from torch's current seed, as transformers draws those that a checkpoint lacks."""
    import torch

    with torch.no_grad():
        for name in names:
            head = model.get_submodule(name)
            for marked in (*head.modules(), *head.parameters()):
                marked._is_hf_initialized = False
            head.apply(model._initialize_weights)


def read_tokenizer(folder: Path, habits: Mapping[str, Any]) -> PreTrainedTokenizerBase:
    """A folder's tokenizer, which must be a fast one: tagging needs its word positions.

    Raises:
        UserError: there is none, or this machine's libraries cannot read it.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **habits)
        empty = len(tokenizer) <= len(tokenizer.all_special_tokens)  # transformers 5 makes one up without a file
        tokenizer("a", truncation=True, max_length=max(1, min(8, tokenizer.model_max_length)))
    except Exception as error:  # tokenizers, written in Rust, raises Exception itself for a file that it cannot read
        raise UserError(
            f"model folder {folder}: its tokenizer cannot be read ({brief(error)}). {_way_out(folder, error)}"
        ) from error
    if empty:
        raise UserError(
            f"model folder {folder}: its tokenizer cannot be read (it has no vocabulary). {_SAVE_TOKENIZER}"
        )
    if not tokenizer.is_fast:
        raise UserError(f"model folder {folder}: its tokenizer is not a fast one. Save one with tokenizer.json in it.")
    return tokenizer


def _way_out(folder: Path, error: Exception) -> str:
    """What helps, by what the folder holds and which library refused it."""
    if type(error) is Exception:
        return f"If newer libraries wrote it, update transformers and tokenizers. {_SAVE_TOKENIZER}"
    absent = [package for package, module in _SENTENCEPIECE.items() if not _there(module)]
    if absent and any(folder.glob("*.model")) and not (folder / "tokenizer.json").is_file():
        return f"A SentencePiece file needs more: pip install {' '.join(absent)}. {_SAVE_TOKENIZER}"
    return _SAVE_TOKENIZER


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is absent
        return False
