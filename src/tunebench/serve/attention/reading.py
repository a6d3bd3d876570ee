"""What a run's model reads: the tokens of a text and, where it writes, of its answer."""

import copy
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from tunebench._util.errors import UserError
from tunebench.families.base import base_of
from tunebench.objectives.base import Features, Objective
from tunebench.objectives.causal_lm import CausalLm
from tunebench.objectives.text_to_text import TextToText
from tunebench.serve.finished import FinishedRun
from tunebench.tasks.examples import Example

_UNCUT = 1 << 20  # tokens; longer than any text


@dataclass(frozen=True)
class Token:
    """One row or column of a map; its `role` is "virtual" if it belongs to no text."""

    text: str
    role: Literal["text", "special", "answer", "virtual"] = "text"


@dataclass(frozen=True)
class Read:
    """One text as its model reads it.

    Attributes:
        batch: the model's inputs, a batch of one.
        source: the tokens of the text; of a decoder-only model also those of the answer.
        written: the tokens that the decoder of an encoder-decoder reads: a start token and the answer; else None.
        answer: the answer as text; None if the model does not generate.
        length: the number of tokens, and what was truncated, in words.
    """

    batch: dict[str, Tensor]
    source: tuple[Token, ...]
    written: tuple[Token, ...] | None
    answer: str | None
    length: str


def read(finished: FinishedRun, example: Example, target: str | None) -> Read:
    """The text, and for a model that generates its answer: `target`, or what the model generates itself.

    Raises:
        UserError: a target is given, and the model does not generate.
    """
    objective = finished.objective
    if not isinstance(objective, CausalLm | TextToText):
        if target is not None:
            raise UserError(f"attention: {objective.name} generates no answer, so it takes no target. Omit --target.")
        return _as_given(objective, example)
    if target is None:
        (answer,), (details,) = finished.answers([example])
        target = _in_words(objective, answer, details)
    return _with_answer(finished.model, objective, example, target)


def _in_words(objective: CausalLm | TextToText, answer: Any, details: Any) -> str:
    """An answer as it was written, or as the model writes the label or score that was ranked first."""
    return details["text"] if isinstance(details, dict) and "text" in details else objective.task.in_words(answer)


def _as_given(objective: Objective, example: Example) -> Read:
    features = objective.encode([example])
    batch = objective.collate(features, [0])
    ids = features.inputs[0]["input_ids"]
    return Read(
        batch, _tokens(objective, ids), None, None, _length(_uncut(objective).encode([example]), objective, ids)
    )


def _with_answer(model: Any, objective: CausalLm | TextToText, example: Example, answer: str) -> Read:
    posed = [objective.task.prompt_of(example)], [answer]
    features, full = objective.encode_texts(*posed), _uncut(objective).encode_texts(*posed)
    ids, label = features.inputs[0]["input_ids"], features.labels[0]
    if isinstance(objective, TextToText):
        batch = objective.collate(features, [0])
        given = base_of(model).prepare_decoder_input_ids_from_labels(batch["labels"].to(model.device))  # type: ignore[operator]
        written = _tokens(objective, given[0].tolist(), answer_from=0)
        length = f"{_length(full, objective, ids)}; the decoder reads {len(written)}"
        return Read(batch, _tokens(objective, ids), written, answer, length)
    length = _length(full, objective, ids)
    if ids[-1] == objective.tokenizer.eos_token_id and len(ids) > label:  # a model never reads the end token
        for column in features.inputs[0].values():
            column.pop()
    length += f"; the last {len(ids) - label} are the answer's"
    return Read(objective.collate(features, [0]), _tokens(objective, ids, answer_from=label), None, answer, length)


def _tokens(objective: Objective, ids: list[int], answer_from: int | None = None) -> tuple[Token, ...]:
    special = set(objective.tokenizer.all_special_ids)
    tokens = []
    for place, number in enumerate(ids):
        answered = answer_from is not None and place >= answer_from
        tokens.append(
            Token(
                _shown(objective.tokenizer, number),
                "special" if number in special else "answer" if answered else "text",
            )
        )
    return tuple(tokens)


def _shown(tokenizer: Any, number: int) -> str:
    """A token's text; its vocabulary entry if the text is blank or only part of a character."""
    decoded = tokenizer.decode([number])
    text = decoded.strip() or "↵" * ("\n" in decoded)
    return text if text and "\ufffd" not in text else tokenizer.convert_ids_to_tokens(number)


def _uncut(objective: Any) -> Any:
    """The same objective without a length limit."""
    whole = copy.copy(objective)
    whole.max_tokens = _UNCUT
    return whole


def _length(uncut: Features, objective: Objective, ids: list[int]) -> str:
    """How many tokens are read, and how many the text has."""
    count, full = len(ids), uncut.lengths[0]
    return f"{count}" if full <= count else f"{count} of {full}, truncated at the run's limit of {objective.max_tokens}"
