"""Paired tests, their correction, the groups and the verdicts: against other implementations, and by planted cases."""

import itertools
import json
import math
import os
import random
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from tests.records import Write, answers_in, done
from tests.test_metrics import KINDS
from tunebench.cli.app import app
from tunebench.evaluation.metrics import METRICS
from tunebench.evaluation.variances import Variances
from tunebench.report import build, build_rescored, processes
from tunebench.report.options import Options
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.costs import PRICES, front
from tunebench.report.read.predictions import read_answers
from tunebench.report.read.study import read_study
from tunebench.report.stats import draws, trials
from tunebench.report.stats.corrections import Number, StudentizedRange
from tunebench.report.stats.intervals import expected_interval
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.letters import letters
from tunebench.report.stats.paired import TRIALS, Difference, _differences, _statistics, paired
from tunebench.report.stats.verdicts import (
    BELOW,
    BEST,
    BEST_UNSHOWN,
    CLEARLY,
    EQUIVALENT,
    TIED,
    UNSHOWN,
    WORSE,
    judge,
)

pytestmark = pytest.mark.usefixtures("undrawn")


def classes(rng: np.random.Generator, accuracy: float, gold: list[str]) -> list[str]:
    return [label if rng.random() < accuracy else str(rng.choice(["joy", "fear", "love"])) for label in gold]


def differences(metric: str, *answers: list[Any], gold: list[Any]) -> tuple[Difference, ...]:
    statistics = _statistics(METRICS[metric], [[(guess, gold)] for guess in answers])
    pairs = [*itertools.combinations(range(len(answers)), 2)]
    outcome = trials.outcome(METRICS[metric], statistics, pairs, TRIALS)
    labels = [str(n) for n in range(len(answers))]
    return _differences(METRICS[metric], labels, pairs, outcome, pairs, StudentizedRange(len(answers)))


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", pytest.param("weighted_f1", marks=pytest.mark.full)])
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
        encoded, statistic, permutation_type="samples", n_resamples=400, vectorized=False, rng=1
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
    assert (difference.value, difference.p) == (0.0, 1.0)
    assert difference.interval == pytest.approx((-1.96 / 60, 1.96 / 60), rel=0.03)  # sixty examples show no more
    assert difference.adjusted == pytest.approx(1.0, abs=1e-4)


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


@pytest.mark.parametrize("techniques", [2, 3, 7, 40])
def test_the_choice_of_the_best_is_corrected_by_the_studentised_range(techniques: int) -> None:
    freedom = np.array([1.0, 2.0, 3.7, 12.0, 400.0])
    quantiles = StudentizedRange(techniques).quantile(freedom) * math.sqrt(2)
    assert scipy.stats.studentized_range.sf(quantiles, techniques, freedom) == pytest.approx(0.05, rel=5e-3)
    ts = np.array([0.3, 2.0, 3.1, 4.0, 5.5])
    expected = scipy.stats.studentized_range.sf(ts * math.sqrt(2), techniques, freedom)
    found = StudentizedRange(techniques).adjusted(2 * scipy.stats.t.sf(ts, freedom), freedom)
    assert found == pytest.approx(expected, rel=5e-3, abs=1e-6)


def test_two_techniques_need_no_correction() -> None:
    ps = np.array([1.0, 0.5, 0.05, 1e-4])
    assert StudentizedRange(2).adjusted(ps, np.inf) == pytest.approx(ps, rel=1e-3)
    assert Number(1).adjusted(ps, 7.0) == pytest.approx(ps)


def test_comparisons_with_the_untuned_model_are_corrected_for_their_number() -> None:
    freedom = np.array([2.5, 30.0, np.inf])
    assert Number(6).adjusted(np.array([0.01, 0.3]), np.inf).tolist() == pytest.approx([0.06, 1.0])
    assert Number(6).quantile(freedom) == pytest.approx(scipy.stats.t.isf(0.05 / 12, freedom), rel=1e-4)


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


def judged(out: Path, margin: float = 0.01) -> dict[str, str | None]:
    (comparison,) = comparisons(read_study(out))
    tests = paired(comparison, answers_in(out), options=Options(margin))
    return {row.label: judge(comparison, row, tests) for row in comparison.rows}


def test_verdicts_on_one_seed_follow_the_written_rule_and_are_about_these_runs(study: Write, tmp_path: Path) -> None:
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
        "lora": TIED,
        "dora": TIED,
        "freeze": CLEARLY,
        "ia3": UNSHOWN,
        "untuned": CLEARLY,
    }
    written = (out / "report.md").read_text()
    assert "| Verdict (in this run)" in written
    assert (
        "Statistically tied with full in this run: lora (4,614 parameters in 13.8 s), dora (4,614 parameters in 13.8 s)"
        in written
    )
    assert "Trained, but not shown to beat the untuned model in this run: ia3." in written
    assert "Differences between techniques" in written
    assert "the verdicts are about these runs, not about the techniques. Nothing is known of the variation" in written


def test_a_best_score_that_is_not_shown_to_beat_the_untuned_model_is_not_the_best(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 203), answered(tmp_path, "untuned", 200, trainable=0))
    assert judged(out) == {"full": BEST_UNSHOWN, "untuned": TIED}
    written = (out / "report.md").read_text()
    assert "Best score in this run: full" in written and "- Best: " not in written and "★ **" not in written
    assert "Trained, but not shown to beat the untuned model in this run: full." in written


def test_a_small_difference_that_is_real_is_worse_and_within_the_margin_it_is_equivalent(
    study: Write, tmp_path: Path
) -> None:
    out = study(answered(tmp_path, "full", 400), answered(tmp_path, "lora", 392))
    assert judged(out) == {"full": BEST, "lora": WORSE}
    assert judged(out, margin=0.05) == {"full": BEST, "lora": EQUIVALENT}
    assert judged(out, margin=0.005) == {"full": BEST, "lora": CLEARLY}
    build(out, Options(margin=0.05))
    assert "Equivalent to full in this run (within 0.0500): lora (4,614" in (out / "report.md").read_text()


def test_of_a_perplexity_the_margin_is_a_share_of_the_best(study: Write, tmp_path: Path) -> None:
    """A ratio of 1.02 on every text."""
    runs, answers = [], {}
    for name, factor in (("full", 0.0), ("lora", math.log(1.02))):
        result = done(name, 20 * math.exp(factor), higher_is_better=False)
        main = result.main_metric.model_copy(update={"name": "perplexity"})
        runs.append(result.model_copy(update={"main_metric": main}))
        likelihoods = [{"response_nll": 10 * (math.log(20) + factor) + n % 2, "response_tokens": 10} for n in range(50)]
        answers[result.run.id] = [{"prediction": given, "reference": ""} for given in likelihoods]
    out = study(*runs, answers=answers)
    assert judged(out)["lora"] == CLEARLY
    assert judged(out, margin=0.03)["lora"] == EQUIVALENT


def seeded(folder: Path, technique: str, rights: list[int], spread: int = 37, **options: Any) -> list[Any]:
    """One result per seed; each seed errs elsewhere."""
    return [
        answered(folder, technique, right, seed, shift=(spread * seed + len(technique)) % 400, **options)
        for seed, right in enumerate(rights)
    ]


def test_verdicts_on_several_seeds_are_about_the_techniques(study: Write, tmp_path: Path) -> None:
    out = study(
        *seeded(tmp_path, "full", [380, 381, 379]),
        *seeded(tmp_path, "lora", [377, 382, 372]),
        *seeded(tmp_path, "freeze", [301, 300, 299]),
        *seeded(tmp_path, "ia3", [201, 198, 204]),
        *seeded(tmp_path, "tanh", [101, 98, 104]),
        *seeded(tmp_path, "untuned", [200, 200, 200], spread=0, trainable=0),
    )
    assert judged(out) == {
        "full": BEST, "lora": TIED, "freeze": CLEARLY, "ia3": UNSHOWN, "tanh": BELOW, "untuned": CLEARLY
    }  # fmt: skip
    written = (out / "report.md").read_text()
    assert "in this run" not in written and "not about the techniques." not in written
    assert "95 % interval over seeds and test examples [" in written


def test_seeds_of_one_technique_that_differ_are_no_difference_between_techniques(study: Write, tmp_path: Path) -> None:
    """Single runs differ significantly, which says nothing of the techniques."""
    out = study(
        *seeded(tmp_path, "full", [370, 330, 350], spread=0), *seeded(tmp_path, "lora", [330, 340, 300], spread=0)
    )
    assert judged(out) == {"full": BEST, "lora": TIED}
    for seed in (1, 2):
        for name in ("full", "lora"):
            (tmp_path / "runs" / f"tiny--emotion--{name}--s{seed}" / "result.json").unlink()
    assert judged(out)["lora"] == CLEARLY


def test_a_missing_seed_never_turns_a_verdict_against_the_better_technique(study: Write, tmp_path: Path) -> None:
    """Over all its seeds lora is worse; on the seeds that both have, it is better."""
    runs = [*seeded(tmp_path, "full", [320, 322, 390, 392]), *seeded(tmp_path, "lora", [350, 352])]
    out = study(*runs)
    (comparison,) = comparisons(read_study(out))
    tests = paired(comparison, answers_in(out))
    assert tests is not None and tests.seeds == (0, 1)
    (difference,) = tests.differences
    assert (difference.first, difference.value) == ("lora", pytest.approx(30 / 400))
    assert judge(comparison, comparison.ranked[0], tests) == BEST
    assert "Techniques are ranked and tested on seeds 0, 1, which all of them have." in (out / "report.md").read_text()


def test_a_row_that_lost_its_seeds_is_not_judged_and_leaves_the_verdicts_of_the_others(
    study: Write, tmp_path: Path
) -> None:
    """LoRA has one seed, which is even the best: judged with it, all verdicts would be about single runs."""
    others = [*seeded(tmp_path, "full", [380, 381, 379]), *seeded(tmp_path, "freeze", [301, 300, 299])]
    out = study(*others, *seeded(tmp_path, "lora", [399]))
    assert judged(out) == {"full": BEST, "freeze": CLEARLY, "lora": None}
    (comparison,) = comparisons(read_study(out))
    assert comparison.seeds == (0, 1, 2)
    assert [row.label for row in comparison.short] == ["lora"]
    assert comparison.best[0].label == "full"
    written = (out / "report.md").read_text()
    assert "Not judged: lora, which has finished 1 of 1 seed" in written
    assert "in this run" not in written
    assert "lora" not in {row.label for row in front(comparison, PRICES[0])}


def test_forty_techniques_can_be_told_apart(study: Write, tmp_path: Path) -> None:
    rows = [answered(tmp_path, f"t{n:02}", 390 - 4 * n) for n in range(39)]
    verdicts = judged(study(*rows, answered(tmp_path, "untuned", 100, trainable=0)))
    assert verdicts["t00"] == BEST
    assert verdicts["t38"] == verdicts["untuned"] == CLEARLY
    assert not any("untuned" in words for words in verdicts.values() if words)


def test_the_setting_that_is_best_on_validation_speaks_for_its_technique(study: Write, tmp_path: Path) -> None:
    """Ten settings are as good as their rival; the luckiest on test does not stand above it."""
    grid = []
    for n, right in enumerate([340, 352, 335, 338, 345, 350, 342, 339, 341, 344]):
        made = answered(tmp_path, f"lora rate={n}", right, settings={"learning_rate": n})
        made = made.model_copy(update={"run": made.run.model_copy(update={"technique": "lora"})})
        grid.append(validated(made, 0.86 if n == 4 else 0.85))
    out = study(*grid, validated(answered(tmp_path, "full", 346, shift=5), 0.8))
    (comparison,) = comparisons(read_study(out))
    assert [row.label for row in comparison.ranked] == ["full", "lora rate=4"]
    tests = paired(comparison, answers_in(out))
    assert tests is not None and tests.tested == ("full", "lora rate=4")
    written = (out / "report.md").read_text()
    assert "lora rate=4 (best of 10 settings on validation)" in written and "lora rate=1 (other setting)" in written
    assert "Settings chosen on validation: lora rate=4 (of 10). The other settings of this technique are not" in written
    (every,) = comparisons(read_study(out), each_setting=True)
    assert every.ranked[0].label == "lora rate=1" and len(every.ranked) == 11


def validated(result: Any, score: float) -> Any:
    last = result.history[-1].model_copy(update={"validation": {"accuracy": score}})
    return result.model_copy(update={"history": [result.history[0], last]})


def test_rows_of_a_technique_with_other_training_are_no_settings_of_it(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "lora", 380), answered(tmp_path, "lora", 300, id="b", training={"epochs": 30}))
    (comparison,) = comparisons(read_study(out))
    assert len(comparison.ranked) == 2


def test_all_pairs_change_no_verdict_and_letters_agree_with_them(study: Write, tmp_path: Path) -> None:
    rights = {"full": 380, "lora": 374, "dora": 355, "ia3": 330, "freeze": 200}
    out = study(*(answered(tmp_path, name, right, shift=n * 7) for n, (name, right) in enumerate(rights.items())))
    (comparison,) = comparisons(read_study(out))
    some = paired(comparison, answers_in(out))
    every = paired(comparison, answers_in(out), options=Options(pairs=True))
    assert some is not None and every is not None
    assert (len(some.differences), len(every.differences), some.groups) == (4, 10, {})
    for row in comparison.rows:
        words = judge(comparison, row, every)
        assert words == judge(comparison, row, some)
        assert (words in (BEST, TIED)) == ("a" in every.groups[row.label])
    build(out, Options(pairs=True))
    assert "every pair" in (out / "report.md").read_text()


def test_a_reader_chooses_the_margin_and_the_pairs_on_the_command_line(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 400), answered(tmp_path, "lora", 392))
    ran = CliRunner().invoke(app, ["report", str(out), "--margin", "0.05", "--pairs"])
    written = (out / "report.md").read_text()
    assert ran.exit_code == 0 and EQUIVALENT in written and "every pair" in written
    assert CliRunner().invoke(app, ["report", str(out), "--margin", "-1"]).exit_code == 2


def test_a_report_says_how_many_seeds_would_settle_it_if_the_study_knows(study: Write, tmp_path: Path) -> None:
    other = [done(name, value, seed, task="ner") for name in ("full", "lora") for seed, value in enumerate((0.8, 0.82))]
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 360), *other)
    line = next(line for line in (out / "report.md").read_text().splitlines() if "Each technique has one seed" in line)
    assert "between seeds is 0.0141 (pooled over 2 techniques of ner with tiny): about " in line
    assert re.search(r"about \d+ seeds each would show a difference of 0.0500 in four of five studies", line)


def test_what_cannot_be_tested_is_named(study: Write, tmp_path: Path) -> None:
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 300), answered(tmp_path, "freeze", 200))
    (tmp_path / "runs" / "tiny--emotion--freeze--s0" / "predictions.jsonl").write_text("{damaged")
    build(out)
    written = (out / "report.md").read_text()
    assert "Not tested: freeze, because its predictions cannot be read." in written
    assert "Clearly worse than full in this run (by more than 0.0100): lora." in written


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
    pairs = [*itertools.combinations(range(3), 2)]
    answers = [[(run, gold) for run in seeds] for seeds in runs]
    outcome = trials.outcome(metric, _statistics(metric, answers), pairs, 25)

    def value(seeds: list[list[Any]], references: list[Any]) -> float:
        return float(np.mean([metric.compute(run, references) for run in seeds]))

    (sides,) = draws.sides(len(gold), 25)
    for at, (one, other) in enumerate(itertools.combinations(runs, 2)):
        observed = value(one, gold) - value(other, gold)
        assert outcome.differences[at] == pytest.approx(observed, abs=1e-12)
        changes = []
        for row in sides:
            both = [exchanged(a, b, row) for a, b in zip(one, other, strict=True)]
            changes.append(value([a for a, _ in both], gold) - value([b for _, b in both], gold))
        extreme = 1 + sum(abs(changed) >= abs(observed) - 1e-12 for changed in changes)
        tail = 3.178 * 2 * scipy.stats.norm.sf(abs(observed) / math.sqrt(np.mean(np.square(changes))))
        assert outcome.ps[at] == pytest.approx(min(extreme / 26, tail), abs=1e-9)


def left_out(seeds: list[list[Any]], gold: list[Any], compute: Any) -> np.ndarray:
    """(seeds, examples): the metric without each example."""
    return np.array(
        [[compute(run[:n] + run[n + 1 :], gold[:n] + gold[n + 1 :]) for n in range(len(gold))] for run in seeds]
    )


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "pearson"])
def test_variances_are_those_of_leaving_out_one_example_at_a_time(name: str) -> None:
    rng, metric = np.random.default_rng(5), METRICS[name]
    if name == "pearson":
        gold: list[Any] = rng.normal(size=30).tolist()
        runs = [[list(np.array(gold) + rng.normal(size=30)) for _ in range(3)] for _ in range(2)]
    else:
        gold = [str(label) for label in rng.choice(["joy", "fear", "love"], 30)]
        runs = [[classes(rng, 0.7, gold) for _ in range(3)] for _ in range(2)]
    variances = Variances(metric, _statistics(metric, [[(run, gold) for run in seeds] for seeds in runs]))
    without = [left_out(seeds, gold, metric.compute) for seeds in runs]
    rows = np.concatenate(without)
    covariance = 29 / 30 * (rows - rows.mean(1, keepdims=True)) @ (rows - rows.mean(1, keepdims=True)).T
    within = [covariance[at, bt] for at, bt in itertools.permutations(range(3), 2)]
    within += [covariance[at, bt] for at, bt in itertools.permutations(range(3, 6), 2)]
    examples = max(2 * float(np.mean(within)) - 2 * float(covariance[:3, 3:].mean()), 0.0)
    scores = np.array([[metric.compute(run, gold) for run in seeds] for seeds in runs])
    unseen = 0.0 if name == "pearson" else 1 / 30**2
    expected = math.sqrt(scores.var(axis=1, ddof=1).sum() / 3 + examples + unseen)
    errors, freedom = variances.of_differences(np.array([0]), np.array([1]))
    assert errors[0] == pytest.approx(expected, rel=1e-9)
    assert 2 <= freedom[0] <= 29


def test_the_variance_of_a_difference_is_right_on_average() -> None:
    """Accuracies that vary with the seed, the example, and both."""
    rng = np.random.default_rng(1)
    differences, squares = [], []
    for _ in range(600):
        hard = rng.normal(size=80) + 0.5 * rng.normal(size=(2, 1, 80)) + rng.normal(size=(2, 3, 80))
        right = (hard < 1 + 0.2 * rng.normal(size=(2, 3, 1))).astype(float)
        variances = Variances(METRICS["accuracy"], np.stack([right, np.ones_like(right)], axis=-1))
        differences.append(variances.scores.mean(axis=1) @ [1, -1])
        squares.append(float(variances.of_differences(np.array([0]), np.array([1]))[0][0]) ** 2)
    assert np.mean(squares) == pytest.approx(np.var(differences), rel=0.15)


def test_an_interval_of_a_fraction_is_wilsons_where_its_error_is_that_of_a_share() -> None:
    expected = scipy.stats.binomtest(57, 60).proportion_ci(method="wilson")
    found = expected_interval(METRICS["accuracy"], 0.95, math.sqrt(0.95 * 0.05 / 60), math.inf, 60)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-6)
    low, high = expected_interval(METRICS["accuracy"], 1.0, 0.0, math.inf, 60)
    assert low < 1 and high == pytest.approx(1.0)


def test_intervals_of_correlations_and_perplexities_stay_where_they_are_possible() -> None:
    low, high = expected_interval(METRICS["pearson"], 0.97, 0.02, 2.0, 50)
    assert -1 < low < 0.97 < high < 1
    low, high = expected_interval(METRICS["perplexity"], 20.0, 8.0, 2.0, 50)
    assert 0 < low < 20 < high


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
            outcomes.append(trials.outcome(METRICS[name], statistics, [*itertools.combinations(range(5), 2)], 600))
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


def test_examples_of_one_group_count_as_one(study: Write, tmp_path: Path) -> None:
    """Forty texts with ten equal questions each are forty examples."""
    out = study(answered(tmp_path, "full", 380), answered(tmp_path, "lora", 340))
    (comparison,) = comparisons(read_study(out))
    alone = paired(comparison, answers_in(out))
    grouped = paired(comparison, answers_in(out), groups=[n // 10 for n in range(400)])
    assert alone is not None and grouped is not None
    assert (alone.examples, grouped.examples) == (400, 40)
    (one,), (other,) = alone.differences, grouped.differences
    assert one.value == other.value
    assert one.p < 1e-4 < 0.05 < other.p  # four groups differ: 2 / 2^4
    assert other.error == pytest.approx(one.error * math.sqrt(10), rel=0.2)


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
    answered(tmp_path, "lora", 374)
    build(out)
    assert calls == ["accuracy"]
    assert "Statistically tied" in (out / "report.md").read_text()
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
    undefined = trials.TrialOutcome(np.array([0.1]), np.array([1.0]), *[np.array([np.nan])] * 5)
    kept.outcome(["a"], lambda: undefined)
    kept.save()
    again = Kept(tmp_path).outcome(["a"], lambda: pytest.fail("it was kept"))
    assert np.isnan(again.errors).all()


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
