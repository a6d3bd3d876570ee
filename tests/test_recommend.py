"""Recommendations: the look at the data, the limits, the rule, and the command."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.tiny import write_data_root
from tunebench._util.errors import UserError
from tunebench.advise import prices
from tunebench.advise.answer import title
from tunebench.advise.decide import Belief, decide, eligible, outlooks
from tunebench.advise.evidence.expect import Expectation
from tunebench.advise.jobs import set_aside
from tunebench.advise.limits import Limits, size
from tunebench.advise.look import look
from tunebench.advise.prices import ForecastCost
from tunebench.advise.recommend import Candidate, Known, entrants, promising
from tunebench.cli import app as cli
from tunebench.cli import pricing
from tunebench.cli.own_data import columns_of, study_text
from tunebench.records import Done, Failed, read_recommendation, read_result, write_result
from tunebench.run.job import Job
from tunebench.study import Study
from tunebench.tasks.base import Task
from tunebench.tasks.load import load
from tunebench.techniques import techniques

pytestmark = pytest.mark.usefixtures("undrawn", "in_process")

# The look -------------------------------------------------------------------------------------------------------------


def _csv(path: Path, rows: list[tuple[str, str]], header: str = "text,label") -> Path:
    path.write_text("\n".join([header, *(f"{text},{label}" for text, label in rows)]) + "\n")
    return path


def test_a_look_names_what_weakens_a_conclusion(tmp_path: Path) -> None:
    rows = [(f"a sentence number {n}", "common") for n in range(85)] + [("twice the same", "common")] * 2
    rows += [(f"something else {n}", "rare") for n in range(4)]
    train = _csv(tmp_path / "train.csv", rows)
    test = _csv(tmp_path / "test.csv", [("twice the same", "common"), ("new", "rare")])
    task = Task.model_validate(
        {
            "name": "own",
            "objective": "sequence_classification",
            "data": {"train": str(train), "validation": str(test), "test": str(test)},
            "max_tokens": 8,
        }
    )
    seen = look(task, load(task))
    text = " ".join(seen.findings)
    assert seen.facts.rows["train"] == 91 and seen.facts.labels == 2
    assert seen.facts.largest == pytest.approx(87 / 91)
    assert "1 of 2 test inputs also occur in the training split" in text
    assert "91 training rows: differences between techniques are mostly chance" in text
    assert "1 label with fewer than 8 training rows: rare" in text
    assert "96% of the training rows have one label" in text
    assert "1 training row repeat" in text
    assert "longer than 8 tokens" not in text
    assert seen.summary.startswith("train 91, validation 2, test 2 rows; 2 labels, the commonest 96%")


# A study of one file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row", "columns", "objective"),
    [
        ("text,label", ("a", "joy"), {}, "sequence_classification"),
        ("quote,kind", ("a", "joy"), {"text": "quote", "label": "kind"}, "sequence_classification"),
        ("text,label", ("a", "1"), {}, "sequence_classification"),
        ("text,label", ("a", "0.25"), {}, "regression"),
        ("source,target", ("a", "b"), {}, "text_to_text"),
    ],
)
def test_the_columns_say_which_problem_it_is(
    tmp_path: Path, header: str, row: tuple[str, str], columns: dict[str, str], objective: str
) -> None:
    path = _csv(tmp_path / "my data.csv", [row, row], header)
    study = yaml.safe_load(study_text(path, "pocket-bert", columns, None))
    task = study["experiments"][0]["task"]
    assert task["objective"] == objective
    assert task["name"] == study["name"] == "my_data"


def test_every_technique_that_can_be_chosen_is_compared(tmp_path: Path) -> None:
    text = study_text(_csv(tmp_path / "x.csv", [("a", "joy")]), "pocket-bert", {}, None)
    study = Study.model_validate(yaml.safe_load(text))
    named = {choice.name for choice in study.experiments[0].techniques}
    assert set(techniques()) - named == {"untuned", "from_scratch", "peft"}  # nothing to choose, or many methods
    targets = [choice.entry.targets for choice in study.experiments[0].techniques if choice.name == "lora"]  # type: ignore[attr-defined]
    assert [len(one) for one in targets] == [2, 6]


def test_columns_that_fit_no_problem_are_named(tmp_path: Path) -> None:
    path = _csv(tmp_path / "x.csv", [("a", "b")], "review,stars")
    with pytest.raises(UserError, match=r"fit no problem type \(review, stars\). Name them, such as --columns"):
        study_text(path, "pocket-bert", {}, None)
    with pytest.raises(UserError, match="--objective clasification: there is no such problem"):
        study_text(path, "pocket-bert", {}, "clasification")
    with pytest.raises(UserError, match="--columns review: write ROLE=COLUMN"):
        columns_of(["review"])
    with pytest.raises(UserError, match="holds no train file"):
        study_text(tmp_path, "pocket-bert", {}, None)


# Limits and the rule --------------------------------------------------------------------------------------------------


def price(**fields: Any) -> ForecastCost:
    values: dict[str, Any] = {
        "tuning_seconds": 10.0,
        "seconds": 12.0,
        "memory_bytes": 10**9,
        "saved_bytes": 90_000_000,
        "latency_seconds": 0.02,
        "ordinary": True,
        "keeps_backbone": False,
        "trainable": 22_000_000,
        "steps": 100,
    }
    return ForecastCost(**{**values, **fields})


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_saved_bytes": 1e6}, "it stores 90 MB, more than --max-saved-bytes 1e+06"),
        ({"max_memory": 5e8}, "it takes 1 GB of memory, more than --max-memory 5e+08"),
        ({"max_latency": 0.01}, "an answer takes 0.02 s, more than --max-latency 0.01"),
        ({"keep_knowledge": True}, "it changes pretrained weights (--keep-knowledge)"),
        ({"mergeable": True}, None),
        ({}, None),
    ],
)
def test_a_limit_says_which_technique_breaks_it_and_by_how_much(limits: dict[str, Any], reason: str | None) -> None:
    assert Limits(**limits).broken_by(price()) == reason


def test_what_adds_to_the_model_is_not_mergeable() -> None:
    assert "cannot be merged" in str(Limits(mergeable=True).broken_by(price(ordinary=False)))


def test_with_many_tasks_what_they_store_is_the_cost() -> None:
    assert Limits().cost(price()) == 10.0
    assert Limits(many_tasks=20).cost(price(saved_bytes=1_000)) == 20_000
    assert [size(n) for n in (12, 1_500, 2_000_000, 3.21e9)] == ["12 B", "1.5 kB", "2 MB", "3.21 GB"]


def test_probabilities_and_regrets_are_those_of_normal_draws() -> None:
    known = outlooks({"a": Belief(0.0, 1.0), "b": Belief(0.0, 1.0)})
    assert known["a"].p_best == pytest.approx(0.5, abs=0.02)
    assert known["a"].regret == pytest.approx(0.564, abs=0.02)  # E max of two standard normals: 1 / sqrt(pi)
    assert outlooks({"a": Belief(0.0, 0.0), "b": Belief(-3.0, 0.0)})["b"].regret == pytest.approx(3.0)


def test_the_cheapest_that_is_tied_and_close_is_recommended() -> None:
    known = outlooks({"full": Belief(0.0, 0.5), "lora": Belief(-0.2, 0.5), "head": Belief(-6.0, 0.5)})
    assert eligible(known) == ["full", "lora"]
    assert decide(known, {"full": 100.0, "lora": 60.0, "head": 1.0}) == "lora"
    assert decide(known, {"full": 100.0, "lora": 160.0, "head": 1.0}) == "full"


def test_knowing_nothing_does_not_make_the_cheapest_acceptable() -> None:
    known = outlooks({"full": Belief(0.0, 3.0), "head": Belief(-4.0, 3.0)})
    assert known["head"].tied
    assert decide(known, {"full": 100.0, "head": 1.0}) == "full"
    assert decide(known, {"full": 100.0, "head": 1.0}, accepted=10.0) == "head"


def _candidate(name: str, seconds: float) -> Candidate:
    study = Study.model_validate(
        {"name": "x", "experiments": [{"model": "m", "task": "emotion", "techniques": [name]}]}
    )
    (searched,) = study.searched()
    steps = 100 if "learning_rate" in type(searched.run.entry).model_fields else 0
    rate = 1e-3 if steps else None
    return Candidate(searched, cell=None, price=price(seconds=seconds, steps=steps), rate=rate)  # type: ignore[arg-type]


def test_a_technique_is_named_as_inside_a_sentence() -> None:
    assert [title(_candidate(name, 1)) for name in ("full", "lora", "tfidf")] == [
        "full fine-tuning",
        "LoRA",
        "TF-IDF/CRF baseline",
    ]


def test_a_race_has_what_is_cheap_and_then_what_is_promising_as_far_as_the_seconds_go() -> None:
    candidates = [_candidate("full", 100), _candidate("lora", 400), _candidate("llrd", 90), _candidate("tfidf", 2)]
    runs = [run.technique for _, run in entrants(candidates, 300)]
    assert runs[:3] == ["tfidf", "full", "llrd"]
    assert "lora" not in runs, "its whole run would take longer than the race"
    rates = [getattr(run.entry, "learning_rate", None) for one, run in entrants([_candidate("full", 10)], 300)]
    assert rates == [1e-3, 3e-3, pytest.approx(3.3e-4)]
    assert entrants([_candidate("full", 100)], 50) == []


def test_measuring_stops_at_its_share_of_the_seconds_and_names_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order = ["tfidf", "full", "lora", "llrd"]
    candidates = [replace(_candidate(name, 1.0), price=None) for name in order]
    clock = [0.0]
    begun: list[list[str]] = []

    def measured(out: Path, jobs: list[Any]) -> Any:
        begun.append([job.run.technique for job in jobs])
        for job in jobs:
            clock[0] += 30.0
            yield job, "the loss is nan" if job.run.technique == "full" else price(seconds=5.0)

    monkeypatch.setattr(prices, "priced", measured)
    monkeypatch.setattr(pricing.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(pricing, "trial_of", lambda one, run, *_: SimpleNamespace(run=run))
    cell: Any = SimpleNamespace(data="d", backbone="b")

    def ask(seconds: float) -> dict[str, str | None]:
        wish = pricing.Wish(seconds, Limits(), 1.0, None, 1)
        found, _ = pricing.priced(candidates, tmp_path, None, cell, wish)  # type: ignore[arg-type]
        return {one.label: one.excluded for one in found}

    assert prices.allowed_seconds(240) == 60.0 and prices.allowed_seconds(0) == 60.0
    found = ask(240)
    assert found["tfidf"] is None and found["lora"] is None, "two are measured however long it takes"
    assert found["full"] == "it could not be measured: the loss is nan"
    assert found["llrd"] == "not measured: the 60 s of measuring were over"
    said = capsys.readouterr().out
    assert "in at most 60 s" in said and "Not measured, because the 60 s were over: llrd." in said
    assert "[1/4] tfidf: about 5 s (about 30" in said
    ask(1000)
    assert begun == [order, ["full", "llrd"]], "more seconds measure what is missing"


def test_what_is_promising_is_measured_first_and_then_what_trains_the_least() -> None:
    sizes = {"full": 100, "lora": 5, "ia3": 1}

    class Counted:
        def __init__(self, name: str):
            self._name = name

        def count(self, labels: list[str]) -> Any:
            return SimpleNamespace(trainable=sizes[self._name])

    names = ["full", "lora", "ia3", "llrd", "tfidf"]
    candidates = [replace(_candidate(name, 1.0), price=None, cell=Counted(name)) for name in names]  # type: ignore[arg-type]
    likely = Expectation(mean=1.0, deviation=1.0, datasets=3)
    known = Known([], None, {candidates[3].variant: likely})  # type: ignore[arg-type]
    assert [one.label for one in promising(candidates, known, [])] == ["llrd", "tfidf", "ia3", "lora", "full"]


def test_a_failed_result_is_set_aside_once(tmp_path: Path) -> None:
    job = Job(run=_candidate("full", 1.0).run, family="bert", folder=str(tmp_path), cache=str(tmp_path))
    assert not set_aside(job), "there is none"
    failed = Failed(reason="the loss is nan", run=job.run.info("bert"), environment={})
    write_result(tmp_path, failed)
    assert set_aside(job) and read_result(tmp_path) is None
    write_result(tmp_path, failed)
    assert not set_aside(job) and read_result(tmp_path) == failed


def test_a_finalist_measures_what_the_study_asks_for_and_a_trial_does_not() -> None:
    experiment = {"model": "m", "task": "emotion", "techniques": ["full", "tfidf"]}
    study = Study.model_validate({"name": "x", "measure": ["forgetting"], "experiments": [experiment]})
    runs = [one.run for one in study.searched()]
    assert [run.measure for run in runs] == [(), ()]
    assert [study.measuring(run).measure for run in runs] == [("forgetting",), ()]


# The command ----------------------------------------------------------------------------------------------------------


def code(run: Callable[[], None]) -> int:
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


@pytest.fixture
def study(tmp_path: Path, backbones: dict[str, Path]) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(
        f"""
name: small
training: {{epochs: 2}}
experiments:
  - model: {backbones["bert"]}
    task: emotion
    techniques: [tfidf, classifier_head, {{name: lora, targets: [query]}}, full]
"""
    )
    return path


def test_a_recommendation_races_and_leaves_a_finished_run(
    tmp_path: Path, study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBENCH_EVIDENCE", str(tmp_path / "none"))
    out, root = tmp_path / "out", write_data_root(tmp_path / "data")
    command = ["tunebench", "recommend", str(study), "--seconds", "120", "--out", str(out), "--data-root", str(root)]
    monkeypatch.setattr("sys.argv", [*command, "--keep-knowledge", "--price-per-hour", "3.6"])
    assert code(cli.main) == 0
    said = capsys.readouterr().out
    made = read_recommendation(out)
    assert made is not None and made.run is not None
    by_label = {choice.label: choice for choice in made.choices}
    assert "it changes pretrained weights (--keep-knowledge)" in str(by_label["full"].excluded)
    assert by_label["full"].status is None
    raced = [choice for choice in made.choices if choice.excluded is None]
    assert {choice.label for choice in raced} == {"tfidf", "classifier_head", "lora"}
    assert sum(choice.p_best or 0 for choice in raced) == pytest.approx(1.0)
    for choice in raced:
        assert choice.money == pytest.approx((choice.tuning_seconds or 0) / 1000)
    done = read_result(Path(made.run))
    assert isinstance(done, Done) and done.run.technique == by_label[made.chosen].technique
    assert made.test == done.main_metric.value
    assert made.answer[0].startswith("Use ") and made.answer[0] in said
    tested = {path.parent.name for path in out.rglob("predictions.jsonl")}
    assert tested <= {path.name for path in (out / "runs").iterdir()}, "only finalists read the test split"

    monkeypatch.setattr("sys.argv", [*command, "--keep-knowledge", "--price-per-hour", "3.6", "--json"])
    assert code(cli.main) == 0  # again: nothing is measured or trained twice
    again = capsys.readouterr()
    assert "Measuring" not in again.err and "s so far" not in again.err
    assert {**json.loads(again.out), "spent": 0} == {**made.model_dump(mode="json", by_alias=True), "spent": 0}


def test_limits_that_no_technique_meets_name_each_technique_and_its_limit(
    tmp_path: Path, study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_data_root(tmp_path / "data")
    command = ["tunebench", "recommend", str(study), "--seconds", "0", "--out", str(tmp_path / "out"), "--max-memory"]
    monkeypatch.setattr("sys.argv", [*command, "1", "--data-root", str(root)])
    assert code(cli.main) == 2
    said = capsys.readouterr().err
    assert "no technique is left" in said
    for label in ("tfidf", "classifier_head", "lora", "full"):
        assert f"{label}: it takes" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give a study, or --model and --data"),
        (["--model", "pocket-bert"], "give a study, or --model and --data"),
        (["demo", "--columns", "text=a"], "give a study, or --model and --data"),
        (["demo"], "an answer is about one model and one task"),
        (["demo", "--seconds", "inf"], "--seconds inf: give a finite number"),
        (["no-such-study"], "no such file and no built-in study"),
        (["--model", "pocket-bert", "--data", "none.csv"], "there is no file"),
    ],
)
def test_a_mistake_in_what_is_asked_is_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["tunebench", "recommend", *options])
    assert code(cli.main) == 2
    assert said in capsys.readouterr().err


def test_evidence_is_added_once_and_shown(
    tmp_path: Path,
    study: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TUNEBENCH_EVIDENCE", str(tmp_path / "own"))
    out, root = tmp_path / "out", write_data_root(tmp_path / "data")
    run = ["tunebench", "run", str(study), "--out", str(out), "--data-root", str(root), "--only", "*/*/tfidf"]
    for command, expected in (
        (run, "1 to make"),
        (["tunebench", "evidence", "add", str(out)], "1 run added"),
        (["tunebench", "evidence", "add", str(out)], "0 runs added"),
    ):
        monkeypatch.setattr("sys.argv", command)
        assert code(cli.main) == 0
        assert expected in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["tunebench", "evidence", "show", "--json"])
    assert code(cli.main) == 0
    shown = json.loads(capsys.readouterr().out)["evidence"]
    assert [(one["dataset"], one["best"], one["runs"]) for one in shown if one["origin"] == "yours"] == [
        ("emotion", "tfidf", 1)
    ]
    monkeypatch.setattr("sys.argv", ["tunebench", "evidence", "add", str(tmp_path)])
    assert code(cli.main) == 2
    assert "it holds no finished run" in capsys.readouterr().err
