"""Metrics of likelihoods."""

from collections.abc import Callable

import numpy as np

from tunebench.evaluation.metrics.base import Metric, Predictions


def _likelihoods(nll: str, tokens: str) -> Callable[[Predictions, Predictions], np.ndarray]:
    def statistics(predictions: Predictions, references: Predictions) -> np.ndarray:
        return np.array([(row[nll], row[tokens]) for row in predictions], dtype=float)

    return statistics


def _perplexity(nll: str, tokens: str) -> Callable[[Predictions, Predictions], float]:
    def compute(predictions: Predictions, references: Predictions) -> float:
        return float(_combine_perplexity(_likelihoods(nll, tokens)(predictions, references).sum(0)))

    return compute


def _combine_perplexity(sums: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # infinity says it
        return np.exp(sums[..., 0] / sums[..., 1])


def _metric(name: str, title: str, unit: str, nll: str, tokens: str, source: str) -> Metric:
    return Metric(
        name,
        title,
        "likelihoods",
        unit,
        False,
        _perplexity(nll, tokens),
        _likelihoods(nll, tokens),
        _combine_perplexity,
        source,
        scale="positive",
    )


PERPLEXITY = _metric(
    "perplexity",
    "Perplexity",
    "per token of the responses",
    "response_nll",
    "response_tokens",
    "exp of the summed negative log-likelihood over the tokens counted, end-of-text included (Jelinek et al. 1977)",
)
PERPLEXITY_ALL = _metric(
    "perplexity_all",
    "Perplexity, prompt included",
    "per token",
    "nll",
    "tokens",
    "the same over all real tokens but each text's first",
)
