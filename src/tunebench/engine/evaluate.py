"""A network's predictions for a split, in the examples' order, and their scores."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from tunebench._util.errors import RunError
from tunebench._util.words import plural
from tunebench.engine.batching import plan_evaluation
from tunebench.engine.precision import Autocast
from tunebench.engine.sources import Source
from tunebench.evaluation.metrics import METRICS
from tunebench.objectives.base import Objective


def predict(
    network: nn.Module,
    source: Source,
    objective: Objective,
    autocast: Autocast,
    batch_tokens: int,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Any], list[Any]]:
    """Predictions in task space and their details, without dropout; batches are sorted by length.

    Raises:
        RunError: the network gives logits that are not finite.
    """
    network.eval()
    features = source.features
    predictions: list[Any] = [None] * len(features)
    details: list[Any] = [None] * len(features)
    plan = plan_evaluation(features.lengths, batch_tokens)
    for number, indices in enumerate(plan):
        batch = source.batch(indices)
        del batch["labels"]
        with torch.inference_mode(), autocast():
            outputs = objective.outputs(network, batch, features, indices)
        if not bool(torch.isfinite(outputs).all()):
            raise RunError(f"the model's outputs for example {indices[0]} and others of similar length are not finite")
        decoded, decoded_details = objective.decode(outputs.cpu(), features, indices)
        for index, prediction, detail in zip(indices, decoded, decoded_details, strict=True):
            predictions[index], details[index] = prediction, detail
        on_batch(number + 1, len(plan))
    return objective.joined(predictions, details, features)


def score(metrics: Sequence[str], predictions: Sequence[Any], references: Sequence[Any]) -> dict[str, float | None]:
    """Each metric's value; None where it is undefined or infinite, such as the correlation of constant predictions.

    Raises:
        RunError: a sentence's numbers of predicted tags and of words differ, so that padding would be scored.
    """
    tags = any(METRICS[name].form == "tags" for name in metrics)
    for number, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        if tags and len(prediction) != len(reference):
            words, predicted = plural(len(reference), "word"), plural(len(prediction), "predicted tag")
            raise RunError(f"sentence {number} has {words} and {predicted}: padding would be scored")
    values = {name: METRICS[name].compute(predictions, references) for name in metrics}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def refuse_padding(predictions: Sequence[Any], tokens: int | None) -> None:
    """Check that likelihoods count every token except each text's first, and no padding.

    Args:
        predictions: of a split.
        tokens: the number of tokens in the split's inputs, without padding.

    Raises:
        RunError: they count other tokens.
    """
    counts = [row["tokens"] for row in predictions if isinstance(row, dict) and "tokens" in row]
    if counts and tokens is not None and sum(counts) != tokens - len(counts):
        raise RunError(f"{sum(counts)} tokens were scored instead of {tokens - len(counts)}: padding was scored")
