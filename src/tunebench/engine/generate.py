"""Answers in the model's own words to a sample of prompts: the most probable token each time, and drawn ones."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from statistics import fmean
from typing import Any

import numpy as np
import torch

from tunebench.engine.seeds import SAMPLE, seed_of
from tunebench.examples import Example
from tunebench.metrics import rouge_l
from tunebench.objectives.causal_lm import CausalLm
from tunebench.results import Answer, Generation

_CHOICE_SEED = 0  # of the prompts: the same for every technique and seed
_BATCH = 16
_NUCLEUS = 0.9


def answer_sample(
    model: Any,
    objective: CausalLm,
    examples: Sequence[Example],
    seed: int,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> Generation:
    """The model's answers to `objective.samples` of the examples, beside the references.

    `seed` is that of the drawn answers, which also depend on which prompts share a batch: always the same ones.
    """
    drawn = np.random.default_rng(_CHOICE_SEED).permutation(len(examples))[: objective.samples]
    chosen = np.sort(drawn).tolist()
    prompts = [examples[index] for index in chosen]
    references = objective.references(prompts, ())
    ways = {
        "greedy": generate(model, objective, prompts, autocast),
        "sampled": generate(model, objective, prompts, autocast, seed=seed_of(seed, SAMPLE)),
    }
    answers = [
        Answer(id=index, prompt=prompt.prompt, reference=reference, greedy=greedy, sampled=sampled)  # type: ignore[union-attr]
        for index, prompt, reference, (greedy, _), (sampled, _) in zip(
            chosen, prompts, references, ways["greedy"], ways["sampled"], strict=True
        )
    ]
    return Generation(
        rouge_l={
            way: fmean(rouge_l(text, reference) for (text, _), reference in zip(texts, references, strict=True))
            for way, texts in ways.items()
        },
        ended={way: sum(ended for _, ended in texts) for way, texts in ways.items()},
        max_new_tokens=new_tokens(objective),
        answers=answers,
    )


def generate(
    model: Any,
    objective: CausalLm,
    examples: Sequence[Example],
    autocast: Callable[[], AbstractContextManager[Any]],
    seed: int | None = None,
) -> list[tuple[str, bool]]:
    """Each prompt's answer, and whether it ended by itself.

    With a seed, tokens are drawn from the likeliest ones that hold 90 % of the probability (Holtzman et al. 2020).
    Prompt and answer share the tokens that a training text may have.
    """
    model.eval()
    new = new_tokens(objective)
    found: list[tuple[str, bool]] = []
    if seed is not None:
        torch.manual_seed(seed)
    for at in range(0, len(examples), _BATCH):
        batch = objective.prompts(examples[at : at + _BATCH], objective.max_tokens - new)
        width = batch["input_ids"].shape[1]
        device = next(model.parameters()).device
        with torch.inference_mode(), autocast():
            ids = model.generate(
                **{name: tensor.to(device) for name, tensor in batch.items()},
                max_new_tokens=new,
                do_sample=seed is not None,
                use_cache=True,
                # All that a checkpoint's own generation settings could say otherwise.
                num_beams=1,
                **({} if seed is None else {"temperature": 1.0, "top_k": 0, "top_p": _NUCLEUS}),
                repetition_penalty=1.0,
                eos_token_id=objective.tokenizer.eos_token_id,
                pad_token_id=objective.tokenizer.pad_token_id,
            )
        found += [objective.text(row) for row in ids[:, width:].tolist()]
    return found


def new_tokens(objective: CausalLm) -> int:
    """The most tokens an answer may have: the task's, or half of what a text may have."""
    return min(objective.max_new_tokens, objective.max_tokens // 2)
