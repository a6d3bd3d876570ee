"""What tuning made a model forget: how much worse it models general text than before (decision 0025).

Both models read the 200 passages that tunebench ships, in the same precision and batches. Where the checkpoint has a
language-modelling head, the difference of their losses counts: next tokens, masked tokens, or spans. Elsewhere their
vectors of the passages are compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunebench.engine.batching import plan_evaluation
from tunebench.engine.precision import Autocast
from tunebench.engine.spans import corrupt, noise_spans
from tunebench.families.base import Family, mean_of
from tunebench.families.cut import stand_ins
from tunebench.zoo import embedded

_MASKED = 0.15
"""Share of a passage's tokens that a masked language model guesses, at least one."""
_BATCH_TOKENS = 1024
"""Padded tokens per batch: a head over 50,000 words gives 200 MB of logits."""
_JOINED = 5
"""Passages in a text whose spans are guessed."""
_IGNORED = -100


@dataclass(frozen=True)
class Forgetting:
    """Of the two figures the one that was measured.

    Attributes:
        nats: the tuned model's mean loss per token, less the untuned one's; negative where it models the text better.
        drift: squared distance of the passages' vectors from the untuned ones, relative to those vectors' variance.
    """

    nats: float | None = None
    drift: float | None = None


@dataclass(frozen=True)
class Probe:
    """How models read the passages.

    Attributes:
        family: the models'.
        tokenizer: the family's.
        room: tokens of a passage at most.
        autocast: makes the context of a forward pass.
        before: whether virtual tokens in the states precede the text, or follow it.
        writes: whether the models hold their language-modelling head themselves.
        head: the checkpoint with that head, where they do not; None where it has none.
    """

    family: Family
    tokenizer: Any
    room: int
    autocast: Autocast
    before: bool
    writes: bool
    head: nn.Module | None


@dataclass(frozen=True)
class _Question:
    """A passage as a model reads it, and the tokens to guess (-100: none at this place); without any, its vector."""

    inputs: Mapping[str, list[int]]
    labels: list[int]


def forgetting(tuned: nn.Module, untuned: nn.Module, probe: Probe) -> Forgetting:
    """Compare two models, both in evaluation mode; neither is changed."""
    asked = _questions(probe) if probe.writes or probe.head is not None else None
    if asked is None:
        plain = [_Question(inputs, []) for inputs in _tokenized(probe, embedded.passages())]
        return Forgetting(drift=_drift(_vectors(tuned, plain, probe), _vectors(untuned, plain, probe)))
    return Forgetting(nats=_loss(tuned, asked, probe) - _loss(untuned, asked, probe))


def _tokenized(probe: Probe, texts: Sequence[str], **options: Any) -> list[dict[str, list[int]]]:
    encoded = probe.tokenizer(
        list(texts), truncation=True, max_length=probe.room, return_attention_mask=True, **options
    )
    return [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]


def _questions(probe: Probe) -> list[_Question] | None:
    """What the models guess; None where the tokenizer has no sign for a gap."""
    return {"encoder": _masked, "decoder": _next_tokens, "encoder-decoder": _spans}[probe.family.architecture](probe)


def _next_tokens(probe: Probe) -> list[_Question]:
    """Every token but a passage's first, from those before it."""
    return [_Question(row, [*row["input_ids"][1:], _IGNORED]) for row in _tokenized(probe, embedded.passages())]


def _masked(probe: Probe) -> list[_Question] | None:
    """15 % of the tokens, drawn once for all models: each becomes the mask."""
    mask = probe.tokenizer.mask_token_id
    if mask is None:
        return None
    special, rng = set(probe.tokenizer.all_special_ids), np.random.default_rng(0)
    questions = []
    for row in _tokenized(probe, embedded.passages()):
        ids = row["input_ids"]
        places = [place for place, token in enumerate(ids) if token not in special]
        count = min(len(places), max(1, round(_MASKED * len(places))))
        chosen = set(rng.permutation(places)[:count].tolist())
        shown = [mask if place in chosen else token for place, token in enumerate(ids)]
        labels = [token if place in chosen else _IGNORED for place, token in enumerate(ids)]
        questions.append(_Question({**row, "input_ids": shown}, labels))
    return questions


def _spans(probe: Probe) -> list[_Question] | None:
    """Spans of three tokens on average, 15 % of all, drawn once for all models; sentinels stand for them.

    Five passages are one text: T5 is pretrained on long ones, and pocket-t5 loses 6.2 nats on 50 tokens, 4.7 on 200.
    """
    tokenizer, rng = probe.tokenizer, np.random.default_rng(0)
    first = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    if first is None or first == tokenizer.unk_token_id:
        return None
    questions = []
    passages = embedded.passages()
    texts = [" ".join(passages[at : at + _JOINED]) for at in range(0, len(passages), _JOINED)]
    for row in _tokenized(probe, texts, add_special_tokens=False):
        ids = np.asarray(row["input_ids"])[: probe.room - 1]
        shown, target = corrupt(ids, noise_spans(len(ids), rng), first, tokenizer.eos_token_id)
        questions.append(_Question({"input_ids": shown.tolist(), "attention_mask": [1] * len(shown)}, target.tolist()))
    return questions


def _batches(
    questions: list[_Question], probe: Probe, device: torch.device
) -> Iterator[tuple[list[int], dict[str, Tensor], Tensor]]:
    """Places of passages, their inputs padded on the right, and their labels, (batch, tokens)."""
    for indices in plan_evaluation([len(q.inputs["input_ids"]) for q in questions], _BATCH_TOKENS):
        rows = [dict(questions[index].inputs) for index in indices]
        padded = probe.tokenizer.pad(rows, padding=True, padding_side="right", return_tensors="pt")
        labels = [torch.tensor(questions[index].labels, dtype=torch.long) for index in indices]
        inputs = {name: tensor.to(device) for name, tensor in padded.items()}
        yield indices, inputs, nn.utils.rnn.pad_sequence(labels, True, _IGNORED).to(device)


def _loss(model: nn.Module, questions: list[_Question], probe: Probe) -> float:
    """Mean negative log-likelihood of the tokens to guess, in nats."""
    device = next(model.parameters()).device
    answer: Callable[..., Tensor] = _own if probe.writes else _under_head
    total, count = 0.0, 0
    for _, inputs, labels in _batches(questions, probe, device):
        asked = labels != _IGNORED
        with torch.inference_mode():
            logits = answer(model, inputs, labels, asked, probe)
            total += float(functional.cross_entropy(logits.float(), labels[asked], reduction="sum"))
        count += int(asked.sum())
    return total / count


def _own(model: Any, inputs: dict[str, Tensor], labels: Tensor, asked: Tensor, probe: Probe) -> Tensor:
    """Logits of the model's own head, (tokens asked, vocabulary)."""
    targets = {"labels": labels} if probe.family.architecture == "encoder-decoder" else {}
    with probe.autocast():
        return model(**inputs, **targets).logits[asked]


def _under_head(model: Any, inputs: dict[str, Tensor], labels: Tensor, asked: Tensor, probe: Probe) -> Tensor:
    """Logits of the checkpoint's head on the model's states, in float32, (tokens asked, vocabulary)."""
    head: Any = probe.head
    tail = stand_ins.shallow(head, **{head.base_model_prefix: stand_ins.ComputedBackbone()})
    return tail(inputs_embeds=_states(model, inputs, probe)[asked][None].float()).logits[0]


def _states(model: Any, inputs: dict[str, Tensor], probe: Probe) -> Tensor:
    """What the stack that reads the text gives for it, before a head pools, (batch, tokens, hidden)."""
    targets = {"labels": inputs["input_ids"]} if probe.family.architecture == "encoder-decoder" else {}
    with _kept_output(probe.family.entrances(model)[0][0]) as kept, probe.autocast():
        model(**inputs, **targets)
    (states,), width = kept, inputs["input_ids"].shape[1]
    return states[:, -width:] if probe.before else states[:, :width]


@contextmanager
def _kept_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """The states that a module gives within the block; hooks that change its output come later."""
    kept: list[Tensor] = []
    handle = module.register_forward_hook(lambda _, __, output: kept.append(output.last_hidden_state), prepend=True)
    try:
        yield kept
    finally:
        handle.remove()


def _vectors(model: nn.Module, questions: list[_Question], probe: Probe) -> Tensor:
    """The mean of a passage's states, of length 1, (passages, hidden), float64."""
    vectors: list[Tensor] = [torch.empty(0)] * len(questions)
    for indices, inputs, _ in _batches(questions, probe, next(model.parameters()).device):
        with torch.inference_mode():
            means = mean_of(_states(model, inputs, probe), inputs["attention_mask"]).double().cpu()
        for index, vector in zip(indices, functional.normalize(means, dim=1), strict=True):
            vectors[index] = vector
    return torch.stack(vectors)


def _drift(tuned: Tensor, untuned: Tensor) -> float:
    """0: the vectors are the same; 1: they are as far from the untuned ones as the mean of those is."""
    moved, spread = (tuned - untuned).square().sum(), (untuned - untuned.mean(0)).square().sum()
    return float(moved / spread)
