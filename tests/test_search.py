"""A search: every technique declares what is worth trying, gets the same budget, and is chosen on validation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import write_data_root
from tunebench._util.errors import UserError
from tunebench._util.ranges import Range
from tunebench.advise.proposals import JOURNAL, Proposals, journal_in
from tunebench.advise.search import Searching
from tunebench.cli import app as cli
from tunebench.records import (
    SEARCH,
    Epoch,
    Failed,
    Paused,
    PausedCost,
    PlannedData,
    Result,
    SearchRecord,
    read_result,
    write_result,
)
from tunebench.run.job import Job
from tunebench.run.task_data import SeenData, TaskData
from tunebench.study import Study
from tunebench.tasks.base import Task
from tunebench.techniques import techniques

pytestmark = pytest.mark.usefixtures("undrawn")

RATE = Range(5e-4, 5e-5, 5e-3, log=True)
SPACE = {
    "learning_rate": RATE,
    "rank": Range(8, 4, 32, log=True, whole=True),
    "targets": Range(("query",), choices=(("query",), ("key",))),
}

# Spaces ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(techniques()) - {"peft"}))
def test_a_technique_declares_ranges_that_hold_its_defaults(name: str) -> None:
    entry = techniques()[name]()
    for objective in ("sequence_classification", "regression", "token_classification"):
        for setting, one in entry.space(objective, layers=6).items():
            assert type(entry).worth_searching()[setting].source
            for value in (one.default, *one.points):
                type(entry).model_validate({**entry.model_dump(), setting: value})
            inside = one.default in one.choices if one.choices else one.low <= one.default <= one.high  # type: ignore[operator]
            assert inside, setting


def test_every_technique_that_trains_searches_its_rate_and_baselines_what_they_fit() -> None:
    assert {name for name, entry in techniques().items() if "learning_rate" in entry.model_fields} == {
        name for name, entry in techniques().items() if "learning_rate" in entry.worth_searching()
    }
    tfidf = techniques()["tfidf"]()
    assert list(tfidf.space("sequence_classification", None)) == ["c"]
    assert list(tfidf.space("token_classification", None)) == ["crf_iterations"]


def test_the_depth_of_freezing_is_a_share_of_the_layers_and_stays_where_they_are_unknown() -> None:
    freeze = techniques()["freeze"]()
    assert freeze.space("regression", 12)["frozen_layers"].choices == (3, 6, 9)
    assert "frozen_layers" not in freeze.space("text_to_text", None)


def study_of(*chosen: Any, **changes: Any) -> Study:
    experiment = {"model": "pocket-bert", "task": "emotion", "techniques": list(chosen)}
    return Study.model_validate({"name": "s", "search": {"trials": 3}, "experiments": [experiment], **changes})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"low": "1e-4", "high": 3e-3, "log": True}, Range(5e-4, 1e-4, 3e-3, log=True)),
        ({"choices": ["1e-3", 5e-4]}, Range(5e-4, choices=(1e-3, 5e-4))),
        ({"choices": [1e-3, 2e-3], "default": 1e-3}, Range(1e-3, choices=(1e-3, 2e-3))),
    ],
)
def test_a_study_narrows_or_widens_a_range(written: Any, read: Range) -> None:
    (one,) = study_of({"name": "lora", "learning_rate": written}).searched()
    assert one.ranges == {"learning_rate": read}


def test_a_setting_with_one_value_is_not_searched() -> None:
    (one,) = study_of({"name": "lora", "rank": 4, "dropout": 0.1}).searched()
    assert one.fixed == {"rank", "dropout"}


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("learning_rate", {"low": 1e-2, "high": 1e-3}, "the range from 0.01 to 0.001 is empty"),
        ("learning_rate", {"low": 1e-2}, "is empty"),
        ("learning_rate", {"low": 1e-2, "high": 1e-1}, "does not hold 0.0005, with which the search begins"),
        ("learning_rate", {"low": 0, "high": 1e-1, "log": True}, "a logarithmic range begins above 0"),
        ("learning_rate", {"low": "x", "high": 1}, "unable to parse"),
        ("learning_rate", {"low": float("nan"), "high": 1}, "finite"),
        ("learning_rate", {"low": 1e-4, "high": 9}, "less than or equal to 1"),
        ("rank", {"choices": [4, 16]}, "does not hold 8"),
        ("rank", {"choices": [8, 0]}, "greater than or equal to 1"),
        ("rank", {"choices": [8], "low": 1}, "a range is {low: ..., high: ...} or {choices: [...]}"),
        ("targets", {"low": 1, "high": 3}, "it is no number"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(setting: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match="(?s)" + said.replace("{", r"\{").replace("[", r"\[")):
        study_of({"name": "lora", setting: value})


def test_a_range_without_a_search_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"experiments\[0\].techniques\[1\].rank: it is a range"):
        study_of("full", {"name": "lora", "rank": {"choices": [4, 8]}}, search=None)


@pytest.mark.parametrize("search", [{}, {"trials": 3, "seconds": 5}, {"trials": 0}, {"seconds": float("inf")}])
def test_a_search_has_one_budget(search: Any) -> None:
    with pytest.raises(ValueError, match=r"either trials|greater than|finite"):
        study_of("full", search=search)


def test_final_runs_have_fresh_seeds_and_the_chosen_settings() -> None:
    study = study_of("tfidf", {"name": "lora"})
    runs = study.chosen({(0, 1): {"rank": 16}}).runs()
    assert [run.seed for run in runs] == [0, 1, 2] * 2
    assert {run.entry.model_dump().get("rank") for run in runs} == {None, 16}
    assert {one.run.seed for one in study.searched()}.isdisjoint({0, 1, 2})
    assert {run.seed for run in study_of("tfidf", seeds=[7]).chosen({}).runs()} == {7}


# Proposals ------------------------------------------------------------------------------------------------------------


def proposed(folder: Path, sampler: str, reopened: bool) -> list[dict[str, Any]]:
    folder.mkdir()
    trials, settings = 8, []
    proposals = Proposals(journal_in(folder), "lora", SPACE, sampler, True, trials)
    for number in range(trials):
        given = proposals.propose()
        assert given is not None and given[0] == number
        settings.append(given[1])
        if reopened:
            proposals = Proposals(journal_in(folder), "lora", SPACE, sampler, True, trials)
            assert proposals.open == [given]
        proposals.tell(number, None if number == 2 else -abs(given[1]["learning_rate"] - 1e-3), {})
    return settings


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", pytest.param("gp", marks=pytest.mark.full)])
def test_a_search_that_is_killed_after_every_proposal_proposes_the_same_trials(tmp_path: Path, sampler: str) -> None:
    once = proposed(tmp_path / "once", sampler, reopened=False)
    again = proposed(tmp_path / "again", sampler, reopened=True)

    assert once == again
    assert once[0] == {name: one.default for name, one in SPACE.items()}, "the defaults come first"
    assert len({json.dumps(one) for one in once}) > len(once) - 2
    assert all(5e-5 <= one["learning_rate"] <= 5e-3 and one["rank"] in range(4, 33) for one in once)


def test_a_line_of_the_journal_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    proposals = Proposals(journal_in(tmp_path), "lora", SPACE, "random", True, 9)
    given = proposals.propose()
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"op_code": 4, "worker')

    again = Proposals(journal_in(tmp_path), "lora", SPACE, "random", True, 9)
    assert again.open == [given]
    again.tell(0, 0.5, {})
    assert [score for _, _, score, _ in again.ended] == [0.5]


def test_a_grid_ends_with_its_points(tmp_path: Path) -> None:
    space = {"targets": SPACE["targets"], "rank": Range(8, choices=(4, 8))}
    proposals = Proposals(journal_in(tmp_path), "lora", space, "grid", True, 9)
    settings = []
    while (given := proposals.propose()) is not None:
        settings.append(given[1])
        proposals.tell(given[0], 0.1, {})
    assert len(settings) == 4 == len({json.dumps(one) for one in settings})


# The scheduler --------------------------------------------------------------------------------------------------------

BUDGET = {"techniques": [{"name": "lora", "rank": 8, "targets": ["query"]}, {"name": "full"}, "untuned"]}


def score_of(job: Job) -> float:
    """Best at a rate of 1e-3, whatever the technique."""
    return 1.0 - abs(job.run.entry.learning_rate - 1e-3)  # type: ignore[attr-defined]


def outcome(job: Job, seconds: float = 2.0) -> Result:
    info = job.run.info(job.family)
    validation: dict[str, float | None] = {"weighted_f1": score_of(job)}
    epoch = Epoch(epoch=1, train_loss=1.0, validation=validation, seconds=seconds)
    cost = PausedCost(
        trunk_seconds=0, train_seconds=1, evaluation_seconds=0, total_seconds=seconds, peak_memory_bytes=1
    )
    return Paused(reason=Paused.TRIAL, run=info, epoch=1, best_epoch=1, history=[epoch], cost=cost)


class Data(TaskData):
    """Data of which only the fingerprint counts."""

    def __init__(self, fingerprint: str):
        self._fingerprint = fingerprint

    def of(self, task: Task) -> SeenData:
        return SeenData(PlannedData(task=task.name, source="none", rows={}), (), self._fingerprint)


def search_in(out: Path, fingerprint: str = "a", only: str | None = None, **search: Any) -> Searching:
    out.mkdir(exist_ok=True)
    study = study_of(*BUDGET["techniques"], search=search)
    assert study.search is not None
    techniques = study.searched()
    runs = None if only is None else [one.run for one in techniques if one.run.technique == only]
    return Searching(out, study.search, techniques, Data(fingerprint), study.places(), only=runs)


def made(search: Searching, result: Callable[[Job], Result] = outcome, most: int = 1000) -> list[str]:
    """Every trial is made at once; their order."""
    names = []
    while len(names) < most and (job := search.ask()) is not None:
        assert job.trial
        names.append(job.run.technique)
        search.tell(job, result(job))
    return names


def test_every_technique_with_a_space_has_the_same_number_of_trials(tmp_path: Path) -> None:
    search = search_in(tmp_path / "out", trials=4)
    assert (search.count, search.trials) == (2, 8)

    assert made(search) == ["lora", "full"] * 4
    assert search.finished
    record = SearchRecord.model_validate_json((tmp_path / "out" / SEARCH).read_text())
    assert [len(one.trials) for one in record.techniques] == [4, 4]
    for one in record.techniques:
        best = max(one.trials, key=lambda trial: trial.score or 0)
        assert one.chosen == best.settings
    assert set(search.chosen) == {(0, 0), (0, 1)}, "untuned has nothing to search"


def test_failed_trials_count_and_are_never_chosen(tmp_path: Path) -> None:
    def one_fails(job: Job) -> Result:
        if job.run.technique == "full":
            return Failed(reason="the loss is nan", run=job.run.info(job.family), environment={})
        return outcome(job)

    search = search_in(tmp_path / "out", trials=3)
    assert made(search, one_fails) == ["lora", "full"] * 3
    assert set(search.chosen) == {(0, 0)}
    record = SearchRecord.model_validate_json((tmp_path / "out" / SEARCH).read_text())
    assert [trial.reason for trial in record.techniques[1].trials] == ["the loss is nan"] * 3
    assert ("emotion · full", "no trial has a score, so the defaults are kept") in search.decisions


def test_seconds_are_the_same_for_every_technique(tmp_path: Path) -> None:
    search = search_in(tmp_path / "out", seconds=10)

    def costs(job: Job) -> Result:
        return outcome(job, seconds=5.0 if job.run.technique == "full" else 2.0)

    order = made(search, costs)
    assert (order.count("lora"), order.count("full")) == (5, 2)
    assert search.finished


def test_a_search_in_seconds_is_not_finished_while_a_trial_may_leave_some(tmp_path: Path) -> None:
    search = search_in(tmp_path / "out", only="lora", seconds=10)
    job = search.ask()
    assert job is not None
    assert search.seconds == 10
    assert search.ask() is None and not search.finished, "an executor that is released takes no further job"
    search.tell(job, outcome(job, seconds=9.0))
    assert search.seconds == 1
    job = search.ask()
    assert job is not None
    search.tell(job, outcome(job, seconds=9.0))
    assert search.ask() is None and search.finished


def test_a_search_of_some_techniques_keeps_the_choices_of_the_others(tmp_path: Path) -> None:
    assert made(search_in(tmp_path / "out", only="lora", trials=2)) == ["lora"] * 2
    search = search_in(tmp_path / "out", only="full", trials=2)
    assert made(search) == ["full"] * 2
    assert set(search.chosen) == {(0, 0), (0, 1)}
    record = SearchRecord.model_validate_json((tmp_path / "out" / SEARCH).read_text())
    assert [len(one.trials) for one in record.techniques] == [2, 2]


def test_other_data_or_another_model_begin_a_new_search(tmp_path: Path) -> None:
    search = search_in(tmp_path / "out", "a", trials=2)
    made(search, most=3)
    job = search.ask()
    assert job is not None
    write_result(Path(job.folder), outcome(job))  # killed before its outcome was noted

    assert made(search_in(tmp_path / "out", "b", trials=2)) == ["lora", "full"] * 2
    assert made(search_in(tmp_path / "out", "a", trials=2)) == []


@pytest.mark.parametrize("noted", [True, False], ids=["its outcome was written", "it was at work"])
def test_a_killed_search_continues_with_the_same_trials(tmp_path: Path, noted: bool) -> None:
    whole = search_in(tmp_path / "whole", trials=4)
    made(whole)

    killed = search_in(tmp_path / "killed", trials=4)
    made(killed, most=3)
    job = killed.ask()
    assert job is not None
    if noted:
        write_result(Path(job.folder), outcome(job))
    again = search_in(tmp_path / "killed", trials=4)
    left = ["lora", "full", "lora", "full"]
    assert made(again) == (left if noted else ["full", *left])

    one, other = ((tmp_path / name / SEARCH).read_text() for name in ("whole", "killed"))
    assert json.loads(one) == json.loads(other)


def code() -> Any:
    """The exit code of the command in `sys.argv`."""
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


# The command ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_process")
def test_a_study_is_searched_then_its_choices_are_trained_with_fresh_seeds(
    tmp_path: Path, backbones: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data_root = write_data_root(tmp_path / "data")
    study = tmp_path / "study.yaml"
    study.write_text(
        f"""
name: searched
seeds: [4]
search: {{trials: 2, sampler: random}}
training: {{epochs: 1}}
experiments:
  - model: {backbones["bert"]}
    task: emotion
    techniques: [tfidf, {{name: lora, targets: [query], rank: {{choices: [2, 4], default: 2}}}}]
"""
    )
    out = tmp_path / "out"
    command = ["tunebench", "run", str(study), "--out", str(out), "--data-root", str(data_root)]
    monkeypatch.setattr("sys.argv", command)

    assert code() == 0
    said = capsys.readouterr().out
    assert "Searching the settings of 2 techniques, 2 trials each" in said
    assert "4/4" in said and ": tried (about" in said
    record = SearchRecord.model_validate_json((out / SEARCH).read_text())
    finals = [read_result(folder) for folder in sorted((out / "runs").iterdir())]
    for one in record.techniques:
        (final,) = [result for result in finals if result and result.run.technique == one.technique]
        assert final.status == "done" and final.run.seed == 4
        assert one.chosen is not None and one.chosen.items() <= final.run.settings.items()
    folders = [*(out / "trials").glob("*/*")]
    assert len(folders) == 4
    for folder in folders:
        assert not (folder / "predictions.jsonl").exists(), "a trial reads no test split"
        assert not [*folder.glob("*.safetensors"), *folder.glob("resume")], "its weights are of no further use"
    report = (out / "report.md").read_text()
    assert "How the settings were found" in report
    assert "untuned rates" not in report

    assert code() == 0
    said = capsys.readouterr().out
    assert "Searching" not in said
    assert "2 runs in" in said and "0 to make" in said


def test_a_mistake_is_known_before_the_search_begins(
    tmp_path: Path, backbones: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of("full", experiments=[{"model": str(backbones["bert"]), "task": "emotion", "techniques": ["full"]}])
    path = tmp_path / "study.yaml"
    path.write_text(study.model_dump_json(include={"name"})[:-1] + ', "search": {"trials": 2}, "experiments": '
                    + json.dumps([{"model": str(backbones["bert"]), "task": {"objective": "regression",
                                   "data": str(tmp_path / "none.csv")}, "techniques": ["full"]}]) + "}")  # fmt: skip
    monkeypatch.setattr("sys.argv", ["tunebench", "run", str(path), "--out", str(tmp_path / "out")])
    assert code() == 2
    assert "none.csv" in capsys.readouterr().err
    assert not (tmp_path / "out" / "trials").exists()


def test_an_unknown_sampler_is_named() -> None:
    with pytest.raises((ValueError, UserError), match="'tpe', 'random', 'grid' or 'gp'"):
        study_of("full", search={"trials": 2, "sampler": "bayes"})
