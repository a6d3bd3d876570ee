"""Figures follow from the predictions alone, and tables leave the report in forms that papers and notebooks take."""

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tunebench
from tests.contracts.runs import make, make_run
from tests.records import SCRIPT, Write, done
from tunebench.cli.app import app
from tunebench.records import Done
from tunebench.report import build_rescored
from tunebench.report.formats.latex import escaped
from tunebench.report.stats.rescore import Change


@pytest.fixture
def measured(study: Write, backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> Path:
    """A study's folder with two real runs."""
    results: list[Done] = []
    for task, technique in (("emotion", "tfidf"), ("ner", "untuned")):
        run = make_run(backbones["bert"], data_root, task, technique)
        results.append(make(run, tmp_path / "runs" / run.id))
    return study(*results)


def test_predictions_alone_give_the_recorded_figures(measured: Path) -> None:
    before = (measured / "results.json").read_bytes()
    _, changes, unread = build_rescored(measured)
    assert (changes, unread) == ([], [])
    assert (measured / "results.json").read_bytes() == before


def test_a_figure_that_the_predictions_do_not_bear_out_is_reported(measured: Path) -> None:
    (folder,) = (path for path in (measured / "runs").iterdir() if "tfidf" in path.name)
    record = json.loads((folder / "result.json").read_text())
    true = record["metrics"]["test"]["accuracy"]
    record["metrics"]["test"]["accuracy"] = 0.999
    (folder / "result.json").write_text(json.dumps(record))
    _, changes, _ = build_rescored(measured)
    assert changes == [Change(folder.name, "accuracy", 0.999, pytest.approx(true))]
    assert json.loads((measured / "results.json").read_text())[0]["metrics"]["test"]["accuracy"] == pytest.approx(true)


def test_the_command_says_what_differs_and_ends_with_1(measured: Path) -> None:
    right = CliRunner().invoke(app, ["report", str(measured), "--rescore"])
    assert right.exit_code == 0
    (folder,) = (path for path in (measured / "runs").iterdir() if "tfidf" in path.name)
    record = (folder / "result.json").read_text()
    value = json.loads(record)["metrics"]["test"]["accuracy"]
    (folder / "result.json").write_text(record.replace(json.dumps(value), "0.999"))
    wrong = CliRunner().invoke(app, ["report", str(measured), "--rescore"])
    assert wrong.exit_code == 1
    assert "accuracy is recorded as 0.999; its predictions give" in wrong.output


def test_predictions_that_cannot_be_read_are_named(measured: Path) -> None:
    (folder,) = (path for path in (measured / "runs").iterdir() if "tfidf" in path.name)
    (folder / "predictions.jsonl").write_text('{"id": 0}\n')
    assert build_rescored(measured)[2] == [folder.name]


def test_a_sentence_with_too_many_tags_is_named_and_ends_nothing(measured: Path) -> None:
    (folder,) = (path for path in (measured / "runs").iterdir() if "ner" in path.name)
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    lines[0] = json.dumps({**first, "prediction": [*first["prediction"], "O"]})
    (folder / "predictions.jsonl").write_text("\n".join(lines) + "\n")
    assert build_rescored(measured)[2] == [folder.name]
    assert (measured / "report.md").is_file()


def test_results_are_a_data_frame_with_a_row_a_run(study: Write) -> None:
    frame = tunebench.results(study(done("full", 0.9), done("lora", None)))
    assert list(frame["technique"]) == ["full", "lora"]
    assert frame["main_value"][0] == 0.9
    assert math.isnan(frame["main_value"][1])


def test_tables_are_latex_whose_texts_stay_texts(study: Write) -> None:
    out = study(done("full", 0.9, task="a_b & $x$"), done("lora", 0.8, task="a_b & $x$"), done(SCRIPT, 0.1))
    written = (out / "report.tex").read_text()
    assert r"a\_b \& \$x\$" in written
    assert r"\textbf{0.9000} {\footnotesize [0.8900, 0.9100]}" in written
    assert written.count(r"\toprule") == written.count(r"\bottomrule") == written.count(r"\end{table}")
    assert escaped("50 % of {x}_1 \\ y^2 ~ <z>") == (
        r"50 \% of \{x\}\_1 \textbackslash{} y\textasciicircum{}2 \textasciitilde{} \textless{}z\textgreater{}"
    )
