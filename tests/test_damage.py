"""Files of a run that were damaged after they were written are named, never used."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contracts.runs import LocatedRun, make, make_run, make_until
from tests.faults import flip
from tunebench._util.errors import UserError
from tunebench._util.files import differing, digest_of, read_json, write_json
from tunebench.engine.events import CheckpointDamaged, Event, Resumed, Step
from tunebench.records import Done, read_result
from tunebench.report.read.predictions import read_answers, recorded_digest
from tunebench.run.pending import pending_runs
from tunebench.serve.finished import FinishedRun

FILES = {
    "lora": {
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "best.safetensors",
        "predictions.jsonl",
    },
    "tfidf": {"predictions.jsonl", "terms.json", "tfidf.safetensors"},
}


@pytest.fixture(scope="module", params=FILES)
def finished(
    request: pytest.FixtureRequest,
    backbones: dict[str, Path],
    data_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[LocatedRun, Path]:
    """A finished run, and the study's folder that holds it."""
    run, out = make_run(backbones["bert"], data_root, "emotion", request.param), tmp_path_factory.mktemp("out")
    make(run, out / "runs" / run.id)
    return run, out


def test_a_result_holds_the_digest_of_every_kept_file(finished: tuple[LocatedRun, Path]) -> None:
    run, out = finished
    result = read_result(out / "runs" / run.id)
    assert isinstance(result, Done)
    assert set(result.files) == FILES[run.technique]
    for name, digest in result.files.items():
        assert digest_of(out / "runs" / run.id / name) == digest


def test_one_flipped_bit_in_any_kept_file_is_named_and_makes_the_run_again(
    finished: tuple[LocatedRun, Path], tmp_path: Path
) -> None:
    run, out = finished
    assert pending_runs([run], run._places, out) == ([], [])
    for name in FILES[run.technique]:
        damaged = shutil.copytree(out, tmp_path / name.replace("/", "-"))
        path = damaged / "runs" / run.id / name
        flip(path)
        (pending,), remarks = pending_runs([run], run._places, damaged)
        assert remarks == [f"{path} is damaged or missing, so its run is made again."]
        assert [notice.code for notice in pending.notices] == ["made_again"]
        assert name in pending.notices[0].message


def test_damaged_weights_answer_nothing(finished: tuple[LocatedRun, Path], tmp_path: Path) -> None:
    run, out = finished
    folder = shutil.copytree(out / "runs" / run.id, tmp_path / "run")
    assert FinishedRun.load(folder).predict(["i feel happy"])
    (name,) = {"best.safetensors", "tfidf.safetensors"} & FILES[run.technique]
    flip(folder / name)
    with pytest.raises(UserError, match=rf"{name}: it is damaged or missing .* makes this run anew"):
        FinishedRun.load(folder).predict(["i feel happy"])


def test_damaged_answers_are_not_scored(finished: tuple[LocatedRun, Path], tmp_path: Path) -> None:
    run, out = finished
    damaged = shutil.copytree(out, tmp_path / "out")
    result = read_result(damaged / "runs" / run.id)
    assert isinstance(result, Done)
    assert read_answers(damaged, run.id, recorded_digest(result))
    flip(damaged / "runs" / run.id / "predictions.jsonl")
    assert read_answers(damaged, run.id, recorded_digest(result)) is None


def test_a_result_without_digests_is_read_as_before(finished: tuple[LocatedRun, Path], tmp_path: Path) -> None:
    run, out = finished
    older = shutil.copytree(out, tmp_path / "out")
    path = older / "runs" / run.id / "result.json"
    write_json(path, {name: value for name, value in (read_json(path) or {}).items() if name != "files"})
    assert pending_runs([run], run._places, older) == ([], [])
    assert FinishedRun.load(path.parent).predict(["i feel happy"])


def no_digest(state: Path) -> None:
    path = state / "state.json"
    write_json(path, {name: value for name, value in (read_json(path) or {}).items() if name != "sha256"})


DAMAGES: dict[str, Callable[[Path], object]] = {
    "best weights": lambda state: flip(state / "best.safetensors"),
    "no best weights": lambda state: (state / "best.safetensors").unlink(),
    "tensors": lambda state: flip(state / "tensors.safetensors", 3),
    "no state": lambda state: (state / "state.json").write_text("null"),
    "a figure": lambda state: (state / "state.json").write_text(
        (state / "state.json").read_text().replace('"tokens": ', '"tokens": 1')
    ),
    "no digest": no_digest,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_not_resumed_from_and_the_weights_are_the_same(
    damage: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "classifier_head")
    whole = make(run, tmp_path / "whole")
    make_until(1, run, tmp_path / "cut")
    (state,) = (tmp_path / "cut/resume").iterdir()
    DAMAGES[damage](state)
    events: list[Event] = []
    again = make(run, tmp_path / "cut", events.append)
    assert [event.checkpoint for event in events if isinstance(event, CheckpointDamaged)] == [state.name]
    assert not any(isinstance(event, Resumed) for event in events)
    assert again.files == whole.files
    assert [notice.code for notice in again.notices if notice.code == "checkpoint_damaged"]
    assert again.model_dump(include={"metrics", "best_epoch"}) == whole.model_dump(include={"metrics", "best_epoch"})


def test_a_restart_after_damage_resumes_from_its_own_checkpoints(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "classifier_head", checkpoint_seconds=0)
    make_until(1, run, tmp_path)
    (state,) = (tmp_path / "resume").iterdir()
    flip(state / "tensors.safetensors")

    def kill(event: Event) -> None:
        if isinstance(event, Step) and event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(run, tmp_path, kill)
    events: list[Event] = []
    done = make(run, tmp_path, events.append)
    assert [event.step for event in events if isinstance(event, Resumed)] == [1]
    assert [notice.code for notice in done.notices if notice.code == "checkpoint_damaged"], "it is not forgotten"


def test_a_checkpoint_brings_its_own_best_weights_back(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "full")
    whole = make(run, tmp_path / "whole")
    make_until(1, run, tmp_path / "cut")
    best = tmp_path / "cut/best.safetensors"
    kept = best.read_bytes()
    best.unlink()
    best.write_bytes(b"weights of a later epoch, written when the run was killed")

    def kill(event: Event) -> None:
        if isinstance(event, Resumed):
            assert best.read_bytes() == kept
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(run, tmp_path / "cut", kill)
    assert make(run, tmp_path / "cut").files == whole.files


def test_a_file_that_is_a_folder_differs(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").mkdir()
    assert differing(tmp_path, {"best.safetensors": "0"}) == ["best.safetensors"]
