"""Time to the target, latency and the Pareto fronts of a comparison, by their written rules."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from tests.contracts.runs import make, make_run
from tests.records import Write, done, run_info
from tunebench._util.files import read_json, write_json
from tunebench.engine import measure, train
from tunebench.engine.cut import Cut, TrunkCosts
from tunebench.engine.events import Testing
from tunebench.engine.frozen_trunk import KeptStates
from tunebench.engine.measure import Spent
from tunebench.records import Cost, Done, Epoch, Retimed, RetimedCell, write_result, write_retimed
from tunebench.report import build
from tunebench.report.charts.base import looks
from tunebench.report.charts.cost import cost_chart
from tunebench.report.read.comparisons import Comparison, comparisons
from tunebench.report.read.costs import PRICES, front, fronts, seconds_to_target, target, time_noise
from tunebench.report.read.study import read_study
from tunebench.report.read.timing import Clock
from tunebench.run.cost import Sitting, cost_until_now, spent
from tunebench.run.load import LoadWatch
from tunebench.run.pause import paused
from tunebench.run.record import _cost

pytestmark = pytest.mark.usefixtures("undrawn")

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


def test_what_a_study_asks_for_is_a_cost_where_it_was_measured(study: Write) -> None:
    def comparison(out: Path) -> Comparison:
        (found,) = comparisons(read_study(out))
        return found

    asked = ("price", "energy", "forgetting", "drift")
    plain = only(study, run("full", 0.9, [0.9]), run("lora", 0.8, [0.8]))
    assert not {name for names in fronts(plain).values() for name in names} & {*asked}

    out = study(
        run("full", 0.9, [0.9], forgetting_nats=3.4, energy_kwh=0.2),
        run("lora", 0.8, [0.8], forgetting_nats=0.02, energy_kwh=0.1),
        run("ia3", 0.7, [0.7], forgetting_nats=0.1, energy_kwh=0.3),
        run("prefix_tuning", 0.6, [0.6], forgetting_nats=-0.007),
    )
    found = {label: {*names} & {*asked} for label, names in fronts(comparison(out)).items()}
    assert found == {
        "full": {"forgetting", "energy"},
        "lora": {"forgetting", "energy"},
        "ia3": set(),
        "prefix_tuning": {"forgetting"},  # which forgets less than nothing
    }
    chart = cost_chart(comparison(out), looks(["full", "lora", "ia3", "prefix_tuning"]))
    assert chart is not None and {"energy", "forgetting"} <= {*chart.views}
    forgotten = {row["technique"]: row["forgetting, text"] for row in chart.rows}
    assert forgotten["full"] == "+3.4" and forgotten["prefix_tuning"] == "-0.007"
    write_json(out / "plan.json", {**(read_json(out / "plan.json") or {}), "price_per_hour": 2.0})
    assert all("price" in names for label, names in fronts(comparison(out)).items() if label == "full")
    assert "forgetting" in (build(out).with_suffix(".md")).read_text("utf-8")


def test_a_cost_that_one_seed_lacks_is_none_of_the_technique(study: Write) -> None:
    half = done("full", 0.9, 1)
    measured = half.model_copy(update={"cost": half.cost.model_copy(update={"forgetting_nats": 1.0})})
    comparison = only(study, done("full", 0.9), measured)
    price = next(price for price in PRICES if price.name == "forgetting")
    assert price.of(comparison, comparison.rows[0]) is None


def test_latency_is_that_of_the_merged_model_where_there_is_one(study: Write) -> None:
    out = study(
        run("full", 0.9, [0.9], latency_seconds=0.010),
        run("lora", 0.8, [0.8], latency_seconds=0.015, merged_latency_seconds=0.0088),
    )
    (comparison,) = comparisons(read_study(out))
    assert [row.label for row in front(comparison, BY_NAME["latency"])] == ["lora", "full"]
    written = (out / "report.md").read_text()
    for shown in ("Latency, merged", "10 ms", "15 ms", "8.8 ms"):
        assert shown in written


def test_records_from_before_latency_was_measured_have_no_such_columns(study: Write) -> None:
    assert "Latency |" not in (study(run("full", 0.9, [0.9])) / "report.md").read_text()


# Noise and load -------------------------------------------------------------------------------------------------------


def test_memory_that_differs_by_noise_alone_beats_nothing(study: Write) -> None:
    comparison = only(
        study,
        run("full", 0.9, [0.9], peak_memory_bytes=1000),
        run("lora", 0.9, [0.9], peak_memory_bytes=960),  # as good, and cheaper by 4 %: both stay
        run("ia3", 0.8, [0.8], peak_memory_bytes=955),  # worse, and hardly cheaper
        run("head", 0.8, [0.8], peak_memory_bytes=500),
    )
    assert [row.label for row in front(comparison, BY_NAME["memory"])] == ["head", "lora", "full"]


def test_times_within_the_spread_of_seeds_are_equal(study: Write) -> None:
    seeds = [run("full", 0.9, [0.9], seed, train_seconds=spent) for seed, spent in enumerate((80.0, 100.0, 120.0))]
    cheaper = [run("lora", 0.9, [0.9], seed, train_seconds=spent) for seed, spent in enumerate((70.0, 88.0, 106.0))]
    comparison = only(study, *seeds, *cheaper)
    assert time_noise(comparison) == pytest.approx((40 / 101.5 + 36 / 89.5) / 2)
    assert {row.label for row in front(comparison, BY_NAME["tuning"])} == {"full", "lora"}
    assert time_noise(only(study, seeds[0], cheaper[0])) == 0.05


QUIET: dict[str, Any] = {"waiting_share": 0.02, "other_workers": 0.0}
LOADED: list[dict[str, Any]] = [
    {"waiting_share": 0.5, "other_workers": 0.0},
    {"waiting_share": 0.02, "other_workers": 1.0},
]


@pytest.mark.parametrize("load", LOADED)
def test_what_was_measured_under_unequal_load_is_marked_and_compared_by_cpu_seconds(
    load: dict[str, Any], study: Write
) -> None:
    out = study(
        run("full", 0.9, [0.9], train_seconds=60.0, tuning_cpu_seconds=100.0, **QUIET),
        run("lora", 0.9, [0.9], train_seconds=90.0, tuning_cpu_seconds=70.0, **load),
        run("untuned", 0.3),
    )
    (comparison,) = comparisons(read_study(out))
    assert comparison.unequal_load
    assert comparison.clock is Clock.CPU
    assert {row.label: row.train_seconds for row in comparison.rows} == {"full": 100.0, "lora": 70.0, "untuned": 0.0}
    assert "lora" in [row.label for row in front(comparison, BY_NAME["tuning"])]
    assert "full" not in [row.label for row in front(comparison, BY_NAME["tuning"])]
    written = (out / "report.md").read_text()
    for shown in ("measured under unequal load; techniques are compared by CPU seconds", "Tuning, CPU", "of CPU time"):
        assert shown in written


def test_equal_load_and_records_that_do_not_know_it_are_compared_by_wall_clock_seconds(study: Write) -> None:
    near: dict[str, Any] = {"waiting_share": 0.1, "other_workers": 0.4, "tuning_cpu_seconds": 9.0}
    for results in (
        [run("full", 0.9, [0.9], **QUIET, tuning_cpu_seconds=9.0), run("lora", 0.9, [0.9], **near)],
        [run("full", 0.9, [0.9]), run("lora", 0.9, [0.9])],
    ):
        out = study(*results)
        (comparison,) = comparisons(read_study(out))
        assert (comparison.unequal_load, comparison.clock) == (False, Clock.WALL)
        assert "unequal load;" not in (out / "report.md").read_text()


def test_unequal_load_on_a_gpu_is_marked_but_no_clock_replaces_it(study: Write) -> None:
    results = [
        run(name, 0.9, [0.9], tuning_cpu_seconds=9.0, waiting_share=share, other_workers=0.0).model_copy(
            update={"environment": {"device": "NVIDIA H200"}}
        )
        for name, share in (("full", 0.0), ("lora", 0.5))
    ]
    out = study(*results)
    (comparison,) = comparisons(read_study(out))
    assert (comparison.unequal_load, comparison.clock) == (True, Clock.WALL)
    assert "no other clock measured them" in (out / "report.md").read_text()


def retimed(label: str, seconds: float, low: float, high: float, **more: Any) -> RetimedCell:
    run_id = f"tiny--emotion--{label}--s0"
    return RetimedCell(run=run_id, rounds=3, seconds=seconds, low=low, high=high, threads=2, busy_cores=0.1, **more)


RETIMED = (
    retimed("full", 0.2, 0.19, 0.21),
    retimed("lora", 0.1, 0.09, 0.13, trunk_seconds=7.0),
    retimed("tfidf", 5.0, 5.0, 5.0, baseline=True),
)


def test_retimed_steps_are_what_tuning_times_are_compared_by(study: Write) -> None:
    out = study(
        run("full", 0.9, [0.9], seed=0, steps=1000, **QUIET),
        run("full", 0.9, [0.9], seed=1, steps=500, **LOADED[0]),
        run("lora", 0.9, [0.9], steps=1000, **QUIET),
        run("tfidf", 0.8, [], train_seconds=9.0, steps=0, **QUIET),
    )
    write_retimed(out, Retimed(cells=RETIMED))
    build(out)
    (comparison,) = comparisons(read_study(out))
    assert comparison.clock is Clock.RETIMED
    assert {row.label: row.train_seconds for row in comparison.rows} == {"full": 150.0, "lora": 107.0, "tfidf": 5.0}
    assert time_noise(comparison) == pytest.approx(0.1)  # the median of 0.1, 0.4 and 0
    written = (out / "report.md").read_text()
    assert "measured under unequal load; techniques are compared by re-timed steps" in written
    assert "(re-timed)" in written and "Tuning, re-timed" in written
    assert "while other processes kept at most 0.1 cores busy" in written

    write_retimed(out, Retimed(cells=RETIMED[1:]))
    (comparison,) = comparisons(read_study(out))
    assert comparison.clock is Clock.WALL, "not all techniques are measured, and CPU seconds are unknown"


def test_the_report_says_what_trunks_cost_the_study_once(study: Write) -> None:
    out = study(
        run("head", 0.9, [0.9], computed_trunk_seconds=2.5),
        run("cosine head", 0.9, [0.9], computed_trunk_seconds=0.0),
    )
    assert "Paid once per study: 2.5 s for all trunks of this table." in (out / "report.md").read_text()


# Sittings -------------------------------------------------------------------------------------------------------------


def sitting(
    seconds: float, train_trunk: float = 0.0, inside: float = 0.0, memory: int = 700, gpu_memory: int | None = None
) -> Sitting:
    """A process's part of a run, whose threads kept two cores busy."""
    trunks = TrunkCosts({"train": Spent(train_trunk, 2 * train_trunk)}, computed=0.5, inside=Spent(inside, 2 * inside))
    return Sitting(Spent(seconds, 2 * seconds), measure.Peaks(memory, gpu_memory), trunks)


def test_the_costs_of_a_run_add_up_over_its_sittings_whether_it_was_paused_or_killed(tmp_path: Path) -> None:
    state = train.State(seconds={"train": 30.0, "evaluation": 4.0}, cpu_seconds={"train": 60.0, "evaluation": 8.0})
    first = cost_until_now(tmp_path, state, sitting(40.0, 3.0, 3.5))
    assert (first.trunk_seconds, first.total_seconds) == (3.0, 39.5)
    assert (first.tuning_cpu_seconds, first.total_cpu_seconds) == (66.0, 79.0)

    before = spent(state, sitting(38.0, 3.0, 3.5, 900, 50))
    killed = train.State(seconds=state.seconds, cpu_seconds=state.cpu_seconds, earlier=before)
    second = cost_until_now(tmp_path, killed, sitting(10.0, 3.0, 0.25))
    assert (second.trunk_seconds, second.train_seconds) == (3.0, 30.0)  # the trunk is charged once
    assert second.total_seconds == 34.5 + 9.75 + 3.0
    assert second.computed_trunk_seconds == 1.0
    assert (second.peak_memory_bytes, second.peak_gpu_memory_bytes) == (900, 50)

    write_result(
        tmp_path, paused(run_info("full"), "1 of 5 epochs is trained", state, first)
    )  # it knows of two seconds after the checkpoint
    assert cost_until_now(tmp_path, killed, sitting(10.0, 3.0, 0.25)).total_seconds == 36.5 + 9.75 + 3.0


def test_the_memory_of_a_run_is_at_least_that_of_the_pass_that_it_reads(tmp_path: Path) -> None:
    trunks = TrunkCosts()
    for split, memory in (
        ("validation", 5000),
        ("train", 800),
        ("test", 5000),
    ):  # the others' may be of another technique
        trunks.add(split, KeptStates(torch.empty(0), Spent(), measure.Peaks(memory, 60), computed=False), Spent())
    for own, expected in ((700, (800, 60)), (900, (900, 60))):
        cost = cost_until_now(tmp_path, train.State(), Sitting(Spent(9.0), measure.Peaks(own, 50), trunks))
        assert (cost.peak_memory_bytes, cost.peak_gpu_memory_bytes) == expected


def test_a_whole_run_that_took_less_than_its_training_is_no_record(tmp_path: Path) -> None:
    outcome = SimpleNamespace(state=train.State(seconds={"train": 30.0, "evaluation": 4.0}))
    with pytest.raises(AssertionError, match=r"the whole run took 16\.0 s, but its parts 34\.0 s"):
        _cost(tmp_path, cast(Any, outcome), sitting(16.0))


# Trunks ---------------------------------------------------------------------------------------------------------------


def test_a_head_costs_the_same_alone_as_a_later_reader_of_a_trunk_and_with_a_larger_test_split(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(Spent, "now", lambda: Spent(clock[0], 2 * clock[0]))

    def taking(seconds: float, work: Any) -> Any:
        def timed(*arguments: Any) -> Any:
            clock[0] += seconds
            return work(*arguments)

        return timed

    monkeypatch.setattr(Cut, "_compute", taking(8.0, Cut._compute))  # a batch of the trunk
    monkeypatch.setattr(train, "_step", taking(1.0, train._step))

    def head(test_rows: int, rate: float, cache: Path, folder: str) -> Cost:
        task = {"name": "emotion", "rows": {"test": test_rows}}
        technique = {"name": "classifier_head", "learning_rate": rate}
        run = make_run(backbones["bert"], data_root, task, technique, evaluation_batch_tokens=64)
        return make(run, tmp_path / folder, cache=cache).cost

    alone = head(4, 1e-3, tmp_path / "own", "alone")
    first = head(4, 1e-3, tmp_path / "shared", "first")
    later = head(4, 2e-3, tmp_path / "shared", "later")
    large = head(36, 1e-3, tmp_path / "large", "large")

    costs = [alone, first, later, large]
    assert alone.trunk_seconds > 8 and alone.test_trunk_seconds and large.test_trunk_seconds
    assert len({(cost.trunk_seconds, cost.train_seconds, cost.evaluation_seconds) for cost in costs}) == 1
    assert {cost.tuning_cpu_seconds for cost in costs} == {2 * (alone.trunk_seconds + alone.train_seconds)}
    assert alone.total_seconds == first.total_seconds == later.total_seconds < large.total_seconds
    assert alone.test_trunk_seconds == later.test_trunk_seconds
    assert alone.test_trunk_seconds < large.test_trunk_seconds
    trunks = alone.trunk_seconds + (alone.validation_trunk_seconds or 0) + alone.test_trunk_seconds
    assert [cost.computed_trunk_seconds for cost in (alone, first, later)] == [trunks, trunks, 0]
    assert alone.evaluation_seconds == alone.validation_trunk_seconds


# Load -----------------------------------------------------------------------------------------------------------------


def test_other_workers_are_those_that_make_runs_of_the_study_at_the_same_time(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name, process in (("other", os.getppid()), ("killed", dead.pid)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f".running.{process}").touch()
    with LoadWatch(tmp_path / "mine") as load:
        assert load.until_now().other_workers is None
        load.observe(Testing())
        assert load.until_now().other_workers == 1
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="only Linux says how long a thread has waited")
def test_a_process_that_shares_its_core_waits_for_it(tmp_path: Path) -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity")
    cores = os.sched_getaffinity(0)
    others = []
    try:
        os.sched_setaffinity(0, {min(cores)})
        with LoadWatch(tmp_path / "run") as load:
            others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                pass
            share = load.until_now().waiting_share
    finally:
        os.sched_setaffinity(0, cores)
        for process in others:
            process.kill()
            process.wait()
    assert share is not None
    assert 0.4 < share <= 1


def test_a_run_records_its_load_and_its_cpu_seconds(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones["bert"], data_root, "emotion", "full"), tmp_path / "runs" / "one")
    assert done.cost.total_cpu_seconds is not None and done.cost.tuning_cpu_seconds is not None
    assert 0 < done.cost.tuning_cpu_seconds < done.cost.total_cpu_seconds
    assert done.cost.other_workers == 0
    assert len(done.environment["load_average"]) == 2
    assert done.cost.left_behind_bytes is not None


# Memory ---------------------------------------------------------------------------------------------------------------


def test_what_earlier_runs_left_behind_is_not_a_runs_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_levels", [])
    peaks = []
    kept = []
    for _ in range(4):
        measure.begin_memory()
        work = torch.ones(40_000_000)
        peaks.append(measure.Peaks().memory)
        del work
        kept.append(torch.ones(20_000_000))  # as a leak
    assert measure.left_behind() > 120_000_000
    assert max(peaks[1:]) < 1.05 * min(peaks[1:])
