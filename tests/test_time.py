"""Techniques are timed side by side, and nothing else changes."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import LocatedRun, job_of, make, make_run
from tunebench._util.errors import UserError
from tunebench._util.files import write_json
from tunebench.cli import app as cli
from tunebench.engine import train
from tunebench.engine.batching import plan_evaluation
from tunebench.engine.cut import Cut
from tunebench.engine.measure import Spent
from tunebench.records import Retimed, RetimedCell, read_retimed, write_retimed
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.study import read_study
from tunebench.report.read.timing import Clock
from tunebench.run import timing
from tunebench.run.cell import Cell
from tunebench.run.prepare import Prepared, prepare, training_of
from tunebench.run.timing import Turn, measured
from tunebench.tasks import load as data
from tunebench.techniques.base import Trained

pytestmark = pytest.mark.usefixtures("undrawn")


def prepared_of(run: LocatedRun, folder: Path) -> Prepared:
    job = job_of(run, folder)
    examples = data.load(job.places.located(run.task), job.places.data_root)
    return prepare(job, Cell.of(run, job.places), examples, lambda event: None)


# A turn ---------------------------------------------------------------------------------------------------------------


def test_timed_steps_move_no_weight(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "full")
    prepared = prepared_of(run, tmp_path)
    assert isinstance(run.entry, Trained)
    before = {name: weight.clone() for name, weight in prepared.model.state_dict().items()}
    spent = train.seconds_per_step(training_of(prepared, run.entry), run.training, run.seed, 1, 2)
    assert spent > 0
    after = prepared.model.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_seconds_per_step_leave_the_warm_up_out(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "lora")
    clock = [0.0]

    def step(*arguments: Any) -> float:
        clock[0] += 100.0 if arguments[-1] < 2 else 0.5
        return 0.0

    monkeypatch.setattr(train, "_step", step)
    monkeypatch.setattr(Spent, "now", lambda: Spent(clock[0], 0.0))
    prepared = prepared_of(run, tmp_path)
    assert isinstance(run.entry, Trained)
    assert train.seconds_per_step(training_of(prepared, run.entry), run.training, run.seed, 2, 30) == 0.5


def test_a_sample_of_its_batches_gives_the_seconds_of_a_trunks_pass(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "classifier_head", evaluation_batch_tokens=64)
    clock, compute = [0.0], Cut._compute
    calls: list[int] = []

    def timed(self: Cut, inputs: Any) -> Any:
        calls.append(inputs["input_ids"].numel())
        clock[0] += inputs["input_ids"].numel()
        return compute(self, inputs)

    monkeypatch.setattr(Cut, "_compute", timed)
    monkeypatch.setattr(Spent, "now", lambda: Spent(clock[0], 0.0))
    prepared = prepared_of(run, tmp_path)
    lengths = prepared.features["train"].lengths
    plan = plan_evaluation(lengths, 64)
    whole = sum(len(batch) * max(lengths[index] for index in batch) for batch in plan)
    assert len(plan) > 3
    prepared.cut.source("train")
    calls.clear()
    assert prepared.cut.seconds_of_pass("train", 3) == pytest.approx(whole)
    assert len(calls) == 4  # the first one is a warm-up
    assert prepared.cut.seconds_of_pass("train", 10_000) == pytest.approx(whole)


def test_a_model_without_a_trunk_has_no_pass(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    prepared = prepared_of(make_run(backbones["bert"], data_root, "emotion", "full"), tmp_path)
    assert prepared.cut.seconds_of_pass("train", 3) == 0


# What is kept ---------------------------------------------------------------------------------------------------------


def stubbed(monkeypatch: pytest.MonkeyPatch, *turns: Turn | BaseException) -> None:
    def take(out: Path, request: Any) -> Iterator[Turn]:
        for turn in turns:
            if isinstance(turn, BaseException):
                raise turn
            yield turn

    monkeypatch.setattr(timing, "turns_of", take)


def test_the_median_over_rounds_is_kept_with_its_spread_and_other_techniques_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = RetimedCell(run="old", rounds=1, seconds=9.0, low=9.0, high=9.0, threads=1, busy_cores=0.0)
    again = old.model_copy(update={"run": "a"})
    write_retimed(tmp_path, Retimed(cells=(old, again), left_out={"b": "it failed then"}))
    turns = [
        Turn(run="a", seconds=0.3, trunk_seconds=2.0, threads=2, busy_cores=0.1),
        Turn(run="c", reason="the loss is nan"),
        Turn(run="a", seconds=0.1, trunk_seconds=4.0, threads=2, busy_cores=0.7),
        Turn(run="c", skipped=True),
        Turn(run="a", seconds=0.2, trunk_seconds=3.0, threads=2, busy_cores=0.2),
    ]
    stubbed(monkeypatch, *turns)
    assert list(measured(tmp_path, [], 3)) == turns
    kept = read_retimed(tmp_path)
    assert kept is not None
    new = RetimedCell(run="a", rounds=3, seconds=0.2, low=0.1, high=0.3, trunk_seconds=3.0, threads=2, busy_cores=0.7)
    assert kept.cells == (old, new)
    assert kept.left_out == {"b": "it failed then", "c": "the loss is nan"}
    assert math.isclose(new.spread, 1.0)
    assert math.isclose(new.tuning(100), 23.0)


def test_an_interruption_keeps_what_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed(monkeypatch, Turn(run="a", seconds=0.3), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        list(measured(tmp_path, [], 3))
    kept = read_retimed(tmp_path)
    assert kept is not None
    assert [(cell.run, cell.rounds) for cell in kept.cells] == [("a", 1)]


def test_a_damaged_file_of_times_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "timing.json").write_text('{"cells": [{"run": 3}]}')
    assert read_retimed(tmp_path) is None


# The command ----------------------------------------------------------------------------------------------------------


def finished_study(out: Path, backbone: Path, data_root: Path, *techniques: Any) -> list[str]:
    """The folder of a study with one seed, all finished."""
    runs = [make_run(backbone, data_root, "emotion", technique) for technique in techniques]
    for run in runs:
        make(run, out / "runs" / run.id, cache=out / "cache")
    planned = [run.planned("bert").model_dump() for run in runs]
    write_json(out / "plan.json", {"study": "mine", "command": "tunebench run", "runs": planned, "cells": []})
    return [run.id for run in runs]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["tunebench", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_study_is_timed_and_its_report_uses_the_times(
    backbones: dict[str, Path],
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = finished_study(
        tmp_path, backbones["bert"], data_root, "untuned", "tfidf", "lora", {"name": "classifier_head"}
    )
    kept = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert call(monkeypatch, "time", str(tmp_path), "--rounds", "2") == 0
    assert {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()} == kept
    printed = capsys.readouterr().out
    for shown in ("6 turns of 3 techniques", "[6/6] emotion · classifier_head", "per step", "for its fit", " left)"):
        assert shown in printed
    retimed = read_retimed(tmp_path)
    assert retimed is not None
    assert [(cell.run, cell.rounds, cell.baseline) for cell in retimed.cells] == [
        (names[1], 2, True),
        (names[2], 2, False),
        (names[3], 2, False),
    ]
    assert retimed.cells[2].trunk_seconds > 0 == retimed.cells[1].trunk_seconds
    (comparison,) = comparisons(read_study(tmp_path))
    assert comparison.clock is Clock.RETIMED
    assert "Tuning, re-timed" in (tmp_path / "report.md").read_text()


def test_nothing_to_time_is_one_sentence(
    backbones: dict[str, Path],
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finished_study(tmp_path, backbones["bert"], data_root, "untuned")
    assert call(monkeypatch, "time", str(tmp_path)) == 2
    assert "no technique that trained is finished" in capsys.readouterr().err
    assert call(monkeypatch, "time", str(tmp_path), "--only", "bert/*/x") == 2
    assert "--only 'bert/*/x' matches none" in capsys.readouterr().err


def test_the_death_of_the_process_that_measures_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "_CHILD", "import sys; sys.exit(7)")
    with pytest.raises(UserError, match=r"ended with code 7; timing\.log shows its last output"):
        list(measured(tmp_path, [], 1))
