"""Runs are made by worker processes: whatever becomes of one, the study goes on, and the same command ends it."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tiny import ADVERBS
from tunebench.cli import app as cli
from tunebench.records import Done, Failed, read_result, write_result
from tunebench.run.executors import local
from tunebench.run.pending import pending_runs
from tunebench.run.survey import Survey
from tunebench.study import read_study

TRAINING = "{epochs: 1, batch_size: 16, precision: float32}"
STUDY = f"""
name: tiny
training: {TRAINING}
experiments:
  - model: tiny-bert
    task: emotion
    techniques: [{{name: full, learning_rate: 1e-3}}, lora, tfidf]
  - {{model: tiny-bert, task: ner, techniques: [classifier_head, tfidf]}}
  - {{model: tiny-bert, task: similarity, techniques: [{{name: freeze, learning_rate: 1e-3}}, tfidf]}}
  - {{model: tiny-bert, task: {{objective: regression, data: scores.csv}}, techniques: [full]}}
  - model: tiny-bert
    task: {{name: lost, objective: sequence_classification, data: lost.csv, labels: [a, b]}}
    techniques: [full]
"""


def tunebench(*arguments: Any, folder: Path | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command that runs in this process, as the entry point does."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(folder or "."),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["tunebench", *map(str, arguments)])
        patch.setattr(local, "cpu_count", lambda: 1)  # one thread a worker: two on a busy machine wait for each other
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


class Command:
    """`tunebench run` on a study in a folder of its own."""

    def __init__(
        self, folder: Path, text: str, backbone: Path, data_root: Path, out: Path | None = None, workers: int = 2
    ):
        self.folder, self.out = folder, out or folder / "out"
        (folder / "study.yaml").write_text(text)
        self.arguments = [
            "run",
            "study.yaml",
            "--out",
            str(self.out),
            "--workers",
            str(workers),
            "--model",
            f"tiny-bert={backbone}",
            "--data-root",
            str(data_root),
        ]
        study, _ = read_study(str(folder / "study.yaml"))
        self.runs, self.places = study.runs(), study.places({"tiny-bert": str(backbone)}, str(data_root))

    def __call__(self, *more: str) -> tuple[int, str, str]:
        """Run it to its end in this process."""
        return tunebench(*self.arguments, *more, folder=self.folder)

    def start(self) -> subprocess.Popen[str]:
        """Begin it in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "tunebench", *self.arguments],
            cwd=self.folder,
            env={**os.environ, "LOKY_MAX_CPU_COUNT": "1"},  # one thread a worker, as above
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_dir(self, task: str, technique: str) -> Path:
        (run,) = [run for run in self.runs if (run.task.name, run.technique) == (task, technique)]
        return self.out / "runs" / run.id


class Finished(Command):
    """A command that has ended."""

    code: int
    printed: str
    complaints: str


@pytest.fixture(scope="module")
def finished(backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A study of which two runs fail: one has scores beyond float32, the other's data file is lost after the plan."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "scores.csv").write_text("text,label\n" + "i feel happy,1e30\n" * 40)
    command = Finished(folder, STUDY, backbones["bert"], data_root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunebench.run.survey.survey", lambda *_, **__: Survey())
        command.code, command.printed, command.complaints = command()
    return command


def test_a_failing_run_stops_no_other_and_the_exit_code_is_1(finished: Finished) -> None:
    statuses = {run.task.name: read_result(finished.out / "runs" / run.id) for run in finished.runs}

    assert finished.code == 1
    assert finished.complaints == ""
    assert "Traceback" not in finished.printed
    assert [name for name, result in statuses.items() if isinstance(result, Failed)] == ["scores", "lost"]
    done = [read_result(finished.out / "runs" / run.id) for run in finished.runs]
    assert sum(isinstance(result, Done) for result in done) == len(finished.runs) - 2 == 7


def test_a_failed_run_says_why_in_its_result_its_error_file_and_on_the_screen(finished: Finished) -> None:
    lost, scores = finished.run_dir("lost", "full"), finished.run_dir("scores", "full")

    reason = "task 'lost': there is no file lost.csv. Check the path under data."
    result = read_result(lost)
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert (lost / "error.txt").read_text() == reason + "\n"
    assert f"failed: {lost.name}: {reason}\n" in finished.printed

    text = (scores / "error.txt").read_text().rstrip()
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("RunError: the loss is inf at step 1; a lower learning rate may help")
    assert "The same command makes failed runs again" in finished.printed


def test_a_run_leaves_its_record_and_nothing_to_resume(finished: Finished) -> None:
    folder = finished.run_dir("emotion", "full")

    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "events.jsonl",
        "best.safetensors",
        "predictions.jsonl",
        "result.json",
    }
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["epoch", "test"]
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(36))


def test_the_output_folder_holds_study_plan_report_and_table(finished: Finished) -> None:
    assert (finished.out / "study.yaml").read_text() == STUDY
    plan = json.loads((finished.out / "plan.json").read_text())
    assert [run["id"] for run in plan["runs"]] == [run.id for run in finished.runs]
    records = json.loads((finished.out / "results.json").read_text())
    assert sorted(record["status"] for record in records) == ["done"] * 7 + ["failed"] * 2
    assert {"report.html", "report.md", "results.csv"} <= {path.name for path in finished.out.iterdir()}


def test_a_frozen_run_uses_the_shared_cache(finished: Finished) -> None:
    result = read_result(finished.run_dir("ner", "classifier_head"))

    assert isinstance(result, Done)
    assert result.cost.cached
    assert list((finished.out / "cache").glob("*.safetensors"))


@pytest.mark.usefixtures("in_process")
def test_the_same_command_makes_only_what_failed_or_is_damaged(finished: Finished) -> None:
    damaged = finished.run_dir("emotion", "tfidf") / "result.json"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    others = {path: path.stat().st_mtime_ns for path in finished.out.glob("runs/*/result.json") if path != damaged}
    code, printed, _ = finished("--only", "*/emotion/*")

    assert code == 1, "the study's failed runs are still failed"
    assert f"9 runs in {finished.out}, 1 to make." in printed
    assert "[1/1] emotion · tfidf · seed 0: done" in printed
    before, after = json.loads(whole), json.loads(damaged.read_bytes())
    assert before["metrics"] == after["metrics"]
    assert {path: path.stat().st_mtime_ns for path in others} == others


@pytest.mark.parametrize("change", ["nothing", "failed", "damaged", "absent"])
def test_a_run_is_pending_unless_it_has_a_whole_result(change: str, finished: Finished, tmp_path: Path) -> None:
    runs = [run for run in finished.runs if run.task.name == "emotion"]
    for run in runs:
        result = read_result(finished.out / "runs" / run.id)
        assert isinstance(result, Done)
        shutil.copytree(finished.out / "runs" / run.id, tmp_path / "runs" / run.id)
    changed = tmp_path / "runs" / runs[0].id
    if change == "failed":
        info = read_result(changed)
        assert info is not None
        write_result(changed, Failed(reason="x", run=info.run, environment={}))
    elif change == "damaged":
        (changed / "result.json").write_text('{"status": "done"}')
    elif change == "absent":
        (changed / "result.json").unlink()

    pending, remarks = pending_runs(runs, finished.places, tmp_path)
    assert [one.run.id for one in pending] == ([] if change == "nothing" else [runs[0].id])
    assert {one.family for one in pending} <= {"bert"}
    assert remarks == []


# What a finished run is for -------------------------------------------------------------------------------------------


def predictions(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("technique", ["full", "lora", "tfidf"])
def test_predict_answers_as_the_run_did(technique: str, finished: Finished, data_root: Path) -> None:
    import pandas

    folder = finished.run_dir("emotion", technique)
    texts = pandas.read_parquet(data_root / "emotion" / "test.parquet")["text"].tolist()[:5]
    options = [part for text in texts for part in ("--text", text)]
    code, out, _ = tunebench("predict", folder, *options, "--json")

    answers = json.loads(out)["answers"]
    assert code == 0
    assert [answer["text"] for answer in answers] == texts
    for answer, row in zip(answers, predictions(folder), strict=False):
        assert answer["label"] == row["prediction"]
        assert list(answer["scores"].values()) == pytest.approx(row["scores"], abs=1e-4)
        assert sum(answer["scores"].values()) == pytest.approx(1)


def test_predict_prints_a_line_a_text(finished: Finished) -> None:
    code, out, _ = tunebench("predict", finished.run_dir("emotion", "tfidf"), "--text", "i feel happy")

    assert code == 0
    assert out.startswith("joy\tjoy ")
    assert out.endswith("\ti feel happy\n")


def test_predict_tags_words(finished: Finished) -> None:
    code, out, _ = tunebench("predict", finished.run_dir("ner", "tfidf"), "--text", "today Maria met Reuters .")

    assert (code, out) == (0, "today/O Maria/B-PER met/O Reuters/B-ORG ./O\n")


def test_predict_scores_pairs_of_a_file(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text(
        "".join(f"a man is eating outside .\tthe man is {adverb} eating .\n" for adverb in ADVERBS)
    )
    folder = finished.run_dir("similarity", "freeze")
    code, out, _ = tunebench("predict", folder, "--file", tmp_path / "pairs.txt")

    assert code == 0
    assert len({float(line.split("\t")[0]) for line in out.splitlines()}) == len(ADVERBS)


def test_predict_without_the_second_text_is_reported(finished: Finished) -> None:
    code, out, err = tunebench("predict", finished.run_dir("similarity", "tfidf"), "--text", "a")

    assert (code, out) == (2, "")
    assert err == (
        "tunebench: predict: similarity takes two texts. Give the second one with --pair (in a file: after a tab).\n"
    )


def test_predict_with_a_failed_run_is_reported(finished: Finished) -> None:
    folder = finished.run_dir("lost", "full")
    code, _, err = tunebench("predict", folder, "--text", "a")

    assert code == 2
    assert err == (
        f"tunebench: {folder}: this run is failed (task 'lost': there is no file lost.csv. "
        "Check the path under data.), so there is no model.\n"
    )


@pytest.mark.parametrize("technique", ["full", "lora"])
def test_an_exported_run_is_loaded_by_transformers_alone(
    technique: str, finished: Finished, data_root: Path, tmp_path: Path
) -> None:
    import pandas
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = finished.run_dir("emotion", technique)
    code, out, _ = tunebench("export", folder, tmp_path / "model")
    assert (code, out) == (0, f"Exported: {tmp_path / 'model'}\n")

    model, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    texts = pandas.read_parquet(data_root / "emotion" / "test.parquet")["text"].tolist()
    with torch.inference_mode():
        probabilities = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.softmax(-1)
    rows = predictions(folder)
    assert torch.allclose(probabilities, torch.tensor([row["scores"] for row in rows]), atol=1e-4)
    assert [model.config.id2label[index] for index in probabilities.argmax(-1).tolist()] == [
        row["prediction"] for row in rows
    ]


def test_an_exported_baseline_is_what_the_command_says(finished: Finished, tmp_path: Path) -> None:
    code, out, _ = tunebench("export", finished.run_dir("emotion", "tfidf"), tmp_path / "model")
    assert (code, out) == (0, f"Exported: {tmp_path / 'model'}\n")
    names = {"README.md", "answers.py", "baseline.json", "terms.json", "tfidf.safetensors"}
    assert {path.name for path in (tmp_path / "model").iterdir()} == names


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """A finished run, to be damaged."""
    return shutil.copytree(finished.run_dir("emotion", "full"), tmp_path / "run")


def test_damaged_weights_of_a_run_are_reported(copied: Path) -> None:
    path = copied / "best.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    code, _, err = tunebench("predict", copied, "--text", "a")

    assert code == 2
    assert err == (
        f"tunebench: {path}: it is damaged or missing (its digest is not that in result.json). "
        "Run the study again: 'tunebench run' makes this run anew.\n"
    )


def test_a_damaged_description_of_a_run_is_reported(copied: Path) -> None:
    (copied / "run.json").write_text('{"model": "x"}')
    code, _, err = tunebench("predict", copied, "--text", "a")

    assert (code, err) == (
        2,
        f"tunebench: {copied}: its run.json is damaged, or another version wrote it. Run the study again.\n",
    )


def test_a_backbone_that_is_not_the_tuned_one_is_reported(copied: Path, backbones: dict[str, Path]) -> None:
    stored = json.loads((copied / "run.json").read_text())
    other = backbones["fresh_pooler"]
    stored["places"]["models"]["tiny-bert"] = str(other)
    (copied / "run.json").write_text(json.dumps(stored))
    code, _, err = tunebench("predict", copied, "--text", "a")

    assert code == 2
    assert err.startswith(f"tunebench: {copied}: the files of 'tiny-bert' in {other} are not those that were tuned (")


# Death ----------------------------------------------------------------------------------------------------------------

LONG = """
name: long
training: {epochs: 3, batch_size: 1, patience: 9, checkpoint_seconds: 0.2, precision: float32}
experiments:
  - {model: tiny-bert, task: emotion, techniques: [{name: full, learning_rate: 1e-3}]}
"""
STEPS = 96  # an epoch: one example a step
MOUNT = shutil.which("mount")


def until(condition: Callable[[], Any], seconds: float) -> Any:
    """What the condition gives, once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain")


def events_of(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [event for event in map(json.loads, lines) if event["event"] == name]


def workers_of(parent: int) -> list[psutil.Process]:
    children = psutil.Process(parent).children()
    return [child for child in children if any("tunebench.run.worker" in part for part in child.cmdline())]


def at_work(process: psutil.Process) -> bool:
    """Whether a process still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_a_killed_parent_leaves_no_worker_and_the_same_command_goes_on(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    command = Command(tmp_path, LONG, backbones["bert"], data_root, workers=1)
    folder = command.run_dir("emotion", "full")
    process = command.start()
    try:
        until(lambda: process.poll() is not None or events_of(folder, "epoch"), 90)
        assert process.poll() is None, process.communicate()[0]

        code, out, err = command()
        assert (code, out) == (2, "")
        assert err == (
            f"tunebench: --out {command.out}: another tunebench is using it. "
            "Wait for it to end, or choose another folder.\n"
        )

        workers = workers_of(process.pid)
        assert workers
        process.kill()
        process.wait()
        until(lambda: not any(map(at_work, workers)), 10)
        assert not (folder / "result.json").exists()
    finally:
        process.kill()
        process.communicate()

    code, _, err = command()
    assert (code, err) == (0, "")
    (resumed,) = events_of(folder, "resumed")
    assert STEPS / 2 < resumed["step"] < 3 * STEPS
    result = read_result(folder)
    assert isinstance(result, Done)
    assert result.cost.steps == 3 * STEPS
    assert [epoch.epoch for epoch in result.history] == [1, 2, 3]
    assert not (folder / "resume").exists()


@pytest.mark.slow
def test_a_killed_worker_is_a_failed_run_and_the_study_goes_on(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    command = Command(tmp_path, LONG.replace("}]}", "}, tfidf]}"), backbones["bert"], data_root, workers=1)
    folder = command.run_dir("emotion", "full")

    def kill() -> None:
        until(lambda: events_of(folder, "epoch"), 90)
        for child in workers_of(os.getpid()):
            child.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    code, printed, err = command()
    killer.join()

    assert (code, err) == (1, "")
    reason = (
        "its process was killed, most likely because memory ran out. Use fewer --workers, "
        "a smaller training.micro_batch_size, or a smaller model."
    )
    result = read_result(folder)
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert (folder / "error.txt").read_text() == reason + "\n"
    assert f"failed: {folder.name}: {reason}" in printed
    assert isinstance(read_result(command.run_dir("emotion", "tfidf")), Done)
    assert (command.out / "report.html").is_file()


@pytest.mark.slow
def test_a_really_full_disk_is_reported_and_the_same_command_ends_the_study(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if not MOUNT or subprocess.run([MOUNT, *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        text = LONG.replace("epochs: 3, batch_size: 1", "epochs: 1, batch_size: 16")
        command = Command(tmp_path, text, backbones["bert"], data_root, small / "out", workers=1)
        (small / "filler").write_bytes(b"x" * (4 * 2**20 - 100_000))
        code, _, err = command()
        assert code == 2
        assert err.startswith(f"tunebench: --out {small / 'out'}: ")
        assert err.endswith(
            ": No space left on device. Correct that and repeat the command: "
            "finished runs are kept, and the interrupted one continues.\n"
        )

        (small / "filler").unlink()
        code, _, err = command()
        assert (code, err) == (0, "")
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=False)
