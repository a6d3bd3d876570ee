"""`tunebench.run` and `tunebench.load_study`: what the command does, from a script and a notebook."""

import importlib
import inspect
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

import tunebench
from tunebench._util.errors import UserError
from tunebench.cli import cell_output, progress
from tunebench.engine.events import ResultWritten, Step
from tunebench.records import read_result
from tunebench.study import Study, built_in_studies

SMALL: dict[str, Any] = {
    "name": "small",
    "data": "embedded",
    "training": {"epochs": 1},
    "experiments": [
        {
            "model": "pocket-bert",
            "task": {"name": "emotion", "rows": {"train": 64, "validation": 20, "test": 20}},
            "techniques": ["tfidf", "classifier_head"],
        }
    ],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A script without `if __name__ == "__main__"` that runs the small study with two workers, and its folder."""
    folder = tmp_path_factory.mktemp("script")
    path = folder / "script.py"
    path.write_text(f"import tunebench\nr = tunebench.run({SMALL!r}, 'out', workers=2)\nprint(len(r), set(r.status))\n")
    return subprocess.run([sys.executable, path], cwd=folder, capture_output=True, text=True), folder / "out"


@pytest.mark.full
def test_a_script_makes_the_runs_of_a_study_that_is_a_dict(
    made: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    ended, out = made
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("Report: out/report.html\n2 {'done'}\n")
    assert "[2/2]" in ended.stdout
    assert "tunebench.run(&#39;study.yaml&#39;, out=&#39;out&#39;)" in (out / "report.html").read_text()


@pytest.mark.full
def test_the_command_and_the_call_continue_what_the_other_began(
    made: tuple[subprocess.CompletedProcess[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = made
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*/result.json")}
    assert list(tunebench.run(tunebench.load_study(out / "study.yaml"), out)["status"]) == ["done", "done"]
    assert f"2 runs in {out}, 0 to make." in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*/result.json")} == before


def test_a_study_that_is_a_dict_is_made_once_and_its_results_are_a_table(
    in_process: None, undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    made = tunebench.run(SMALL, out)
    assert sorted(made["technique"]) == ["classifier_head", "tfidf"] and set(made["status"]) == {"done"}
    assert "2 to make" in capsys.readouterr().out
    again = tunebench.run(tunebench.load_study(out / "study.yaml"), out)
    assert "0 to make" in capsys.readouterr().out
    assert again.equals(made)


@pytest.mark.full
def test_ctrl_c_ends_the_call_its_workers_and_nothing_that_is_done(tmp_path: Path) -> None:
    study = {**SMALL, "training": {"epochs": 4000, "patience": 4000}}
    path = tmp_path / "script.py"
    path.write_text(f"import tunebench\ntunebench.run({study!r}, 'out')\n")
    process = subprocess.Popen([sys.executable, path], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out" / "runs").glob("*classifier_head*/events.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert errors.decode().endswith("KeyboardInterrupt: Finished runs are kept; the same call continues.\n")
    results = [read_result(folder) for folder in (tmp_path / "out" / "runs").iterdir()]
    assert [result.status for result in results if result] == ["done"]
    assert (tmp_path / "out" / "report.html").exists()
    assert not _children_at_work(tmp_path / "out")


def _children_at_work(out: Path) -> list[str]:
    """Processes that still write into a study's folder."""
    listed = subprocess.run(["ps", "-eo", "pid="], capture_output=True, text=True).stdout.split()
    files = [path for pid in listed for path in Path(f"/proc/{pid}/fd").glob("*") if os.access(path, os.R_OK)]
    return [str(path) for path in files if str(out) in str(path.resolve())]


# What is called -------------------------------------------------------------------------------------------------------


def test_the_name_is_callable_before_and_after_a_part_of_the_package_is_imported() -> None:
    assert "study" in inspect.signature(tunebench.run).parameters
    importlib.import_module("tunebench.run.folder")
    assert callable(tunebench.run)
    assert inspect.signature(tunebench.run).parameters["workers"].default == 1


@pytest.mark.parametrize(
    ("study", "options", "message"),
    [
        (3, {}, "not int"),
        ("nothing.yaml", {}, "no such file"),
        ({"name": "a"}, {}, "the study: experiments: this field is required"),
        ({**SMALL, "seeds": {1, 2}}, {}, "seeds"),
        ({**SMALL, "name": object()}, {}, "what no study file can"),
        (SMALL, {"workers": 0}, "workers=0"),
        (SMALL, {"seeds": 0}, "seeds=0"),
        (SMALL, {"data": "embedded", "data_root": "x"}, "two sources"),
        (SMALL, {"models": {"other": "x"}}, "no such model"),
    ],
)
def test_mistakes_are_named(study: Any, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        tunebench.run(study, tmp_path / "out", **options)


# A study that is written ----------------------------------------------------------------------------------------------


STUDIES = {
    **{name: yaml.safe_load(text) for name, text in built_in_studies().items()},
    "searched": {
        **SMALL,
        "search": {"trials": 4},
        "seeds": [3],
        "training": {"epochs": "auto", "auto_epochs": {"reference": "classifier_head"}},
        "experiments": [
            {
                "model": {"path": "./m", "name": "mine"},
                "task": {
                    "objective": "sequence_classification",
                    "data": "rows.csv",
                    "columns": {"text": "t", "label": "l"},
                },
                "techniques": [
                    {"name": "lora", "rank": {"choices": [4, 8]}, "learning_rate": {"low": 1e-4, "high": 1e-2}},
                    {"name": "full", "learning_rate": 5e-5},
                ],
                "training": {"batch_size": 8},
            }
        ],
    },
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_becomes_a_file_that_means_the_same(name: str) -> None:
    from tunebench.study.written import as_yaml

    study = tunebench.load_study(STUDIES[name])
    written = as_yaml(study)
    assert tunebench.load_study(yaml.safe_load(written)) == study
    assert [run.id for run in tunebench.load_study(yaml.safe_load(written)).settled({}).runs()] == [
        run.id for run in study.settled({}).runs()
    ]


def test_a_notebook_shows_a_study_as_a_table_whose_texts_are_texts() -> None:
    study = tunebench.load_study({**SMALL, "description": "<script>alert(1)</script>\x1b", "seeds": [0, 1]})
    assert isinstance(study, Study)
    shown = study._repr_html_()
    assert "<td>pocket-bert</td><td>emotion</td><td>tfidf, classifier_head</td><td>1 epoch, batches of 16</td>" in shown
    assert "4 runs: seeds 0, 1." in shown
    assert "&lt;script&gt;" in shown and "<script>" not in shown and "\x1b" not in shown


# A notebook's progress ------------------------------------------------------------------------------------------------


class Handle:
    """What IPython's display gives: it remembers what it shows."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, html: Any) -> None:
        self.shown.append(html)


def test_bars_in_a_notebook_are_html_that_is_replaced_and_in_the_end_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    handle, times = Handle(), iter(range(100))
    display = type(sys)("IPython.display")
    display.__dict__.update(HTML=str, display=lambda *_, **__: handle)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(cell_output.time, "monotonic", lambda: float(next(times)))
    with progress.display_on(Console(file=io.StringIO(), force_jupyter=True), 2) as shown:
        shown.show("a", "emotion · <b>", Step(epoch=1, epochs=2, step=5, steps=10, loss=0.5))
        shown.show("a", "emotion · <b>", ResultWritten(status="done", reason=None))
    assert "emotion · &lt;b&gt;" in handle.shown[0] and "5/10" in handle.shown[0] and "epoch 1/2" in handle.shown[0]
    assert "emotion" not in handle.shown[1] and "1/2" in handle.shown[1]
    assert handle.shown[-1] == ""
