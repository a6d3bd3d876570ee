"""Generated answers to a sample of prompts, kept in the result with the references."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch

from tunebench.engine.precision import Autocast
from tunebench.engine.seeds import SAMPLE, seed_of
from tunebench.evaluation.rouge import rouge_l
from tunebench.objectives._writing import text_of, write
from tunebench.objectives.causal_lm import CausalLm
from tunebench.records import Answer, Generation
from tunebench.tasks.examples import Example

_CHOICE_SEED = 0  # chooses the prompts: the same ones for every technique and seed
_BATCH = 16
_NUCLEUS = 0.9

Written = Sequence[tuple[str, bool]]
"""Texts, and whether each ended with end-of-text."""


def answer_sample(
    model: Any,
    objective: CausalLm,
    examples: Sequence[Example],
    seed: int,
    autocast: Autocast,
) -> Generation:
    """The model's answers to some of the examples, decoded greedily and sampled.

    `seed` is that of the sampled answers. They also depend on which prompts share a batch: always the same ones.
    """
    chosen = _chosen(len(examples), objective.samples)
    asked = [examples[index] for index in chosen]
    ways = {
        "greedy": generate(model, objective, asked, autocast),
        "sampled": generate(model, objective, asked, autocast, seed=seed_of(seed, SAMPLE)),
    }
    return _generation(objective, chosen, asked, ways, objective.new_tokens)


def kept_sample(objective: Any, examples: Sequence[Example], details: Sequence[Any]) -> Generation:
    """Some of the predictions of an objective that generates; `details` are those of its `decode`."""
    chosen = _chosen(len(examples), objective.samples)
    way = "greedy" if objective.beams == 1 else f"{objective.beams} beams"
    written = [(details[index]["text"], details[index]["ended"]) for index in chosen]
    asked = [examples[index] for index in chosen]
    return _generation(objective, chosen, asked, {way: written}, objective.new_tokens)


def _chosen(count: int, samples: int) -> list[int]:
    return np.sort(np.random.default_rng(_CHOICE_SEED).permutation(count)[:samples]).tolist()


def _generation(
    objective: Any, chosen: Sequence[int], asked: Sequence[Example], ways: Mapping[str, Written], new_tokens: int
) -> Generation:
    prompts = [objective.task.prompt_of(example) for example in asked]
    references = [objective.task.target_of(example, objective.labels) for example in asked]
    answers = [
        Answer(
            id=index,
            prompt=prompts[at],
            reference=references[at],
            texts={way: written[at][0] for way, written in ways.items()},
        )
        for at, index in enumerate(chosen)
    ]
    return Generation(
        rouge_l={
            way: fmean(rouge_l(text, reference) for (text, _), reference in zip(written, references, strict=True))
            for way, written in ways.items()
        },
        ended={way: sum(ended for _, ended in written) for way, written in ways.items()},
        max_new_tokens=new_tokens,
        answers=answers,
    )


def generate(
    model: Any,
    objective: CausalLm,
    examples: Sequence[Example],
    autocast: Autocast,
    seed: int | None = None,
) -> list[tuple[str, bool]]:
    """Each prompt's answer, and whether it ended with end-of-text.

    With a seed, tokens are drawn from the nucleus that holds 90 % of the probability (Holtzman et al. 2020). Prompt and
    answer together are limited to the tokens of a training text.
    """
    model.eval()
    features, answers = objective.encode(examples), []
    if seed is not None:
        torch.manual_seed(seed)
    drawing = {} if seed is None else {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": _NUCLEUS}
    for at in range(0, len(examples), _BATCH):
        batch = objective.prompts(features, range(at, min(at + _BATCH, len(examples))))
        width = batch["input_ids"].shape[1]
        device = next(model.parameters()).device
        with torch.inference_mode(), autocast():
            ids = write(
                model,
                {name: tensor.to(device) for name, tensor in batch.items()},
                objective.tokenizer,
                objective.new_tokens,
                1,
                **drawing,
            )
        answers += [text_of(row, objective.tokenizer) for row in ids[:, width:].tolist()]
    return answers
