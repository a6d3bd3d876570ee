"""Paired tests, their correction, the groups and the verdicts: against other implementations, and by planted cases."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from tests.records import Write, answers_in, done
from tunebench.metrics import METRICS
from tunebench.report import build
from tunebench.report.comparisons import comparisons
from tunebench.report.reading import read_study
from tunebench.report.statistics import Difference, _differences, _statistics, holm, letters, paired
from tunebench.report.verdicts import BEST, CLOSE, EQUAL, FAILS, WORSE, verdict


def classes(rng: np.random.Generator, accuracy: float, gold: list[str]) -> list[str]:
    return [label if rng.random() < accuracy else str(rng.choice(["joy", "fear", "love"])) for label in gold]


def differences(metric: str, *answers: list[Any], gold: list[Any]) -> tuple[Difference, ...]:
    statistics = _statistics(METRICS[metric], [[(guess, gold)] for guess in answers])
    assert statistics is not None
    return _differences(METRICS[metric], [str(n) for n in range(len(answers))], statistics)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1"])
def test_the_test_says_what_scipys_permutation_test_says(metric: str) -> None:
    rng = np.random.default_rng(0)
    gold = [str(label) for label in rng.choice(["joy", "fear", "love"], 60)]
    one, other = classes(rng, 0.8, gold), classes(rng, 0.6, gold)
    (found,) = differences(metric, one, other, gold=gold)
    value = METRICS[metric].compute
    codes = sorted(set(gold))

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        names = [[codes[int(n)] for n in side] for side in (a, b)]
        return value(names[0], gold) - value(names[1], gold)

    encoded = [np.array([codes.index(label) for label in side]) for side in (one, other)]
    expected = scipy.stats.permutation_test(
        encoded, statistic, permutation_type="samples", n_resamples=600, vectorized=False, rng=1
    )
    assert found.value == pytest.approx(value(one, gold) - value(other, gold))
    assert found.p == pytest.approx(expected.pvalue, abs=0.05)


def test_a_difference_of_correlations_is_judged_on_common_centres() -> None:
    rng = np.random.default_rng(0)
    gold = rng.normal(size=200).tolist()
    close, far = (list(np.array(gold) + rng.normal(size=200) * noise + 3) for noise in (0.3, 3.0))
    (found,) = differences("pearson", close, far, gold=gold)
    assert found.value == pytest.approx(METRICS["pearson"].compute(close, gold) - METRICS["pearson"].compute(far, gold))
    assert found.real
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]


def test_the_lower_perplexity_is_the_better_one() -> None:
    rng = np.random.default_rng(0)
    rows = [{"response_nll": float(n), "response_tokens": 10} for n in rng.uniform(20, 40, 50)]
    worse = [{**row, "response_nll": row["response_nll"] + 5} for row in rows]
    (found,) = differences("perplexity", rows, worse, gold=[""] * 50)
    assert found.value > 0
    assert found.real


def test_equal_answers_are_never_told_apart() -> None:
    gold = ["joy", "fear"] * 30
    (found,) = differences("accuracy", ["joy"] * 60, ["joy"] * 60, gold=gold)
    assert (found.value, found.p, found.adjusted, found.interval) == (0.0, 1.0, 1.0, (0.0, 0.0))


def test_an_undefined_metric_is_no_small_p() -> None:
    gold = [float(n) for n in range(40)]
    (found,) = differences("pearson", gold, [1.0] * 40, gold=gold)
    assert found.p == 1.0
    assert found.interval is None


def test_chance_alone_is_found_in_no_more_than_its_share_of_cases() -> None:
    false = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        gold = [str(label) for label in rng.choice(["joy", "fear"], 80)]
        (found,) = differences("accuracy", classes(rng, 0.7, gold), classes(rng, 0.7, gold), gold=gold)
        false += found.p < 0.05
    assert false <= 8


def test_holms_correction_is_the_textbook_one() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([0.2]).tolist() == [0.2]


def pair(one: str, other: str, real: bool) -> Difference:
    return Difference(one, other, 0.1, None, 0.001 if real else 0.9, 0.001 if real else 0.9)


@pytest.mark.parametrize("apart", [set(), {"ad"}, {"ac", "ad"}, {"ab", "ac", "ad", "bc", "bd", "cd"}, {"ac", "bd"}])
def test_two_techniques_share_a_letter_just_where_they_are_not_told_apart(apart: set[str]) -> None:
    found = letters("abcd", [pair(x, y, x + y in apart) for x, y in itertools.combinations("abcd", 2)])
    for x, y in itertools.combinations("abcd", 2):
        assert bool(set(found[x]) & set(found[y])) == (x + y not in apart)
    assert "a" in found["a"]


GOLD = ["joy", "fear"] * 200


def answered(folder: Path, technique: str, right: int, seed: int = 0, shift: int = 0, **options: Any) -> Any:
    """A result whose first `right` answers of 400 are right, with its predictions on disk."""
    guess = [label if (n + shift) % 400 < right else "love" for n, label in enumerate(GOLD)]
    result = done(technique, right / 400, seed, **options)
    path = folder / "runs" / result.run.id / "predictions.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": n, "prediction": p, "reference": r} for n, (p, r) in enumerate(zip(guess, GOLD, strict=True))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return result


def judged(out: Path) -> dict[str, str | None]:
    (comparison,) = comparisons(read_study(out))
    found = paired(comparison, answers_in(out))
    return {row.label: verdict(comparison, row, found) for row in comparison.rows}


def test_verdicts_follow_the_written_rule(study: Write, tmp_path: Path) -> None:
    out = study(
        answered(tmp_path, "full", 380),
        answered(tmp_path, "lora", 378, shift=10),
        answered(tmp_path, "dora", 373),
        answered(tmp_path, "freeze", 300),
        answered(tmp_path, "ia3", 200),
        answered(tmp_path, "untuned", 200, trainable=0),
    )
    assert judged(out) == {
        "full": BEST, "lora": EQUAL, "dora": EQUAL, "freeze": WORSE, "ia3": FAILS, "untuned": WORSE,
    }  # fmt: skip
    written = (out / "report.md").read_text()
    assert "Not told apart from full: lora, dora. That does not show that they are equal." in written
    assert "Trained, and no better than the untuned model: ia3." in written
    assert "Every pair of techniques" in written


def test_the_best_technique_fails_too_where_it_is_no_better_than_untuned(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 203), answered(tmp_path, "untuned", 200, trainable=0))
    assert judged(out) == {"full": FAILS, "untuned": EQUAL}
    assert "Trained, and no better than the untuned model: full." in (out / "report.md").read_text()


def test_a_small_difference_that_is_real_is_close(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 400), answered(tmp_path, "lora", 392))
    assert judged(out) == {"full": BEST, "lora": CLOSE}


def test_seeds_are_averaged_and_only_common_ones_are_compared(study: Write, tmp_path: Path) -> None:
    out = study(
        answered(tmp_path, "full", 380, 0), answered(tmp_path, "full", 360, 1), answered(tmp_path, "lora", 300, 1)
    )
    (comparison,) = comparisons(read_study(out))
    found = paired(comparison, answers_in(out))
    assert found is not None
    assert found.seeds == (1,)
    assert found.differences[0].value == pytest.approx(0.15)


def test_what_cannot_be_tested_is_said(study: Write, tmp_path: Path) -> None:
    out = study(
        answered(tmp_path, "full", 380), answered(tmp_path, "lora", 300), answered(tmp_path, "freeze", 200),
    )  # fmt: skip
    (tmp_path / "runs" / "tiny--emotion--freeze--s0" / "predictions.jsonl").write_text("{damaged")
    build(out)
    written = (out / "report.md").read_text()
    assert "freeze was not tested: its predictions cannot be read." in written
    assert "Clearly worse than full: lora." in written


def test_techniques_that_were_asked_other_questions_are_not_compared() -> None:
    metric = METRICS["accuracy"]
    assert _statistics(metric, [[(["joy"], ["joy"])], [(["joy"], ["fear"])]]) is None
