"""`epochs: auto`: each technique gets the epochs that fit into the seconds of a reference, decided once."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunebench._util.errors import UserError
from tunebench._util.files import write_json
from tunebench.cli import app as cli
from tunebench.cli.options import opened_study
from tunebench.cli.settling import settled
from tunebench.records import EPOCHS, Done, TuningPace, read_epochs, read_result
from tunebench.run import epochs as settling
from tunebench.run.timing import Request, Turn
from tunebench.study import Places, Study, read_study

SECONDS = {"full": 1.0, "lora": 0.5, "classifier_head": 0.01, "llrd": 1.1, "ia3": 0.4}
"""Per step; the classifier head's trunk takes 12 s more."""
STEPS = 4  # per epoch


def study_of(*techniques: Any, training: Any = None, own: Any = None) -> Study:
    """A study of the shipped data; `own` is the experiment's training."""
    experiment = {"model": "pocket-bert", "task": "emotion", "techniques": list(techniques), "training": own or {}}
    training = {"epochs": "auto"} if training is None else training
    return Study.model_validate({"name": "s", "data": "embedded", "training": training, "experiments": [experiment]})


def times(monkeypatch: pytest.MonkeyPatch, failing: str | None = None) -> list[list[str]]:
    """Replaces the process that measures; returns what it is asked to time."""
    asked: list[list[str]] = []

    def take(out: Path, request: Request) -> Iterator[Turn]:
        for jobs in request.comparisons:
            asked.append([job.run.technique for job in jobs])
            for number in range(request.rounds):
                for job in jobs:
                    name, epochs = job.run.technique, job.run.training.epochs
                    if name == failing:
                        yield Turn(run=job.run.id, reason="the loss is nan")
                        continue
                    trunk = 12.0 if name == "classifier_head" else 0.0
                    slower = SECONDS[name] * (1 + number)
                    yield Turn(run=job.run.id, seconds=slower, trunk_seconds=trunk, steps=STEPS * epochs)

    monkeypatch.setattr(settling, "turns_of", take)
    return asked


def settle(study: Study, out: Path) -> dict[str, int]:
    """Technique -> its epochs, as `tunebench run` settles them."""
    out.mkdir(exist_ok=True)
    settling.settle(settling.settling(study, Places(), out).missing, Places(), out, lambda run, turn: None)
    return {run.technique: run.training.epochs for run in settling.settling(study, Places(), out).study(study).runs()}


# What a study says ----------------------------------------------------------------------------------------------------


def test_a_study_has_no_runs_before_its_epochs_are_settled() -> None:
    with pytest.raises(UserError, match=r"epochs: auto: no number is settled"):
        study_of("full").runs()


def test_settled_runs_are_those_of_a_study_that_writes_the_numbers() -> None:
    settled = study_of("tfidf", "lora", training={"epochs": "auto", "batch_size": 8}).settled({(0, 1): 12}).runs()
    (tfidf,) = study_of("tfidf", training={"epochs": 5, "batch_size": 8}).runs()
    (lora,) = study_of("lora", training={"epochs": 12, "batch_size": 8}).runs()
    assert [run.id for run in settled] == [tfidf.id, lora.id]
    assert "auto_epochs" not in settled[0].training.model_dump()


def test_an_experiment_may_say_auto_or_a_number_of_its_own() -> None:
    assert [run.training.epochs for run in study_of("full", training={"epochs": 3}).runs()] == [3]
    own = study_of("lora", training={"epochs": 3}, own={"epochs": "auto"})
    assert own.unsettled and own.unsettled[0].auto.epochs == 5


def test_an_experiments_number_replaces_the_studys_auto() -> None:
    auto = {"epochs": "auto", "auto_epochs": {"times": 2}}
    assert [run.training.epochs for run in study_of("full", training=auto, own={"epochs": 2}).runs()] == [2]


@pytest.mark.parametrize(
    ("training", "technique", "said"),
    [
        ({"epochs": "auto", "auto_epochs": {"times": 0.5}}, "full", "training.auto_epochs.times: it should be greater"),
        ({"epochs": "auto", "auto_epochs": {"epochs": 0}}, "full", "training.auto_epochs.epochs: it should be greater"),
        ({"epochs": "auto", "auto_epochs": {"reference": "lorra"}}, "full", "there is no technique 'lorra'"),
        ({"epochs": "auto", "auto_epochs": {"reference": "tfidf"}}, "full", "tfidf trains in no epochs"),
        ({"epochs": "auto", "auto_epochs": {"most": 3}}, "full", "there is no field 'most'"),
        ({"epochs": 5, "auto_epochs": {"times": 2}}, "full", "Write epochs: auto, or leave it out"),
        ({"auto_epochs": {"times": 2}}, "full", "Write epochs: auto, or leave it out"),
        ({"epochs": "automatic"}, "full", "training.epochs: it should be a valid integer"),
        ({"epochs": "auto"}, "tfidf", "none of these techniques trains, so there is nothing to measure"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(training: Any, technique: str, said: str, tmp_path: Path) -> None:
    experiment = {"model": "pocket-bert", "task": "emotion", "techniques": [technique]}
    write_json(tmp_path / "s.yaml", {"name": "s", "training": training, "experiments": [experiment]})
    with pytest.raises(UserError) as caught:
        read_study(str(tmp_path / "s.yaml"))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# How the numbers are settled ------------------------------------------------------------------------------------------


def test_a_technique_gets_the_epochs_that_fit_into_the_references_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch)
    found = settle(study_of("tfidf", "untuned", "classifier_head", "lora", "llrd", "full"), tmp_path)
    # 5 epochs of full take 20 s. LoRA takes half; the head's trunk leaves 8 s, and the limit is 15; llrd is slower.
    assert found == {"tfidf": 5, "untuned": 5, "classifier_head": 15, "lora": 10, "llrd": 5, "full": 5}


def test_a_trunk_is_paid_once_and_the_shortest_time_counts() -> None:
    pace = TuningPace(step_seconds=0.5, trunk_seconds=12.0, steps=4)
    assert pace.seconds(4) == 20.0
    assert (pace.epochs_within(20.0), pace.epochs_within(19.9)) == (4, 3)


def test_the_reference_and_its_epochs_and_the_limit_may_be_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = times(monkeypatch)
    auto = {"reference": "llrd", "epochs": 10, "times": 1.5}
    study = study_of("lora", "ia3", training={"epochs": "auto", "auto_epochs": auto})
    assert settle(study, tmp_path) == {"lora": 15, "ia3": 15}
    assert asked == [["llrd", "lora", "ia3"]]  # a reference that the study leaves out is timed, too


def test_numbers_are_decided_once_and_a_new_technique_is_timed_side_by_side_with_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = times(monkeypatch)
    assert settle(study_of("full", "lora"), tmp_path) == {"full": 5, "lora": 10}
    monkeypatch.setitem(SECONDS, "lora", 0.9)
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path, moved)
    assert settle(study_of("full", "lora"), moved) == {"full": 5, "lora": 10}
    assert settle(study_of("full", "lora", "ia3"), moved) == {"full": 5, "lora": 10, "ia3": 12}
    assert asked == [["full", "lora"], ["full", "ia3"]]


def test_another_limit_is_another_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch)
    assert settle(study_of("lora"), tmp_path) == {"lora": 10}
    less = study_of("lora", training={"epochs": "auto", "auto_epochs": {"times": 1.4}})
    assert settle(less, tmp_path) == {"lora": 7}
    assert settle(study_of("lora"), tmp_path) == {"lora": 10}


def test_what_cannot_be_measured_has_the_references_epochs_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, failing="ia3")
    assert settle(study_of("full", "ia3"), tmp_path) == {"full": 5, "ia3": 5}
    record = read_epochs(tmp_path)
    assert record is not None and [one.reason for one in record.techniques] == [None, "the loss is nan"]


def test_a_reference_that_cannot_be_measured_or_does_not_apply_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, failing="full")
    with pytest.raises(UserError, match=r"full on pocket-bert x emotion cannot be measured: the loss is nan"):
        settle(study_of("lora"), tmp_path)
    auto = {"epochs": "auto", "auto_epochs": {"reference": "prompt_tuning"}}
    study = study_of("lora", training=auto)
    monkeypatch.setattr(type(study.unsettled[0].reference.entry), "not_applicable", lambda *_: "no reason")
    with pytest.raises(UserError, match=r"its reference prompt_tuning is not applicable .*: no reason"):
        settle(study, tmp_path)


def test_a_damaged_record_is_no_reason_to_decide_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch)
    settle(study_of("lora"), tmp_path)
    (tmp_path / EPOCHS).write_text("{")
    with pytest.raises(UserError, match=r"epochs\.json: it is damaged"):
        settle(study_of("lora"), tmp_path)


def test_a_search_plans_its_trials_and_final_runs_for_the_same_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch)
    experiment = {"model": "pocket-bert", "task": "emotion", "techniques": ["lora", "full"]}
    content = {"name": "s", "data": "embedded", "search": {"trials": 2}, "training": {"epochs": "auto"}}
    study = Study.model_validate({**content, "experiments": [experiment]})
    settle(study, tmp_path)
    found = settling.settling(study, Places(), tmp_path).study(study)
    assert [one.run.training.epochs for one in found.searched()] == [10, 5]
    final = found.chosen({(0, 0): {"rank": 4}}).runs()
    assert {(run.technique, run.training.epochs) for run in final} == {("lora", 10), ("full", 5)}


# What a user sees -----------------------------------------------------------------------------------------------------


def test_the_plan_shows_the_range_and_after_it_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times(monkeypatch)
    path, out = tmp_path / "s.yaml", tmp_path / "out"
    experiment = {"model": "pocket-bert", "task": "emotion", "techniques": ["tfidf", "lora"]}
    write_json(path, {"name": "s", "data": "embedded", "training": {"epochs": "auto"}, "experiments": [experiment]})

    def epochs() -> tuple[str, list[int | None]]:
        capsys.readouterr()
        cli.app(["plan", str(path), "--out", str(out)], standalone_mode=False)
        shown = capsys.readouterr().out
        cli.app(["plan", str(path), "--out", str(out), "--json"], standalone_mode=False)
        return shown, [cell["epochs"] for cell in json.loads(capsys.readouterr().out)["cells"]]

    shown, numbers = epochs()
    assert "5 to 15" in shown and "are settled by 'tunebench run'" in shown and numbers == [None, None]
    out.mkdir()
    settled(opened_study(str(path), None, None, None), out)
    assert "lora: 10 epochs in about 20" in capsys.readouterr().out
    shown, numbers = epochs()
    assert "5 to 15" not in shown and numbers == [None, 10]


@pytest.mark.slow
def test_a_run_has_the_settled_epochs_and_a_second_command_makes_nothing_again(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    auto = {"epochs": 1, "times": 2}
    training = {"epochs": "auto", "auto_epochs": auto, "batch_size": 64, "patience": 9}
    experiment = {"model": str(backbones["bert"]), "task": "emotion", "techniques": ["classifier_head", "full"]}
    write_json(tmp_path / "s.yaml", {"name": "s", "training": training, "experiments": [experiment]})
    out, root = tmp_path / "out", ["--data-root", str(data_root)]
    cli.app(["run", str(tmp_path / "s.yaml"), "--out", str(out), *root], standalone_mode=False)
    assert "Settling epochs: auto. Timing 2 techniques" in capsys.readouterr().out
    record = read_epochs(out)
    assert record is not None
    decided = {one.technique: one.epochs for one in record.techniques}
    results = [read_result(folder) for folder in (out / "runs").iterdir()]
    trained = {one.run.technique: one.cost.epochs for one in results if isinstance(one, Done)}
    assert trained == decided and decided["full"] == 1
    page = (out / "report.md").read_text("utf-8")
    assert "Epochs: auto. Each technique may train for the epochs that fit into the seconds of 1 epoch of full" in page
    assert "budgets of the techniques differ" not in page
    out.rename(tmp_path / "moved")
    cli.app(["run", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "moved"), *root], standalone_mode=False)
    said = capsys.readouterr().out
    assert "Settling" not in said and "2 runs in" in said and "0 to make" in said
