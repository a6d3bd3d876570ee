"""Intervals: against other implementations, at the ends of a metric's range, and over groups of examples."""

import dataclasses
import math
import random
from typing import Any

import numpy as np
import pytest
import scipy.stats

from tests.test_metrics import KINDS, Case, interval_of, likelihoods, scores
from tunebench.evaluation.intervals import METHODS
from tunebench.evaluation.metrics import METRICS


def large_case(name: str) -> Case:
    rng, make = random.Random(1), KINDS[name][0]
    predictions: list[Any] = []
    references: list[Any] = []
    while len(references) < 200:
        more, gold = make(rng)
        if make is not scores or more[0] < 100:  # one offset only: else the correlation is that of the offsets
            predictions, references = predictions + more, references + gold
    return predictions, references


@pytest.mark.parametrize("name", METRICS)
def test_an_interval_contains_the_value_and_is_the_same_each_time(name: str) -> None:
    predictions, references = large_case(name)
    metric, value = METRICS[name], METRICS[name].compute(predictions, references)
    low, high = interval_of(metric, predictions, references)
    assert low < value < high
    assert 0 < high - low < 0.4 * (value if KINDS[name][0] is likelihoods else 1)
    assert interval_of(metric, predictions, references) == (low, high)


def test_every_metric_has_a_scale_with_an_interval() -> None:
    assert {METRICS[name].scale for name in METRICS} == {scale for scale in METHODS if scale is not None}


def test_more_examples_give_a_narrower_interval() -> None:
    guess, gold = [1, 1, 1, 0] * 10, [1] * 40
    narrow = interval_of(METRICS["accuracy"], guess * 16, gold * 16)
    wide = interval_of(METRICS["accuracy"], guess, gold)
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 2


# Fractions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "count"), [(99, 100), (100, 100), (0, 100), (57, 113), (1, 2), (1999, 2000)])
@pytest.mark.parametrize("name", ["accuracy", "exact_match", "subset_accuracy"])
def test_a_proportions_interval_is_wilsons(name: str, right: int, count: int) -> None:
    yes, no = {"subset_accuracy": (["a"], ["b"])}.get(name, ("a", "b"))
    guess = [yes] * right + [no] * (count - right)
    expected = scipy.stats.binomtest(right, count).proportion_ci(method="wilson")
    assert interval_of(METRICS[name], guess, [yes] * count) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].scale == "fraction"])
def test_all_correct_gives_wilsons_interval_of_all_correct_not_a_point(name: str) -> None:
    _, references = large_case(name)
    guess = references if isinstance(METRICS[name].form, str) and METRICS[name].form != "text" else None
    guess = guess or [gold if isinstance(gold, str) else gold[-1] for gold in references]
    if name.startswith("rouge"):
        references = guess = ["dogs won the cup", *guess[1:]]
    kept = [n for n, gold in enumerate(references) if gold]  # ROUGE of a text without words is 0
    guess, references = [guess[n] for n in kept], [references[n] for n in kept]
    expected = scipy.stats.binomtest(len(kept), len(kept)).proportion_ci(method="wilson")
    assert METRICS[name].compute(guess, references) == 1
    assert interval_of(METRICS[name], guess, references) == pytest.approx((expected.low, 1.0), abs=1e-12)


@pytest.mark.parametrize("name", ["macro_f1", "weighted_f1", "entity_f1", "rouge_l"])
def test_a_fractions_interval_is_wilsons_for_the_number_that_its_jackknife_gives(name: str) -> None:
    """With each value computed by the reference library on the remaining examples."""
    predictions, references = (side[:60] for side in large_case(name))
    value = METRICS[name].compute(predictions, references)
    rest = [
        METRICS[name].compute(predictions[:n] + predictions[n + 1 :], references[:n] + references[n + 1 :])
        for n in range(len(references))
    ]
    count = len(rest)
    variance = (count - 1) ** 2 / count * np.var(rest)
    number = value * (1 - value) / variance
    z = scipy.stats.norm.ppf(0.975)
    ends = np.roots([1 + z * z / number, -2 * value - z * z / number, value * value])  # (value - p)^2 = z^2 p (1-p) / n
    assert interval_of(METRICS[name], predictions, references) == pytest.approx(sorted(ends), abs=1e-9)


def test_a_mean_of_equal_values_has_the_interval_of_as_many_proportions() -> None:
    """Nothing is known of their variance."""
    low, high = interval_of(METRICS["token_f1"], ["red car"] * 50, ["red bus"] * 50)
    expected = scipy.stats.binomtest(25, 50).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high))


# Correlations and perplexity ------------------------------------------------------------------------------------------


def test_the_interval_of_normal_datas_pearson_is_nearly_fishers() -> None:
    rng = np.random.default_rng(0)
    gold = rng.normal(size=2000)
    guess = 0.8 * gold + 0.6 * rng.normal(size=2000)
    expected = scipy.stats.pearsonr(guess, gold).confidence_interval()
    low, high = interval_of(METRICS["pearson"], guess.tolist(), gold.tolist())
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.002)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_correlations_interval_is_symmetric_on_fishers_z(name: str) -> None:
    predictions, references = large_case(name)
    value = METRICS[name].compute(predictions, references)
    rest = np.array(
        [
            METRICS[name].compute(predictions[:n] + predictions[n + 1 :], references[:n] + references[n + 1 :])
            for n in range(len(references))
        ]
    )
    count = len(rest)
    half = scipy.stats.t.ppf(0.975, count - 1) * math.sqrt((count - 1) * np.var(np.arctanh(rest)))
    expected = np.tanh(np.arctanh(value) + np.array([-half, half]))
    assert interval_of(METRICS[name], predictions, references) == pytest.approx(tuple(expected), abs=1e-9)


def test_many_examples_are_left_out_together_where_ranks_are_computed() -> None:
    rng = np.random.default_rng(0)
    gold = rng.normal(size=3000)
    guess = gold + rng.normal(size=3000)
    low, high = interval_of(METRICS["spearman"], guess.tolist(), gold.tolist())
    ranks = scipy.stats.rankdata(guess), scipy.stats.rankdata(gold)
    rest = [
        np.corrcoef(*(scipy.stats.rankdata(np.delete(side, n)) for side in ranks))[0, 1] for n in range(0, 3000, 10)
    ]
    error = math.sqrt(2999 * np.var(np.arctanh(rest)))
    assert np.arctanh(high) - np.arctanh(low) == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_points_on_a_line_have_one_correlation() -> None:
    gold = [float(n) for n in range(30)]
    for name in ("pearson", "spearman"):
        assert interval_of(METRICS[name], gold, gold) == pytest.approx((1.0, 1.0))


def test_perplexitys_interval_is_symmetric_on_the_logarithm() -> None:
    """With the standard error of a ratio by Taylor's series (Cochran 1977, 6.4)."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, 60, 500)
    nll = tokens * rng.gamma(9, 2.5 / 9, 500)
    rows = [{"response_nll": float(a), "response_tokens": int(b)} for a, b in zip(nll, tokens, strict=True)]
    low, high = interval_of(METRICS["perplexity"], rows, [""] * 500)
    mean = nll.sum() / tokens.sum()
    error = math.sqrt(((nll - mean * tokens) ** 2).sum() * 500 / 499) / tokens.sum()
    assert (math.log(low) + math.log(high)) / 2 == pytest.approx(mean)
    assert (math.log(high) - math.log(low)) / 2 == pytest.approx(1.965 * error, rel=0.01)


# A metric of an unknown scale -----------------------------------------------------------------------------------------


def test_a_metric_of_an_unknown_scale_has_scipys_bca_interval() -> None:
    rng = np.random.default_rng(2)
    gold = ["one two three four five six seven eight"] * 120
    kept = np.where(rng.random(120) < 0.05, 0, rng.integers(7, 9, 120))
    guess = [" ".join(text.split()[:n]) for text, n in zip(gold, kept, strict=True)]
    metric = dataclasses.replace(METRICS["token_f1"], scale=None)
    values = np.array([metric.compute([one], [text]) for one, text in zip(guess, gold, strict=True)])
    expected = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    low, high = interval_of(metric, guess, gold)
    error = values.std() / math.sqrt(120)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.15 * error)
    assert interval_of(metric, guess, gold) == (low, high)
    percentiles = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    assert low < percentiles.low - 0.2 * error, "the values are skewed: BCa moves the interval"


# Groups ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "rouge_1", "pearson", "spearman", "perplexity"])
def test_examples_that_are_copied_say_no_more_than_once(name: str) -> None:
    predictions, references = large_case(name)
    once = np.array(interval_of(METRICS[name], predictions, references))
    groups = [n for n in range(len(references)) for _ in range(4)]
    copies = [[row for row in side for _ in range(4)] for side in (predictions, references)]
    copied = np.array(interval_of(METRICS[name], copies[0], copies[1], groups))
    assert copied == pytest.approx(once, rel=0.01)
    alone = np.array(interval_of(METRICS[name], copies[0], copies[1]))
    assert np.ptp(alone) == pytest.approx(np.ptp(once) / 2, rel=0.05)


def test_a_groups_interval_has_the_design_effect_of_its_textbook() -> None:
    """Proportions of clusters of unequal size: the ratio estimate's variance (Cochran 1977, 9A.1), Wilson (1927)."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 9, 150)
    groups = np.repeat(np.arange(150), sizes)
    right = rng.random(len(groups)) < np.repeat(rng.beta(4, 1, 150), sizes)
    low, high = interval_of(METRICS["accuracy"], right.tolist(), [True] * len(groups), groups.tolist())
    share = right.mean()
    residuals = np.bincount(groups, right) - share * sizes
    variance = (residuals**2).sum() / len(groups) ** 2
    number = share * (1 - share) / variance
    z = 1.96
    ends = np.roots([1 + z * z / number, -2 * share - z * z / number, share * share])
    assert (low, high) == pytest.approx(sorted(ends), abs=0.003)
    assert number < 0.8 * len(groups)


def test_the_names_of_groups_and_their_order_change_nothing() -> None:
    predictions, references = large_case("macro_f1")
    groups = [n // 5 for n in range(len(references))]
    expected = interval_of(METRICS["macro_f1"], predictions, references, groups)
    order = random.Random(0).sample(range(len(references)), len(references))
    moved = [[side[n] for n in order] for side in (predictions, references, [100 - n for n in groups])]
    assert interval_of(METRICS["macro_f1"], moved[0], moved[1], moved[2]) == pytest.approx(expected, abs=1e-12)


def test_intervals_over_groups_cover_as_often_as_they_claim_and_without_them_do_not() -> None:
    """Forty texts with ten questions each, which are easy or hard together."""
    rng = np.random.default_rng(0)
    hits = {"groups": 0, "alone": 0}
    for _ in range(300):
        right = rng.random((40, 10)) < rng.beta(1.6, 0.4, 40)[:, None]
        groups = np.repeat(np.arange(40), 10).tolist()
        for name, given in (("groups", groups), ("alone", None)):
            low, high = interval_of(METRICS["accuracy"], right.ravel().tolist(), [True] * 400, given)
            hits[name] += low <= 0.8 <= high
    assert 0.92 <= hits["groups"] / 300 <= 0.98
    assert hits["alone"] / 300 < 0.8


def test_one_group_has_no_interval() -> None:
    assert interval_of(METRICS["accuracy"], [1, 0, 1], [1, 1, 1], [7, 7, 7]) is None
    assert interval_of(METRICS["accuracy"], [1], [1]) is None
