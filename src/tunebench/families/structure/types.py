"""The shape of a `model_type`, and the objectives that transformers has a class for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, Literal

Shape = Literal["encoder", "decoder", "encoder-decoder"]

_HEADS = {
    "sequence_classification": "SEQUENCE_CLASSIFICATION",
    "multi_label_classification": "SEQUENCE_CLASSIFICATION",
    "regression": "SEQUENCE_CLASSIFICATION",
    "token_classification": "TOKEN_CLASSIFICATION",
    "question_answering": "QUESTION_ANSWERING",
    "causal_lm": "CAUSAL_LM",
    "text_to_text": "SEQ_TO_SEQ_CAUSAL_LM",
}
"""Objective -> name of transformers' table of classes."""
_LAYOUT = {"bbox", "xpath_tags_seq"}
"""Arguments of models that read a page's layout beside its text."""
_OTHERWISE = {
    "fsmt": "what its decoder reads is not made from the labels",
    "ibert": "its layers pass a scale beside the states, for integers",
    "musicgen": "it writes codes of sound",
    "musicgen_melody": "it writes codes of sound",
}


def shape_of(model_type: str) -> Shape | None:
    """The shape of a text model; None where transformers has no class with a head for it, or it reads more than text.

    A type with a head for masked tokens reads the whole text, also where transformers can turn it into a decoder.
    """
    if why_not(model_type):
        return None
    if _table("SEQ_TO_SEQ_CAUSAL_LM").get(model_type):
        return "encoder-decoder"
    if _table("MASKED_LM").get(model_type):
        return "encoder"
    if _table("CAUSAL_LM").get(model_type):
        return "decoder"
    return "encoder" if any(_table(_HEADS[head]).get(model_type) for head in _HEADS) else None


def why_not(model_type: str) -> str | None:
    """Why a model of this type cannot be tuned, as far as its class tells; None where it may be."""
    cls = _class_of(model_type)
    if cls is None:
        from transformers import __version__

        return f"transformers {__version__} has no text model of this type with a head"
    if cls.main_input_name != "input_ids" or cls.input_modalities not in ("text", ("text",), ["text"]):
        return "it reads more than text"
    if not _LAYOUT.isdisjoint(inspect.signature(cls.forward).parameters):
        return "it reads a page's layout beside its text"
    return _OTHERWISE.get(model_type)


def heads_of(model_type: str, possible: Mapping[str, str]) -> dict[str, str]:
    """Those of a shape's objectives (objective -> auto class) that transformers has a class for."""
    return {objective: auto for objective, auto in possible.items() if _table(_HEADS[objective]).get(model_type)}


def has_class(model_type: str, auto: str | None) -> bool:
    """Whether transformers has a class with this language-modelling head."""
    tables = {"AutoModelForMaskedLM": "MASKED_LM", "AutoModelForCausalLM": "CAUSAL_LM"}
    return auto is not None and model_type in _table(tables[auto])


def text_types() -> tuple[str, ...]:
    """Every `model_type` of the installed transformers that has a shape."""
    from transformers import CONFIG_MAPPING

    return tuple(sorted(kind for kind in CONFIG_MAPPING if shape_of(kind)))


@functools.cache
def _table(name: str) -> Mapping[str, str]:
    from transformers.models.auto import modeling_auto

    table: dict[str, str] = getattr(modeling_auto, f"MODEL_FOR_{name}_MAPPING_NAMES")
    return table


@functools.cache
def _class_of(model_type: str) -> Any:
    """A class of transformers with a head for this type, or None."""
    import transformers

    tables = map(_table, ("MASKED_LM", *dict.fromkeys(_HEADS.values())))
    name = next((table[model_type] for table in tables if table.get(model_type)), "")
    return getattr(transformers, name, None)
