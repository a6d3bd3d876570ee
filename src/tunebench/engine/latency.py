"""Latency of one answer of a tuned model, as trained and with the technique merged into the weights."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Protocol

import numpy as np
import torch

from tunebench._util.errors import UserError
from tunebench.engine.agreement import disagreement, logits_of
from tunebench.engine.precision import Autocast
from tunebench.engine.sources import TokenSource
from tunebench.objectives.base import Features, Objective

_SECONDS, _FEWEST, _MOST = 0.25, 3, 30


@dataclass(frozen=True)
class Latency:
    """Median seconds of an answer to a text of `tokens` tokens; None for a baseline, which reads none.

    `not_merged`: why there is no merged model, where the technique is one that merges.
    """

    seconds: float
    merged_seconds: float | None = None
    tokens: int | None = None
    not_merged: str | None = None


class Mergeable(Protocol):
    """What is needed of a technique (see `techniques.base.Technique`)."""

    def merges(self, model: Any) -> bool:
        """Whether it can be merged."""
        ...

    def merged(self, model: Any) -> Any:
        """An ordinary model with the same answers; raises UserError where it cannot be made."""
        ...


def latency(
    model: Any,
    technique: Mergeable,
    objective: Objective,
    features: Features,
    autocast: Autocast,
) -> Latency:
    """Measure from the token ids of the split's text of median length, alone in its batch, to its outputs.

    The whole model runs, in evaluation mode, without kept states of frozen layers. Merging changes the model in place,
    so this is called last.
    """
    (index,) = middle(features.lengths)
    batch = TokenSource(objective, features, next(model.parameters()).device).batch([index])
    del batch["labels"]

    def seconds_of(network: Any) -> float:
        network.eval()

        def answer() -> None:
            with torch.inference_mode(), autocast():
                objective.outputs(network, dict(batch), features, [index])
            if torch.cuda.is_available():
                torch.cuda.synchronize()

        return seconds(answer)

    as_trained = seconds_of(model)
    spent = Latency(seconds=as_trained, tokens=features.lengths[index])
    if not technique.merges(model):
        return spent
    before = logits_of(model, objective, features, [index], autocast)
    try:
        network = technique.merged(model)
    except UserError as error:  # a method that cannot be merged is not a failed run
        return replace(spent, not_merged=str(error))
    gap = disagreement(network, before, logits_of(network, objective, features, [index], autocast))
    if gap is not None:
        return replace(spent, not_merged=f"Its logits differ by up to {gap:.2g}: it is another model.")
    return replace(spent, merged_seconds=seconds_of(network))


def middle(lengths: Sequence[int]) -> list[int]:
    """The index of the median length; of equal ones the first in order."""
    return np.argsort(np.asarray(lengths), kind="stable")[len(lengths) // 2 :][:1].tolist()


def seconds(answer: Callable[[], object]) -> float:
    """Median wall-clock seconds of calls within a quarter of a second, 3 to 30 of them, the first third left out."""
    spent: list[float] = []
    while len(spent) < _FEWEST or (sum(spent) < _SECONDS and len(spent) < _MOST):
        start = time.perf_counter()
        answer()
        spent.append(time.perf_counter() - start)
    return median(spent[len(spent) // 3 :])
