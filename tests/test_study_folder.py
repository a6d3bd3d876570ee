"""A study's folder: its runs are listed and removed, and the best on validation is the one that is used."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.records import done, failed, run_info, write_study
from tests.test_run import tunebench
from tunebench._util.errors import UserError
from tunebench.cli.study_folder import chosen, runs_in
from tunebench.records import Done, write_result

pytestmark = pytest.mark.usefixtures("undrawn")


def scored(technique: str, validation: float | None, higher: bool = True, **changes: Any) -> Done:
    """A run with a validation score; its test score is the opposite, which must not choose."""
    record = done(technique, 1 - (validation or 0), seed=changes.pop("seed", 0))
    name = record.main_metric.name
    return record.model_copy(
        update={
            "run": record.run.model_copy(update=changes),
            "main_metric": record.main_metric.model_copy(update={"higher_is_better": higher}),
            "metrics": record.metrics.model_copy(update={"validation": {name: validation}}),
        }
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two techniques with two seeds, one that failed, and one run that has no result."""
    runs = [scored("lora", 0.6), scored("lora", 0.7, seed=1), scored("full", 0.8), scored("full", 0.5, seed=1)]
    return write_study(tmp_path, *runs, failed("dora", "out of memory"), pending=(run_info("ia3"),))


def test_runs_are_listed_with_status_metric_and_seconds(out: Path) -> None:
    code, text, err = tunebench("runs", out)
    _, listed, _ = tunebench("runs", out, "--json")
    runs = json.loads(listed)["runs"]

    assert (code, err) == (0, "")
    assert "6 runs" in text
    assert [(run["technique"], run["seed"], run["status"]) for run in runs] == [
        ("lora", 0, "done"),
        ("lora", 1, "done"),
        ("full", 0, "done"),
        ("full", 1, "done"),
        ("dora", 0, "failed"),
        ("ia3", 0, "pending"),
    ]
    assert (runs[2]["value"], runs[2]["validation"]) == (pytest.approx(0.2), 0.8)
    assert runs[4]["value"] is None
    assert runs[0]["seconds"] > 0
    assert Path(runs[0]["folder"]).is_dir()


def test_folders_that_are_no_runs_are_not_listed(out: Path) -> None:
    listed = runs_in(out)
    (out / "runs" / ".ipynb_checkpoints").mkdir()

    assert runs_in(out) == listed


def test_a_run_that_the_study_does_not_have_any_more_is_listed(out: Path) -> None:
    write_result(out / "runs" / "old", scored("llrd", 0.5))
    (out / "runs" / "empty").mkdir()

    assert {run.plan.id: run.status for run in runs_in(out)[6:]} == {"old": "not planned", "empty": "not planned"}


def test_only_the_runs_that_match_are_removed(out: Path) -> None:
    kept = {folder.name for folder in (out / "runs").iterdir() if "lora" not in folder.name}
    code, text, _ = tunebench("runs", out, "--delete", "*/lora", "--yes")

    assert code == 0
    assert "Removed: 2 runs." in text
    assert {folder.name for folder in (out / "runs").iterdir()} == kept
    assert [run.status for run in runs_in(out)][:2] == ["pending", "pending"]


def test_nothing_is_removed_without_a_yes_or_a_match(out: Path) -> None:
    before = sorted((out / "runs").iterdir())
    code, _, err = tunebench("runs", out, "--delete", "*/lora")
    assert (code, "nothing is removed" in err) == (2, True)
    code, _, err = tunebench("runs", out, "--delete", "*/lroa", "--yes")
    assert (code, "no run with a folder matches" in err) == (2, True)
    assert sorted((out / "runs").iterdir()) == before


def test_the_best_run_is_that_of_the_best_validation_score(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert chosen(out, True, None, None).name == scored("full", 0.8).run.id
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"tunebench: run {scored('full', 0.8).run.id}, validation ")
    assert shown.err.endswith(" 0.8000\n")
    assert chosen(out, False, "lora", None).name == scored("lora", 0.7, seed=1).run.id
    assert chosen(out, True, None, "*/lora").name == scored("lora", 0.7, seed=1).run.id


def test_the_best_run_has_the_lowest_score_where_lower_is_better(tmp_path: Path) -> None:
    out = write_study(tmp_path, scored("lora", 0.6, False), scored("full", 0.8, False), scored("ia3", None, False))

    assert chosen(out, True, None, None).name == scored("lora", 0.6).run.id


def test_a_run_folder_needs_no_choice(tmp_path: Path) -> None:
    assert chosen(tmp_path, False, None, None) == tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((False, None, None), "this is a study's folder. Add --best or --technique NAME, or give OUT/runs/<run>."),
        ((False, "lroa", None), "--technique lroa: no finished run has it. Did you mean 'lora'?"),
        ((True, None, "gpt2/*"), "no finished run with a validation score is among them."),
    ],
)
def test_a_choice_that_chooses_nothing_is_refused(options: Any, message: str, out: Path) -> None:
    with pytest.raises(UserError) as caught:
        chosen(out, *options)

    assert message in str(caught.value)


def test_several_cells_are_named_and_one_is_asked_for(tmp_path: Path) -> None:
    other = scored("full", 0.9, task="ner", id="other")
    out = write_study(tmp_path, scored("lora", 0.6), other)
    cell = f"{other.run.model}/ner"

    with pytest.raises(UserError, match=r"there are runs of several cells \(.*\)\. Name one: --only '"):
        chosen(out, True, None, None)
    assert chosen(out, True, None, f"{cell}/*").name == "other"


def test_predict_export_and_attention_say_which_choice_a_study_needs(out: Path, tmp_path: Path) -> None:
    for command in (
        ("predict", out, "--text", "a"),
        ("export", out, tmp_path / "new"),
        ("attention", out, "--text", "a"),
    ):
        code, _, err = tunebench(*command)
        assert (code, "this is a study's folder" in err) == (2, True)


def test_attention_is_that_of_the_chosen_run(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunebench.serve.attention import maps, page

    asked: list[Path] = []

    class Maps:
        run = "a run"

    monkeypatch.setattr(maps, "attention", lambda folder, *_: [asked.append(folder), Maps()][1])
    monkeypatch.setattr(page, "write", lambda *_: tmp_path / "attention.html")
    for options in (("--best",), ("--technique", "lora"), ("--best", "--only", "*/lora")):
        assert tunebench("attention", out, "--text", "a", *options)[0] == 0
    best, lora = scored("full", 0.8).run.id, scored("lora", 0.7, seed=1).run.id
    assert [folder.name for folder in asked] == [best, lora, lora]
