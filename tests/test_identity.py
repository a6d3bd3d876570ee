"""A run is its content: its id covers no path, and other bytes under the same name are noticed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.records import done, failed, write_study
from tests.test_run import tunebench
from tunebench import results
from tunebench.records import Done, read_result, write_result
from tunebench.run.job import Job
from tunebench.run.pending import pending_runs
from tunebench.run.worker import make
from tunebench.study import Places, Run, Study
from tunebench.tasks import load as data
from tunebench.zoo import checkpoints

pytestmark = pytest.mark.usefixtures("undrawn")

CONTENT: dict[str, Any] = {
    "name": "tiny",
    "training": {"epochs": 1, "precision": "float32"},
    "experiments": [{"model": "tiny-bert", "task": "emotion", "techniques": ["untuned", "tfidf"]}],
}
STUDY = Study.model_validate(CONTENT)
UNTUNED, TFIDF = STUDY.runs()


def record_of(run: Run, data_fingerprint: str, model_fingerprint: str) -> Done:
    """The record of a run that was never made."""
    record = done(run.technique, 0.5)
    return record.model_copy(
        update={
            "run": run.info("bert"),
            "data": record.data.model_copy(update={"fingerprint": data_fingerprint}),
            "backbone": record.backbone and record.backbone.model_copy(update={"fingerprint": model_fingerprint}),
        }
    )


@pytest.fixture
def places(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> Places:
    """A model folder and a data root of the test's own, which it may change."""
    model = shutil.copytree(backbones["bert"], tmp_path / "model")
    root = shutil.copytree(data_root, tmp_path / "data")
    return STUDY.places({"tiny-bert": str(model)}, str(root))


@pytest.fixture
def out(places: Places, tmp_path: Path) -> Path:
    """An output folder with the records of both runs, on the data and the model of `places`."""
    data_fingerprint = data.load(UNTUNED.task, places.data_root).fingerprint()
    checkpoint = checkpoints.find("tiny-bert", None, places.models["tiny-bert"])
    model_fingerprint = checkpoints.fetch(checkpoint, weights=True)[1].fingerprint
    for run in (UNTUNED, TFIDF):
        write_result(tmp_path / "out" / "runs" / run.id, record_of(run, data_fingerprint, model_fingerprint))
    return tmp_path / "out"


def change_a_letter(root: str | None) -> None:
    assert root is not None
    path = Path(root) / "emotion" / "train.parquet"
    rows = pd.read_parquet(path)
    rows.loc[0, "text"] = "j" + rows.loc[0, "text"][1:]
    rows.to_parquet(path, index=False)


# Ids ------------------------------------------------------------------------------------------------------------------


def test_where_model_and_data_lie_changes_no_id_and_no_fingerprint(
    places: Places, data_root: Path, backbones: dict[str, Path], tmp_path: Path
) -> None:
    moved = shutil.copytree(backbones["bert"], tmp_path / "elsewhere" / "tiny-bert")
    experiment = {**CONTENT["experiments"][0], "model": str(moved)}
    elsewhere = Study.model_validate({**CONTENT, "experiments": [experiment]})

    assert [run.id for run in elsewhere.runs()] == [UNTUNED.id, TFIDF.id]
    assert (
        data.load(UNTUNED.task, places.data_root).fingerprint() == data.load(UNTUNED.task, str(data_root)).fingerprint()
    )
    there = elsewhere.places(data_root=str(data_root)).models["tiny-bert"]
    folders = (places.models["tiny-bert"], there)
    first, second = (checkpoints.fetch(checkpoints.find("tiny-bert", None, folder), True)[1] for folder in folders)
    assert first.fingerprint == second.fingerprint


def test_a_copy_with_other_content_has_another_id() -> None:
    assert len({UNTUNED.id, *(UNTUNED.model_copy(update={"seed": seed}).id for seed in (0, 1, 2))}) == 3
    assert UNTUNED.model_copy(update={"label": "another"}).id == UNTUNED.id


# What is made again ---------------------------------------------------------------------------------------------------


def test_a_run_on_the_same_bytes_is_done(places: Places, out: Path) -> None:
    assert pending_runs([UNTUNED, TFIDF], places, out) == ([], [])


def test_other_data_under_the_same_name_make_every_run_on_them_again(places: Places, out: Path) -> None:
    change_a_letter(places.data_root)
    pending, remarks = pending_runs([UNTUNED, TFIDF], places, out)

    assert [one.run for one in pending] == [UNTUNED, TFIDF]
    assert remarks == ["The data of 'emotion' have changed since 2 finished runs, so these are made again."]
    assert [[notice.code for notice in one.notices] for one in pending] == [["made_again"], ["made_again"]]
    assert (
        pending[0]
        .notices[0]
        .message.startswith("Made again: the data of 'emotion' have changed since the earlier result (fingerprint ")
    )


def test_other_weights_under_the_same_name_make_again_only_what_reads_them(
    places: Places, out: Path, backbones: dict[str, Path]
) -> None:
    shutil.copy(backbones["fresh_pooler"] / "model.safetensors", places.models["tiny-bert"])
    record = read_result(out / "runs" / TFIDF.id)
    assert isinstance(record, Done)
    write_result(out / "runs" / TFIDF.id, record.model_copy(update={"backbone": None}))  # a baseline has none
    pending, remarks = pending_runs([UNTUNED, TFIDF], places, out)

    assert [one.run for one in pending] == [UNTUNED]
    assert remarks == ["The files of model 'tiny-bert' have changed since one finished run, so these are made again."]


def test_unavailable_data_and_models_leave_a_run_done_with_a_sentence_each(places: Places, out: Path) -> None:
    absent = Places(models={"tiny-bert": "/absent"}, data_root="/absent")
    pending, (about_data, about_model) = pending_runs([UNTUNED], absent, out)

    assert pending == []
    assert about_data.startswith(
        "The data of 'emotion' are unavailable, so one finished run could not be compared with them and count"
    )
    assert about_model.startswith("The files of model 'tiny-bert' are unavailable, so one finished run could not")


def test_a_run_that_is_made_again_leaves_no_old_figures_if_it_is_stopped_and_says_why_afterwards(
    places: Places, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_a_letter(places.data_root)
    (pending,), _ = pending_runs([UNTUNED], places, out)
    folder = out / "runs" / UNTUNED.id
    job = Job(run=UNTUNED, places=places, family="bert", folder=str(folder), cache=str(out), notices=pending.notices)

    def stop(*_: Any) -> None:
        assert read_result(folder) is None
        raise KeyboardInterrupt

    monkeypatch.setattr("tunebench.run.worker.execute", stop)
    with pytest.raises(KeyboardInterrupt):
        make(job, lambda event: None)
    ((again,), _) = pending_runs([UNTUNED], places, out)
    assert (again.run, again.notices) == (UNTUNED, ())
    monkeypatch.undo()
    make(job.model_copy(update={"notices": ()}), lambda event: None)
    result = read_result(folder)
    assert isinstance(result, Done)
    assert [notice for notice in result.notices if notice.code == "made_again"] == [*pending.notices]


# Whole studies --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_process")
def test_a_moved_study_goes_on_without_a_run_made_again(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(CONTENT))

    def run(folder: Path, *more: str) -> tuple[int, str, str]:
        model, root = f"tiny-bert={folder / 'model'}", folder / "data"
        return tunebench("run", study, "--out", folder / "out", "--model", model, "--data-root", root, *more)

    code, printed, _ = run(tmp_path, "--only", "*/*/tfidf")
    assert (code, "2 runs in" in printed, "1 to make." in printed) == (0, True, True)
    elsewhere = tmp_path / "another" / "machine"
    elsewhere.mkdir(parents=True)
    for name in ("out", "model", "data"):
        (tmp_path / name).rename(elsewhere / name)
    made = elsewhere / "out" / "runs" / TFIDF.id / "result.json"
    before = made.stat().st_mtime_ns

    code, printed, _ = run(elsewhere)
    assert (code, "2 runs in" in printed, "1 to make." in printed) == (0, True, True)
    assert made.stat().st_mtime_ns == before
    assert {path.name for path in (elsewhere / "out" / "runs").iterdir()} == {UNTUNED.id, TFIDF.id}

    plan = (elsewhere / "out" / "plan.json").read_bytes()
    monkeypatch.setattr("tunebench.run.plan.plan", None)  # whose import takes seconds, as torch comes with it
    code, printed, _ = run(elsewhere)
    assert (code, "2 runs in" in printed, "0 to make." in printed) == (0, True, True)
    assert (elsewhere / "out" / "plan.json").read_bytes() == plan


def test_ctrl_c_before_the_first_run_ends_with_a_sentence(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tunebench.run.plan.plan", stop)
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(CONTENT))
    model = f"tiny-bert={places.models['tiny-bert']}"
    ended = tunebench("run", study, "--out", tmp_path / "out", "--model", model, "--data-root", places.data_root)
    assert ended == (130, "Stopped. Finished runs are kept; the same command continues.\n", "")


# Schema 1 -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A study's folder as schema 1 wrote it."""
    folder = write_study(tmp_path, done("head", 0.5), failed("full", "out of memory"))
    for path in folder.glob("runs/*/result.json"):
        stored = {**json.loads(path.read_text()), "schema": 1}
        if "summary" in stored:
            stored["learnt"] = {"angle": stored.pop("summary").get("angle", 3)}
            stored["cost"]["prefix_seconds"] = stored["cost"].pop("trunk_seconds")
        path.write_text(json.dumps(stored))
        (path.parent / "run.json").write_text(json.dumps({"model": "tiny", "technique": "head", "folder": None}))
    return folder


def test_an_output_folder_of_schema_1_is_reported(old: Path) -> None:
    read = read_result(old / "runs" / done("head", 0.5).run.id)
    assert isinstance(read, Done)
    assert (read.schema_version, read.summary, read.cost.trunk_seconds) == (2, {"angle": 3}, 1.5)
    (old / "report.html").unlink()
    code, printed, _ = tunebench("report", old)
    assert (code, printed) == (0, f"Report: {old / 'report.html'}\n")
    assert sorted(row["status"] for row in results(old).to_dict("records")) == ["done", "failed"]


def test_an_output_folder_of_schema_1_is_not_continued(old: Path, places: Places) -> None:
    study = old / "mine.yaml"
    study.write_text(yaml.safe_dump(CONTENT))
    model = f"tiny-bert={places.models['tiny-bert']}"
    before = {path: path.read_bytes() for path in old.rglob("*.json")}
    code, _, complaint = tunebench("run", study, "--out", old, "--model", model, "--data-root", places.data_root)
    assert (code, complaint) == (
        2,
        f"tunebench: --out {old}: it holds results of schema 1, which 'tunebench report' reads, but a run of this "
        "version (schema 2) cannot continue. Choose another --out.\n",
    )
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_of_schema_1_answers_nothing(old: Path) -> None:
    folder = old / "runs" / done("head", 0.5).run.id
    assert tunebench("predict", folder, "--text", "i feel happy") == (
        2,
        "",
        f"tunebench: {folder}: schema 1 of tunebench wrote its run.json; this version reads schema 2. "
        "Run the study again.\n",
    )
