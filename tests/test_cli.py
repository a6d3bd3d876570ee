"""The commands: what they print, and how they answer a mistake: one line, exit code 2, no traceback."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tunebench._util.errors import UserError
from tunebench.cli import app as cli
from tunebench.cli import catalogue as entries
from tunebench.cli.commands import COMMANDS, GROUPS
from tunebench.run import drive, folder
from tunebench.run.executors.local import Local
from tunebench.study import read_study


class Shell:
    """Runs commands in this process, as the entry point does."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: Any) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self._monkeypatch.setattr(sys, "argv", ["tunebench", *map(str, arguments)])
        self._capsys.readouterr()
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = self._capsys.readouterr()
        return code, out, err

    def refusal(self, *arguments: Any) -> str:
        """What a wrong use is answered with."""
        code, out, err = self(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("tunebench: ")
        assert err.endswith("\n")
        return err.removeprefix("tunebench: ").removesuffix("\n")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(capsys, monkeypatch)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: tiny\nexperiments:\n  - {model: tiny-bert, task: emotion, techniques: [full, classifier_head, tfidf]}\n"
    )
    return path


@pytest.fixture
def known(study: Path, backbones: dict[str, Path], data_root: Path) -> tuple[Any, ...]:
    """A study with a model and data, as arguments."""
    return study, "--model", f"tiny-bert={backbones['bert']}", "--data-root", data_root


def in_python(*arguments: str, start: str = "") -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which then prints which slow libraries it loaded."""
    code = (
        f"import sys\nfrom tunebench.cli.app import main\n{start}\n"
        "try:\n    main()\nfinally:\n"
        "    slow = {'torch', 'transformers', 'peft', 'sklearn'} & set(sys.modules)\n"
        "    sys.stderr.write('loaded: ' + ' '.join(sorted(slow)))"
    )
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["list", "techniques"], ["show", "lora"]], ids=str
)
def test_help_and_listings_load_no_torch(arguments: list[str]) -> None:
    done = in_python(*arguments)

    assert (done.returncode, done.stderr) == (0, "loaded: ")
    assert len(done.stdout) > 200


def test_workers_are_started_before_torch_is_loaded(known: tuple[Any, ...], tmp_path: Path) -> None:
    start = "from tunebench.run.executors.local import Local\nLocal._start = lambda self, number: sys.exit(3)"
    done = in_python("run", *map(str, known), "--out", str(tmp_path / "out"), start=start)

    assert (done.returncode, done.stderr) == (3, "loaded: ")


def test_a_mistake_is_one_line_on_standard_error_and_exit_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tunebench", "run", "dmeo"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("tunebench: study 'dmeo': no such file and no built-in study. Did you mean 'demo'?\n")


def test_python_m_tunebench_offers_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "tunebench", "--help"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line[:3].strip()]
    assert listed == [*COMMANDS, *GROUPS]


# run ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["x", "0", "-1", "1.5", ""])
def test_a_number_of_workers_that_is_none_is_reported(workers: str, shell: Shell, study: Path) -> None:
    assert shell.refusal("run", study, f"--workers={workers}") == (
        f"--workers {workers}: give a number from 1 up, or auto."
    )


@pytest.mark.parametrize("option", ["tiny-bert", "=folder", "tiny-bert=", "="])
def test_a_model_option_without_name_and_path_is_reported(option: str, shell: Shell, study: Path) -> None:
    assert shell.refusal("run", study, "--model", option) == (
        f"--model {option}: write --model NAME=PATH, with a model name of the study."
    )


def test_a_model_option_with_another_name_is_reported(shell: Shell, study: Path) -> None:
    assert shell.refusal("run", study, "--model", "tinybert=folder") == (
        "--model tinybert: the study has no such model. Did you mean 'tiny-bert'?"
    )


def test_an_unknown_tracker_is_reported(shell: Shell, study: Path) -> None:
    assert shell.refusal("run", study, "--track", "tensorbord") == (
        "--track tensorbord: there is no such tracker. Did you mean 'tensorboard'?"
    )


def test_a_tracker_that_is_not_installed_is_reported(
    shell: Shell, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    assert shell.refusal("run", study, "--track", "wandb") == (
        "--track wandb: it is not installed. Run: pip install 'tunebench[wandb]'"
    )


@pytest.mark.parametrize("seeds", ["0", "many"])
def test_a_number_of_seeds_that_is_none_is_reported(seeds: str, shell: Shell, study: Path) -> None:
    code, _, err = shell("run", study, "--seeds", seeds)

    assert code == 2
    assert "--seeds" in err
    assert "Traceback" not in err


def test_a_pattern_that_matches_no_cell_is_reported_with_an_example(
    shell: Shell, known: tuple[Any, ...], tmp_path: Path
) -> None:
    code, out, err = shell("run", *known, "--out", tmp_path / "out", "--only", "bert/emotion/fulll")

    assert (code, out) == (2, "")
    assert err == (
        "tunebench: --only 'bert/emotion/fulll': it matches no cell. "
        "Cells read FAMILY/TASK/TECHNIQUE, such as 'bert/emotion/full'.\n"
    )


@pytest.mark.parametrize(
    ("pattern", "count"), [("bert/emotion/*", 3), ("*/*/full", 1), ("tiny-bert/emotion/classifier_head", 1)]
)
def test_a_pattern_chooses_cells_by_family_or_model(
    pattern: str, count: int, shell: Shell, known: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(Local, "_start", lambda *_: None)
    monkeypatch.setattr(drive, "drive", lambda scheduler, *_: made.extend(iter(scheduler.ask, None)))
    code, out, _ = shell("run", *known, "--out", tmp_path / "out", "--only", pattern, "--seeds", 2)

    assert code == 0
    assert len(made) == 2 * count
    assert f"6 runs in {tmp_path / 'out'}, {2 * count} to make." in out


def test_an_output_folder_that_cannot_be_made_is_reported(shell: Shell, known: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "out"

    assert shell.refusal("run", *known, "--out", out) == (
        f"--out {out}: it cannot be written (Not a directory). Choose another folder."
    )


def test_an_output_folder_that_refuses_files_is_reported(
    shell: Shell, known: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(folder, "write_atomically", refuse)
    assert shell.refusal("run", *known, "--out", tmp_path / "out") == (
        f"--out {tmp_path / 'out'}: it cannot be written (Permission denied). Choose another folder."
    )


def test_an_output_folder_at_work_is_reported(shell: Shell, known: tuple[Any, ...], tmp_path: Path) -> None:
    with folder.locked(tmp_path / "out"):
        assert shell.refusal("run", *known, "--out", tmp_path / "out") == (
            f"--out {tmp_path / 'out'}: another tunebench is using it. Wait for it to end, or choose another folder."
        )


def test_a_model_that_is_unavailable_is_reported(
    shell: Shell, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    assert shell.refusal("run", study, "--out", tmp_path / "out").startswith(
        "model 'tiny-bert': it is not on this machine, and the hub cannot be reached. Give a local folder"
    )


def test_a_model_whose_files_are_missing_is_one_error_before_any_run(
    shell: Shell, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    of_known_shape = study.read_text().replace("tiny-bert", "distilbert-base-uncased")
    study.write_text(of_known_shape.replace("task: emotion", "task: {name: emotion, data: embedded}"))

    assert shell.refusal("run", study, "--out", tmp_path / "out").startswith(
        "model 'distilbert-base-uncased': it is not on this machine, and the hub cannot be reached."
    )
    assert not (tmp_path / "out" / "runs").exists()


def test_data_that_are_unavailable_are_one_error_before_any_run(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    path = tmp_path / "study.yaml"
    path.write_text("name: a\nexperiments: [{model: pocket-bert, task: emotion, techniques: [full, lora, tfidf]}]\n")

    assert shell.refusal("run", path, "--out", tmp_path / "out").startswith(
        "task 'emotion': the data set dair-ai/emotion is not on this machine, and the hub cannot be reached."
    )
    assert not (tmp_path / "out" / "runs").exists()


def test_ctrl_c_while_the_report_is_written_says_how_to_have_it(
    shell: Shell, known: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tunebench.cli.whole_study.make_pending", lambda *_: False)
    monkeypatch.setattr("tunebench.report.build_with_leaderboards", interrupt)
    code, out, err = shell("run", *known, "--out", tmp_path / "out")

    assert (code, err) == (130, "")
    assert out == (
        "Writing the report ...\n"
        f"Stopped. All finished runs are kept; 'tunebench report {tmp_path / 'out'}' writes the report.\n"
    )


def test_an_interruption_keeps_what_is_done_and_says_how_to_go_on(
    shell: Shell, known: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(drive, "drive", interrupt)
    code, out, err = shell("run", *known, "--out", tmp_path / "out")

    assert (code, err) == (130, "")
    assert "Stopped. Finished runs are kept; the same command continues." in out
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_setting_that_does_not_fit_the_model_is_reported_before_anything_runs(
    shell: Shell, known: tuple[Any, ...], study: Path, tmp_path: Path
) -> None:
    study.write_text(study.read_text().replace("full,", "{name: freeze, frozen_layers: 9},"))

    assert shell.refusal("run", *known, "--out", tmp_path / "out") == (
        "tiny-bert x emotion: freeze.frozen_layers: 9 is more than the 4 layers of this model. Give at most 4."
    )
    children = [child.cmdline() for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    assert not any("tunebench.run.worker" in part for command in children for part in command)


# plan, list, show -----------------------------------------------------------------------------------------------------


def test_a_plan_counts_every_cell_offline(shell: Shell) -> None:
    code, out, _ = shell("plan", "published", "--json")

    cells = json.loads(out)["cells"]
    assert code == 0
    assert len(cells) == 44
    assert set(cells[0]) == {
        "model",
        "family",
        "task",
        "technique",
        "label",
        "title",
        "settings",
        "applicable",
        "reason",
        "parameters",
        "epochs",
        "paper",
        "memory",
    }
    assert all(cell["applicable"] and cell["reason"] is None for cell in cells)
    (lora,) = [
        cell for cell in cells if (cell["family"], cell["technique"], cell["task"]) == ("bert", "lora", "emotion")
    ]
    head = 768 * 6 + 6
    assert lora["parameters"] == {
        "total": 109_486_854 + 442_368,
        "trainable": 442_368 + head,
        "technique": 442_368,
        "head": head,
    }


def test_a_plan_on_a_terminal_names_cells_seeds_and_runs(shell: Shell, known: tuple[Any, ...]) -> None:
    code, out, _ = shell("plan", *known)

    assert code == 0
    assert "tiny: 3 cells x 1 seed = 3 runs" in out


def test_the_seeds_of_a_cell_are_one_cell_of_the_plan(shell: Shell, known: tuple[Any, ...], study: Path) -> None:
    study.write_text("seeds: [0, 1, 2]\n" + study.read_text())

    code, out, _ = shell("plan", *known)

    assert code == 0
    assert "tiny: 3 cells x 3 seeds = 9 runs" in out
    assert "100.00%" in out


def test_a_plan_tells_a_mistake(shell: Shell, study: Path) -> None:
    study.write_text(study.read_text().replace("full", "ful"))

    assert shell.refusal("plan", study) == (
        "study.yaml: experiments[0].techniques[0]: there is no technique 'ful'. Did you mean 'full'?"
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [("techniques", "lora"), ("tasks", "similarity"), ("families", "bert"), ("studies", "demo"), ("parts", "split")],
)
def test_every_kind_is_listed_and_shown(kind: str, name: str, shell: Shell) -> None:
    code, out, _ = shell("list", kind, "--json")
    listed = json.loads(out)[kind]
    assert code == 0
    assert name in {entry["name"] for entry in listed}

    code, out, _ = shell("list", kind)
    assert code == 0
    assert f"{len(listed)} {kind}" in out

    code, out, _ = shell("show", name)
    assert code == 0
    assert name in out
    code, out, _ = shell("show", name, "--json")
    assert json.loads(out)["kind"] == kind


def test_a_shown_study_is_one_that_can_be_copied(shell: Shell, tmp_path: Path) -> None:
    _, out, _ = shell("show", "demo")
    (tmp_path / "copy.yaml").write_text(out)

    copied, built_in = (read_study(name)[0].runs() for name in (str(tmp_path / "copy.yaml"), "demo"))
    assert [run.id for run in copied] == [run.id for run in built_in]


def test_an_unknown_name_is_reported_with_the_closest_one(shell: Shell) -> None:
    assert shell.refusal("show", "lorra") == "show 'lorra': nothing has this name. Did you mean 'lora'?"


def test_an_unknown_kind_is_reported(shell: Shell) -> None:
    code, _, err = shell("list", "technique")

    assert code == 2
    assert "'techniques'" in err


def test_the_environment_is_reported(shell: Shell) -> None:
    code, out, _ = shell("env", "--json")

    values = json.loads(out)
    assert code == 0
    assert {"tunebench", "python", "processor", "cores", "device", "precision", "packages"} <= set(values)


# predict, export, report ----------------------------------------------------------------------------------------------


def test_predicting_needs_texts_from_one_place(shell: Shell, tmp_path: Path) -> None:
    expected = "predict: give either --text or --file."

    assert shell.refusal("predict", tmp_path) == expected
    assert shell.refusal("predict", tmp_path, "--text", "a", "--file", tmp_path / "b") == expected


def test_pairs_that_do_not_match_the_texts_are_reported(shell: Shell, tmp_path: Path) -> None:
    assert shell.refusal("predict", tmp_path, "--text", "a", "--text", "b", "--pair", "c") == (
        "predict: 2 --text but 1 --pair. Give one --pair for each --text."
    )


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa", b"caf\xe9"], ids=["absent", "not UTF-16", "not UTF-8"])
def test_a_file_of_texts_that_cannot_be_read_is_reported(content: bytes | None, shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    if content is not None:
        path.write_bytes(content)

    assert shell.refusal("predict", tmp_path, "--file", path).startswith(f"--file {path}")


def test_an_empty_text_is_reported(shell: Shell, tmp_path: Path) -> None:
    assert shell.refusal("predict", tmp_path, "--text", " ") == "predict: a text is empty. Give at least one word."


@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_folder_that_is_no_run_is_reported(command: str, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / "run.json").write_text("{}")
    more = ["--text", "a"] if command == "predict" else [tmp_path / "target"]

    assert shell.refusal(command, tmp_path, *more) == (
        f"{tmp_path}: this is not the folder of a finished run. Give OUT/runs/<run>, which contains result.json."
    )


def test_a_target_of_an_export_that_is_taken_is_reported(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    for target in (tmp_path, tmp_path / "file"):
        assert shell.refusal("export", tmp_path / "run", target) == (
            f"export {target}: it exists and is not an empty folder. Choose another one."
        )


def test_a_report_of_a_folder_without_a_study_is_reported(shell: Shell, tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in shell.refusal("report", tmp_path / "nowhere")


def test_a_bug_is_no_user_error(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(entries, "entries", broken)
    assert not issubclass(RuntimeError, UserError)
    with pytest.raises(RuntimeError, match="a bug"):
        shell("list", "tasks")
