"""Paired tests, their correction, the groups and the verdicts: against other implementations, and by planted cases."""

import itertools
import json
import math
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from threadpoolctl import threadpool_limits

from tests.records import Write, answers_in, done
from tests.test_metrics import KINDS
from tunebench.evaluation.metrics import METRICS
from tunebench.report import build, build_rescored, processes
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.predictions import read_answers
from tunebench.report.read.study import read_study
from tunebench.report.stats import draws, trials
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.paired import TRIALS, Difference, _differences, _statistics, holm, letters, paired
from tunebench.report.stats.verdicts import BEST, BEST_UNSHOWN, CLOSE, EQUAL, UNSHOWN, WORSE, verdict


def classes(rng: np.random.Generator, accuracy: float, gold: list[str]) -> list[str]:
    return [label if rng.random() < accuracy else str(rng.choice(["joy", "fear", "love"])) for label in gold]


def differences(metric: str, *answers: list[Any], gold: list[Any]) -> tuple[Difference, ...]:
    statistics = _statistics(METRICS[metric], [[(guess, gold)] for guess in answers])
    outcome = trials.outcome(METRICS[metric], statistics, TRIALS)
    return _differences(METRICS[metric], [str(n) for n in range(len(answers))], outcome)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1"])
def test_the_test_says_what_scipys_permutation_test_says(metric: str) -> None:
    rng = np.random.default_rng(0)
    gold = [str(label) for label in rng.choice(["joy", "fear", "love"], 60)]
    one, other = classes(rng, 0.8, gold), classes(rng, 0.6, gold)
    (difference,) = differences(metric, one, other, gold=gold)
    value = METRICS[metric].compute
    codes = sorted(set(gold))

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        names = [[codes[int(n)] for n in side] for side in (a, b)]
        return value(names[0], gold) - value(names[1], gold)

    encoded = [np.array([codes.index(label) for label in side]) for side in (one, other)]
    expected = scipy.stats.permutation_test(
        encoded, statistic, permutation_type="samples", n_resamples=600, vectorized=False, rng=1
    )
    assert difference.value == pytest.approx(value(one, gold) - value(other, gold))
    assert difference.p == pytest.approx(expected.pvalue, abs=0.05)


def test_a_difference_of_correlations_is_judged_on_common_centres() -> None:
    rng = np.random.default_rng(0)
    gold = rng.normal(size=200).tolist()
    close, far = (list(np.array(gold) + rng.normal(size=200) * noise + 3) for noise in (0.3, 3.0))
    (difference,) = differences("pearson", close, far, gold=gold)
    value = METRICS["pearson"].compute
    assert difference.value == pytest.approx(value(close, gold) - value(far, gold))
    assert difference.significant
    assert difference.interval is not None
    assert difference.interval[0] < difference.value < difference.interval[1]


def test_the_lower_perplexity_is_the_better_one() -> None:
    rng = np.random.default_rng(0)
    rows = [{"response_nll": float(n), "response_tokens": 10} for n in rng.uniform(20, 40, 50)]
    worse = [{**row, "response_nll": row["response_nll"] + 5} for row in rows]
    (difference,) = differences("perplexity", rows, worse, gold=[""] * 50)
    assert difference.value > 0
    assert difference.significant


def test_equal_answers_never_differ_significantly() -> None:
    gold = ["joy", "fear"] * 30
    (difference,) = differences("accuracy", ["joy"] * 60, ["joy"] * 60, gold=gold)
    assert (difference.value, difference.p, difference.adjusted, difference.interval) == (0.0, 1.0, 1.0, (0.0, 0.0))


def test_an_undefined_metric_is_no_small_p() -> None:
    gold = [float(n) for n in range(40)]
    (difference,) = differences("pearson", gold, [1.0] * 40, gold=gold)
    assert difference.p == 1.0
    assert difference.interval is None


def test_equal_techniques_differ_significantly_in_no_more_than_five_percent_of_cases() -> None:
    false = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        gold = [str(label) for label in rng.choice(["joy", "fear"], 80)]
        (difference,) = differences("accuracy", classes(rng, 0.7, gold), classes(rng, 0.7, gold), gold=gold)
        false += difference.p < 0.05
    assert false <= 8


def test_holms_correction_is_the_textbook_one() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([0.2]).tolist() == [0.2]


def pair(one: str, other: str, real: bool) -> Difference:
    return Difference(one, other, 0.1, None, 0.001 if real else 0.9, 0.001 if real else 0.9)


@pytest.mark.parametrize("apart", [set(), {"ad"}, {"ac", "ad"}, {"ab", "ac", "ad", "bc", "bd", "cd"}, {"ac", "bd"}])
def test_two_techniques_share_a_letter_only_if_they_do_not_differ_significantly(apart: set[str]) -> None:
    groups = letters("abcd", [pair(x, y, x + y in apart) for x, y in itertools.combinations("abcd", 2)])
    for x, y in itertools.combinations("abcd", 2):
        assert bool(set(groups[x]) & set(groups[y])) == (x + y not in apart)
    assert "a" in groups["a"]


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
    tests = paired(comparison, answers_in(out))
    return {row.label: verdict(comparison, row, tests) for row in comparison.rows}


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
        "full": BEST,
        "lora": EQUAL,
        "dora": EQUAL,
        "freeze": WORSE,
        "ia3": UNSHOWN,
        "untuned": WORSE,
    }
    written = (out / "report.md").read_text()
    assert (
        "Statistically tied with full: lora (4,614 parameters in 13.8 s), dora (4,614 parameters in 13.8 s). The"
        in written
    )
    assert "Trained, but not shown to beat the untuned model: ia3." in written
    assert "Every pair of techniques" in written


def test_a_best_score_that_is_not_shown_to_beat_the_untuned_model_is_not_the_best(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 203), answered(tmp_path, "untuned", 200, trainable=0))
    assert judged(out) == {"full": BEST_UNSHOWN, "untuned": EQUAL}
    written = (out / "report.md").read_text()
    assert "Best score: full" in written and "- Best: " not in written and "★ **" not in written
    assert "Trained, but not shown to beat the untuned model: full." in written


def test_a_small_difference_that_is_real_is_close(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 400), answered(tmp_path, "lora", 392))
    assert judged(out) == {"full": BEST, "lora": CLOSE}


def test_seeds_are_averaged_and_only_common_ones_are_compared(study: Write, tmp_path: Path) -> None:
    out = study(
        answered(tmp_path, "full", 380, 0), answered(tmp_path, "full", 360, 1), answered(tmp_path, "lora", 300, 1)
    )
    (comparison,) = comparisons(read_study(out))
    tests = paired(comparison, answers_in(out))
    assert tests is not None
    assert tests.seeds == (1,)
    assert tests.differences[0].value == pytest.approx(0.15)


def test_what_cannot_be_tested_is_named(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 300), answered(tmp_path, "freeze", 200))
    (tmp_path / "runs" / "tiny--emotion--freeze--s0" / "predictions.jsonl").write_text("{damaged")
    build(out)
    written = (out / "report.md").read_text()
    assert "Not tested: freeze, because its predictions cannot be read." in written
    assert "Clearly worse than full: lora." in written


def test_techniques_that_were_asked_other_questions_are_not_compared(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 300))
    (comparison,) = comparisons(read_study(out))
    answers = answers_in(out)
    guess, gold = answers["tiny--emotion--lora--s0"] or ([], [])
    answers["tiny--emotion--lora--s0"] = (guess, gold[::-1])
    assert paired(comparison, answers) is None


# The fast way against the plain one -----------------------------------------------------------------------------------


def exchanged(one: list[Any], other: list[Any], sides: np.ndarray) -> tuple[list[Any], list[Any]]:
    pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(one, other, sides, strict=True)]
    return [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize(
    "name", ["accuracy", "weighted_f1", "macro_f1", "entity_f1", "token_f1", "perplexity", "pearson"]
)
def test_the_products_give_the_numbers_of_exchanging_and_drawing_one_by_one(name: str) -> None:
    """Three techniques with two seeds, scored by the metric's library after each exchange and each resample."""
    metric, make = METRICS[name], KINDS[name][0]
    rng = random.Random(3)
    gold: list[Any] = []
    runs: list[list[list[Any]]] = [[[], []] for _ in range(3)]
    while len(gold) < 40:
        given, references = make(rng)
        if name == "pearson" and max(given) > 100:
            continue
        gold += references
        for run in itertools.chain(*runs):
            kept = [rng.random() < 0.6 for _ in given]
            run += [a if keep else b for a, b, keep in zip(given, rng.sample(given, len(given)), kept, strict=True)]
    if name == "entity_f1":  # tags of a sentence fit its length
        runs = [[[tags_like(row, rng) for row in gold] for _ in seeds] for seeds in runs]
    if name == "perplexity":
        runs = [
            [
                [{**row, "response_nll": row["response_nll"] * rng.uniform(0.9, 1.1)} for row in runs[0][0]]
                for _ in seeds
            ]
            for seeds in runs
        ]
    outcome = trials.outcome(metric, _statistics(metric, [[(run, gold) for run in seeds] for seeds in runs]), 25)

    def value(seeds: list[list[Any]], references: list[Any]) -> float:
        return float(np.mean([metric.compute(run, references) for run in seeds]))

    (sides,), (weights,) = draws.sides(len(gold), 25), draws.weights(len(gold), 25)
    drawn = [np.repeat(np.arange(len(gold)), row) for row in weights]
    for at, (one, other) in enumerate(itertools.combinations(runs, 2)):
        observed = value(one, gold) - value(other, gold)
        assert outcome.differences[at] == pytest.approx(observed, abs=1e-12)
        extreme = 1
        for row in sides:
            both = [exchanged(a, b, row) for a, b in zip(one, other, strict=True)]
            changed = value([a for a, _ in both], gold) - value([b for _, b in both], gold)
            extreme += abs(changed) >= abs(observed) - 1e-12
        assert outcome.ps[at] == pytest.approx(extreme / 26, abs=1e-12)
        resampled = [
            value([[run[n] for n in row] for run in one], [gold[n] for n in row])
            - value([[run[n] for n in row] for run in other], [gold[n] for n in row])
            for row in drawn
        ]
        assert outcome.intervals[at] == pytest.approx(np.percentile(resampled, [2.5, 97.5]), abs=1e-9)


def test_counts_are_summed_exactly_where_a_class_is_rare_everywhere_or_nowhere() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.0, 0.01, 0.3, 1.0])  # of the examples that have any of each statistic
    counts = rng.integers(0, 4, (3, 2, 200, 4)) * (rng.random((200, 4)) < shares)
    for weights in (rng.integers(0, 5, (7, 200)), rng.random((7, 200)) < 0.5):
        expected = np.einsum("tsek,re->tskr", counts, weights.astype(int))
        assert np.array_equal(trials._Product(counts.astype(float)).sums(weights), expected)


@pytest.mark.parametrize("name", ["weighted_f1", "pearson", "token_f1"])
def test_the_number_of_threads_changes_no_bit(name: str) -> None:
    rng = random.Random(5)
    cases = [KINDS[name][0](rng) for _ in range(60)]
    gold = [reference for _, references in cases for reference in references]
    runs = [(rng.sample(given := [p for guess, _ in cases for p in guess], len(given)), gold) for _ in range(5)]
    statistics = _statistics(METRICS[name], [[run] for run in runs])
    outcomes = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            outcomes.append(trials.outcome(METRICS[name], statistics, 600))
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(*outcomes, strict=True))


def tags_like(row: list[str], rng: random.Random) -> list[str]:
    return [tag if rng.random() < 0.7 else rng.choice(["O", "B-PER", "I-LOC"]) for tag in row]


def test_techniques_that_differ_in_two_answers_are_judged_by_these_alone() -> None:
    """Two of four ways to exchange them give the whole difference: rounding must not break that tie."""
    gold = [f"the cat sat on mat {n}" for n in range(300)]
    better = [text if n % 3 else text[:11] for n, text in enumerate(gold)]
    worse = [text[:7] if n in (7, 100) else text for n, text in enumerate(better)]
    (difference,) = differences("token_f1", better, worse, gold=gold)
    assert difference.p == pytest.approx(0.5, abs=0.02)


def test_accuracys_test_is_mcnemars_exact_one() -> None:
    """Exchanging answers of which one is right and one is wrong is a throw of a coin: both tests ask for its tails."""
    gold = ["joy"] * 300
    one = ["joy" if n < 240 else "fear" for n in range(300)]
    other = ["joy" if 18 <= n < 250 else "fear" for n in range(300)]
    (difference,) = differences("accuracy", one, other, gold=gold)
    exact = scipy.stats.binomtest(18, 28).pvalue
    assert difference.p == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / TRIALS))


# What is kept ---------------------------------------------------------------------------------------------------------


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    original = trials.outcome
    monkeypatch.setattr(
        trials, "outcome", lambda metric, *arguments: calls.append(metric.name) or original(metric, *arguments)
    )
    return calls


def test_a_report_made_again_tests_nothing_twice_and_says_the_same(
    study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 300), answered(tmp_path, "dora", 299))
    before = {name: (out / name).read_bytes() for name in ("report.md", "report.html", ".tests.json")}
    calls = counted(monkeypatch)
    build(out)
    assert calls == []
    assert {name: (out / name).read_bytes() for name in before} == before


def test_other_answers_are_tested_again(study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 300))
    calls = counted(monkeypatch)
    answered(tmp_path, "lora", 379)
    build(out)
    assert calls == ["accuracy"]
    assert "statistically tied" in (out / "report.md").read_text()
    assert len(json.loads((out / ".tests.json").read_text())) == 1


@pytest.mark.parametrize("damaged", ["{", "[1]", '{"x": 1}'])
def test_what_was_kept_and_is_damaged_is_made_again(damaged: str, study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 300))
    whole = (out / ".tests.json").read_bytes()
    (out / ".tests.json").write_text(damaged)
    build(out)
    assert (out / ".tests.json").read_bytes() == whole


def test_rescoring_believes_nothing_that_was_kept(
    study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 300))
    calls = counted(monkeypatch)
    build_rescored(out)
    assert calls == ["accuracy"]


def test_an_undefined_interval_is_kept_as_such(study: Write, tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    undefined = trials.TrialOutcome(np.array([0.1]), np.array([1.0]), np.array([[np.nan, np.nan]]))
    kept.outcome(["a"], lambda: undefined)
    kept.save()
    again = Kept(tmp_path).outcome(["a"], lambda: pytest.fail("it was kept"))
    assert np.isnan(again.intervals).all()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_comparisons_examined_side_by_side_say_the_same_and_are_kept(
    study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = study(
        *(
            answered(tmp_path, technique, right, task=task)
            for task in ("emotion", "sentiment", "ner")
            for technique, right in (("full", 380), ("lora", 300))
        )
    )
    before = {name: (out / name).read_bytes() for name in ("report.md", "report.html", ".tests.json")}
    (out / ".tests.json").unlink()
    calls = counted(monkeypatch)
    monkeypatch.setattr(processes, "MANY", 0)
    monkeypatch.setattr("tunebench.report.processes.cpu_count", lambda: 2)
    build(out)
    assert calls == []  # not in this process
    assert {name: (out / name).read_bytes() for name in before} == before


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_what_is_examined_side_by_side_comes_in_order_and_a_bug_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunebench.report.processes.cpu_count", lambda: 2)
    results = list(processes.each(lambda number: (number, os.getpid()), 5, processes.MANY))
    assert [number for number, _ in results] == list(range(5))
    assert os.getpid() not in {process for _, process in results}
    with pytest.raises(ZeroDivisionError):
        list(processes.each(lambda number: 1 // number, 5, processes.MANY))


def test_few_runs_are_examined_here() -> None:
    assert set(processes.each(lambda number: os.getpid(), 5, processes.MANY - 1)) == {os.getpid()}


def test_draws_are_the_same_whether_they_are_kept_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [list(draw(30, 700)) for draw in (draws.sides, draws.weights)]
    monkeypatch.setattr(draws, "_KEPT", 0)
    redrawn = [list(draw(30, 700)) for draw in (draws.sides, draws.weights)]
    for one, other in zip(itertools.chain(*kept), itertools.chain(*redrawn), strict=True):
        assert (one == other).all()


def test_an_answer_with_any_character_in_it_is_read_whole(study: Write, tmp_path: Path) -> None:
    result = done("full", 0.9)
    path = tmp_path / "runs" / result.run.id / "predictions.jsonl"
    path.parent.mkdir(parents=True)
    texts = ["one\u2028two", "three\x85four", "\u2029", "five\x0bsix\x1c", "a\nb\r"]
    rows = [{"id": n, "prediction": text, "reference": "x"} for n, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert read_answers(study(result), result.run.id) == (texts, ["x"] * len(texts))
