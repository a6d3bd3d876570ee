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
    """One place of a map's rows or columns; `role` is "virtual" where no token of any text stands there."""

    text: str
    role: Literal["text", "special", "answer", "virtual"] = "text"


@dataclass(frozen=True)
class Read:
    """One text as its model reads it.

    Attributes:
        batch: the model's inputs, a batch of one.
        source: the tokens of the text; in a model without an encoder apart also those of the answer.
        written: the tokens that a decoder apart reads: a start token and the answer. None where there is none.
        answer: the answer as text; None where the model writes none.
        length: how many tokens these are, and what was cut off, in words.
    """

    batch: dict[str, Tensor]
    source: tuple[Token, ...]
    written: tuple[Token, ...] | None
    answer: str | None
    length: str


def read(finished: FinishedRun, example: Example, target: str | None) -> Read:
    """The text with its answer, where the model writes one: `target`, or what the model writes itself.

    Raises:
        UserError: a target is given, and the model writes nothing.
    """
    objective = finished.objective
    if not isinstance(objective, CausalLm | TextToText):
        if target is not None:
            raise UserError(f"attention: {objective.name} has no written answer to read. Leave --target out.")
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
    if ids[-1] == objective.tokenizer.eos_token_id and len(ids) > label:  # a model never reads the end that it writes
        for column in features.inputs[0].values():
            column.pop()
    length += f", the last {len(ids) - label} the answer's"
    return Read(objective.collate(features, [0]), _tokens(objective, ids, answer_from=label), None, answer, length)


def _tokens(objective: Objective, ids: list[int], answer_from: int | None = None) -> tuple[Token, ...]:
    special = set(objective.tokenizer.all_special_ids)
    found = []
    for place, number in enumerate(ids):
        answered = answer_from is not None and place >= answer_from
        found.append(
            Token(
                _shown(objective.tokenizer, number),
                "special" if number in special else "answer" if answered else "text",
            )
        )
    return tuple(found)


def _shown(tokenizer: Any, number: int) -> str:
    """A token's text; its name in the vocabulary, where it is blank or only a part of a character."""
    decoded = tokenizer.decode([number])
    text = decoded.strip() or "↵" * ("\n" in decoded)
    return text if text and "\ufffd" not in text else tokenizer.convert_ids_to_tokens(number)


def _uncut(objective: Any) -> Any:
    """The same objective without a limit."""
    whole = copy.copy(objective)
    whole.max_tokens = _UNCUT
    return whole


def _length(uncut: Features, objective: Objective, ids: list[int]) -> str:
    """How many tokens are read, and of how many."""
    count, full = len(ids), uncut.lengths[0]
    return f"{count}" if full <= count else f"{count} of {full}: cut at the run's limit of {objective.max_tokens}"
