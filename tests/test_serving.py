"""What a finished run is for, and what it says where it cannot answer."""

import json
import shutil
from pathlib import Path

import pytest

from tests.contracts.runs import make, make_run
from tunebench import load_finetuned
from tunebench._util.errors import UserError
from tunebench.engine import weights
from tunebench.serve.finished import FinishedRun, predict
from tunebench.tasks import load as data
from tunebench.tasks.base import Task


@pytest.fixture(scope="module")
def baseline_run(backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfidf")
    make(make_run(backbones["bert"], data_root, "emotion", "tfidf"), folder)
    return folder


def test_a_second_text_is_refused_where_the_task_takes_one(baseline_run: Path) -> None:
    with pytest.raises(UserError, match=r"predict: emotion takes one text at a time\. Omit --pair"):
        predict(baseline_run, ["i feel happy"], ["why"])


def test_a_second_text_is_asked_for_where_the_task_compares_two(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    make(make_run(backbones["bert"], data_root, "similarity", "untuned"), tmp_path)
    with pytest.raises(UserError, match=r"similarity takes two texts\. Give the second one with --pair"):
        predict(tmp_path, ["a man is playing"])


def test_an_empty_second_text_is_refused(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    make(make_run(backbones["bert"], data_root, "question_answering", "untuned"), tmp_path)
    with pytest.raises(UserError, match=r"a context is empty\. Give at least one word with each --pair"):
        predict(tmp_path, ["is outside"], [" "])
    with pytest.raises(UserError, match=r"takes two texts\. Give the context with --pair"):
        predict(tmp_path, ["is outside"])


def test_an_empty_text_is_refused(baseline_run: Path) -> None:
    with pytest.raises(UserError, match=r"a text is empty\. Give at least one word"):
        predict(baseline_run, ["  "])


def test_probabilities_add_up_and_the_label_is_the_most_probable(baseline_run: Path) -> None:
    (answer,) = predict(baseline_run, ["i feel so happy today"])
    assert sum(answer["scores"].values()) == pytest.approx(1)
    assert answer["label"] == max(answer["scores"], key=answer["scores"].get)


def test_a_baseline_has_no_model_to_load(baseline_run: Path) -> None:
    with pytest.raises(UserError, match=r"tfidf is a baseline without a tuned model"):
        load_finetuned(baseline_run)


def test_a_damaged_baseline_is_named(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    make(make_run(backbones["bert"], data_root, "emotion", "tfidf"), tmp_path)
    (tmp_path / "terms.json").write_text("[")
    with pytest.raises(UserError, match=r"terms\.json: it is damaged or missing .* makes this run anew"):
        predict(tmp_path, ["i feel happy"])


def test_a_damaged_model_is_named(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    make(make_run(backbones["bert"], data_root, "emotion", "classifier_head"), tmp_path)
    (tmp_path / "best.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match=r"best\.safetensors: it is damaged or missing .* makes this run anew"):
        load_finetuned(tmp_path)


def test_other_weights_under_the_same_name_are_refused(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    make(make_run(backbones["bert"], data_root, "emotion", "classifier_head"), tmp_path)
    stored = json.loads((tmp_path / "run.json").read_text())
    stored["places"]["models"] = {"bert": str(backbones["fresh_pooler"])}
    (tmp_path / "run.json").write_text(json.dumps(stored))
    with pytest.raises(UserError, match=r"are not those that were tuned .* Give their folder with --model bert=PATH"):
        load_finetuned(tmp_path)


def test_a_run_that_answers_twice_loads_its_weights_once(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(make_run(backbones["bert"], data_root, "emotion", "classifier_head"), tmp_path)
    loaded: list[Path] = []
    real = weights.load_weights
    monkeypatch.setattr(weights, "load_weights", lambda model, path: (loaded.append(path), real(model, path)))
    finished = FinishedRun.load(tmp_path)
    assert loaded == []
    assert (
        finished.predict(["i feel happy"]) == finished.predict(["i feel happy"]) == predict(tmp_path, ["i feel happy"])
    )
    assert loaded == [tmp_path / "best.safetensors"] * 2


def test_a_model_that_was_moved_is_found_where_the_caller_says(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(backbones["bert"], tmp_path / "models" / "mine")
    make(make_run(model, data_root, "emotion", "classifier_head"), tmp_path / "run")
    before = predict(tmp_path / "run", ["i feel happy"])
    model.rename(tmp_path / "moved")
    with pytest.raises(
        UserError, match=r"model 'mine': there is no folder .* Give its location with --model mine=PATH"
    ):
        predict(tmp_path / "run", ["i feel happy"])
    with pytest.raises(UserError, match=r"--model yours: this run has no such model\. Choose from: mine"):
        predict(tmp_path / "run", ["i feel happy"], models={"yours": "x"})
    assert predict(tmp_path / "run", ["i feel happy"], models={"mine": str(tmp_path / "moved")}) == before
    load_finetuned(tmp_path / "run", {"mine": str(tmp_path / "moved")})


def test_a_run_of_schema_1_is_refused_with_the_way_out(tmp_path: Path, baseline_run: Path) -> None:
    shutil.copy(baseline_run / "result.json", tmp_path)
    stored = json.loads((baseline_run / "run.json").read_text())["run"]
    (tmp_path / "run.json").write_text(json.dumps({**stored, "folder": None, "data_root": "/data"}))
    with pytest.raises(UserError) as caught:
        predict(tmp_path, ["i feel happy"])
    assert str(caught.value) == (
        f"{tmp_path}: schema 1 of tunebench wrote its run.json; this version reads schema 2. Run the study again."
    )


def test_a_tokenizer_that_outgrows_the_embeddings_is_refused(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    folder = shutil.copytree(backbones["bert"], tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["tunebench"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match=r"its tokenizer has \d+ tokens, but its embeddings \d+"):
        make(make_run(folder, data_root, "emotion", "full"), tmp_path / "run")


def test_a_text_of_digits_keeps_its_zeros_in_csv(tmp_path: Path) -> None:
    file = tmp_path / "codes.csv"
    file.write_text("text,label\n" + "".join(f"00{n},{'ab'[n % 2]}\n" for n in range(10, 40)))
    task = Task.model_validate({"name": "codes", "objective": "sequence_classification", "data": str(file)})
    splits = data.load(task).splits
    assert {example.text[:2] for split in splits.values() for example in split} == {"00"}  # type: ignore[union-attr]
