"""Time to the target, latency and the Pareto fronts of a comparison, by their written rules."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.records import Write, done, run_info
from tunebench.engine import measure, train
from tunebench.records import Done, Epoch, write_result
from tunebench.report.read.comparisons import Comparison, comparisons
from tunebench.report.read.costs import PRICES, front, fronts, seconds_to_target, target
from tunebench.report.read.study import read_study
from tunebench.run.pause import cost_until_now, paused, spent
from tunebench.run.record import _cost

BY_NAME = {price.name: price for price in PRICES}


def run(technique: str, value: float, scores: Sequence[float | None] = (), seed: int = 0, **costs: Any) -> Done:
    """A run whose epochs took 10 seconds each, after 1.5 seconds of prefix."""
    result = done(technique, value, seed, trainable=4_614 if scores else 0, **costs.pop("options", {}))
    known = [score for score in scores if score is not None]
    better = (max if result.main_metric.higher_is_better else min)(known, default=None)
    changes: dict[str, Any] = {
        "history": [
            Epoch(epoch=n + 1, train_loss=1.0, validation={"accuracy": score}, seconds=10.0)
            for n, score in enumerate(scores)
        ],
        "best_epoch": scores.index(better) + 1 if known else None,
        "cost": result.cost.model_copy(update=costs),
    }
    return result.model_copy(update=changes)


def only(study: Write, *results: Done) -> Comparison:
    (comparison,) = comparisons(read_study(study(*results)))
    return comparison


def to_target(comparison: Comparison) -> dict[str, list[float | None]]:
    return {row.label: seconds_to_target(comparison, row.done) for row in comparison.rows}


def test_the_target_is_95_percent_of_the_best_validation_and_reached_by_the_first_epoch_at_it(study: Write) -> None:
    curves = [run("full", 0.9, [0.5, 0.76, 0.8]), run("lora", 0.9, [0.77, 0.7]), run("head", 0.9, [0.5, 0.759])]
    comparison = only(study, *curves)
    assert target(comparison) == pytest.approx(0.76)
    expected = {"full": [pytest.approx(21.5)], "lora": [pytest.approx(11.5)], "head": [None]}
    assert to_target(comparison) == expected


def test_what_has_no_epochs_reaches_the_target_in_the_time_of_its_fitting(study: Write) -> None:
    comparison = only(study, run("full", 0.9, [0.5, 0.8]), run("tfidf", 0.9, train_seconds=2.0), run("lead3", 0.1))
    assert target(comparison) == pytest.approx(0.855)
    assert to_target(comparison) == {"full": [None], "tfidf": [pytest.approx(3.5)], "lead3": [None]}


def test_what_never_reaches_the_target_is_shown_as_not_reached(study: Write) -> None:
    out = study(run("full", 0.9, [0.5, 0.8]), run("lora", 0.9, [0.5, None]))
    (comparison,) = comparisons(read_study(out))
    assert to_target(comparison) == {"full": [pytest.approx(21.5)], "lora": [None]}
    written = (out / "report.md").read_text()
    assert "not reached" in written
    assert "To target (95 % of the best)" in written


def test_seeds_that_do_not_all_reach_the_target_have_no_mean(study: Write) -> None:
    out = study(
        run("full", 0.9, [0.8, 0.8], 0),
        run("full", 0.9, [0.8, 0.8], 1),
        run("lora", 0.9, [0.8, 0.8], 0),
        run("lora", 0.9, [0.5, 0.5], 1),
    )
    (comparison,) = comparisons(read_study(out))
    assert to_target(comparison) == {"full": [pytest.approx(11.5)] * 2, "lora": [pytest.approx(11.5), None]}
    assert "1 of 2 seeds" in (out / "report.md").read_text()
    assert [row.label for row in front(comparison, BY_NAME["target"])] == ["full"]


def test_a_low_perplexity_is_reached_from_above(study: Write) -> None:
    options = {"higher_is_better": False}
    comparison = only(
        study,
        run("full", 20, [30, 20], options=options),
        run("lora", 21, [21, 25], options=options),
        run("head", 22, [22, 22], options=options),
    )
    assert target(comparison) == pytest.approx(20 / 0.95)
    assert to_target(comparison) == {"full": [pytest.approx(21.5)], "lora": [pytest.approx(11.5)], "head": [None]}


def test_a_best_score_that_is_not_above_zero_is_no_target(study: Write) -> None:
    assert target(only(study, run("full", -0.1, [-0.2, -0.1]))) is None


def test_the_front_holds_what_nothing_is_cheaper_and_better_than(study: Write) -> None:
    comparison = only(
        study,
        run("full", 0.9, [0.9], saved_bytes=100),
        run("lora", 0.9, [0.9], saved_bytes=10),  # as good, and cheaper: full is out
        run("twin", 0.9, [0.9], saved_bytes=10),  # the same: both stay
        run("head", 0.7, [0.7], saved_bytes=2),
        run("worse", 0.6, [0.6], saved_bytes=2),  # as cheap as the head, and worse
        run("dear", 0.8, [0.8], saved_bytes=50),
        run("untuned", 0.3, saved_bytes=0),
    )
    assert [row.label for row in front(comparison, BY_NAME["saved"])] == ["untuned", "head", "lora", "twin"]
    assert "saved" in fronts(comparison)["head"]
    assert "saved" not in fronts(comparison)["full"]


def test_the_lowest_perplexity_is_the_best_of_a_front(study: Write) -> None:
    options = {"higher_is_better": False}
    comparison = only(
        study,
        run("full", 20, [20], saved_bytes=100, options=options),
        run("lora", 30, [30], saved_bytes=10, options=options),
        run("head", 40, [40], saved_bytes=20, options=options),
    )
    assert [row.label for row in front(comparison, BY_NAME["saved"])] == ["lora", "full"]


def test_a_cost_or_a_score_that_is_missing_has_no_place_on_a_front(study: Write) -> None:
    comparison = only(study, run("full", 0.9, [0.9]), done("lora", None))
    assert front(comparison, BY_NAME["latency"]) == []
    assert [row.label for row in front(comparison, BY_NAME["tuning"])] == ["full"]


def test_latency_is_that_of_the_merged_model_where_there_is_one(study: Write) -> None:
    out = study(
        run("full", 0.9, [0.9], latency_seconds=0.010),
        run("lora", 0.8, [0.8], latency_seconds=0.015, merged_latency_seconds=0.0098),
    )
    (comparison,) = comparisons(read_study(out))
    assert [row.label for row in front(comparison, BY_NAME["latency"])] == ["lora", "full"]
    written = (out / "report.md").read_text()
    for shown in ("Latency, merged", "10 ms", "15 ms", "9.8 ms"):
        assert shown in written


def test_records_from_before_latency_was_measured_have_no_such_columns(study: Write) -> None:
    assert "Latency |" not in (study(run("full", 0.9, [0.9])) / "report.md").read_text()


# Sittings -------------------------------------------------------------------------------------------------------------


def test_the_costs_of_a_run_add_up_over_its_sittings_whether_it_was_paused_or_killed(tmp_path: Path) -> None:
    peaks = measure.Peaks(700, None)
    state = train.State(seconds={"train": 30.0, "evaluation": 4.0})
    first = cost_until_now(tmp_path, state, 3.0, 40.0, peaks)
    assert (first.trunk_seconds, first.total_seconds) == (3.0, 40.0)

    killed = train.State(seconds=state.seconds, earlier=spent(state, 3.0, 38.0, measure.Peaks(900, 50)))
    second = cost_until_now(tmp_path, killed, 0.5, 10.0, peaks)
    assert (second.trunk_seconds, second.train_seconds, second.total_seconds) == (3.5, 30.0, 48.0)
    assert (second.peak_memory_bytes, second.peak_gpu_memory_bytes) == (900, 50)

    write_result(tmp_path, paused(run_info("full"), 5, state, first))  # it knows of two seconds after the checkpoint
    assert cost_until_now(tmp_path, killed, 0.5, 10.0, peaks).total_seconds == 50.0


def test_a_whole_run_that_took_less_than_its_training_is_no_record(tmp_path: Path) -> None:
    outcome = SimpleNamespace(
        state=train.State(seconds={"train": 30.0, "evaluation": 4.0}), trunk_seconds=0.0, peaks=measure.Peaks()
    )
    with pytest.raises(AssertionError, match=r"the whole run took 16\.0 s, but its parts 34\.0 s"):
        _cost(tmp_path, cast(Any, outcome), 16.0)
