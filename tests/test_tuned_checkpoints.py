"""A checkpoint that was tuned before, or saved by other libraries, as the model to begin with."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.contracts.runs import make, make_run
from tunebench._util.errors import UserError
from tunebench.families import _folder, families
from tunebench.families.base import redrawn_of
from tunebench.objectives import objectives
from tunebench.run.plan import plan
from tunebench.serve.finished import export
from tunebench.zoo import checkpoints


def loaded(folder: Path, objective: str, labels: tuple[str, ...]) -> Any:
    torch.manual_seed(7)
    return checkpoints.find(str(folder)).family.load(folder, objective, objectives()[objective].head(labels))


@pytest.fixture(scope="module")
def tuned(backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger with nine labels, exported."""
    root = tmp_path_factory.mktemp("tuned")
    make(make_run(backbones["bert"], data_root, "ner", "full", epochs=1), root / "run")
    return export(root / "run", root / "tagger")


@pytest.mark.parametrize(
    ("objective", "labels"), [("token_classification", "abcdefghi"), ("token_classification", "ab"), ("regression", "")]
)
def test_the_head_of_a_tuned_checkpoint_is_drawn_from_the_seed_whatever_its_labels(
    objective: str, labels: str, tuned: Path, backbones: dict[str, Path]
) -> None:
    again, first = loaded(tuned, objective, tuple(labels)), loaded(backbones["bert"], objective, tuple(labels))
    assert redrawn_of(again) == ("classifier",)
    assert redrawn_of(first) == ()
    assert torch.equal(again.classifier.weight, first.classifier.weight)
    assert not again.classifier.bias.any()
    name = "encoder.layer.1.output.dense.weight"
    assert torch.equal(again.base_model.state_dict()[name], load_file(tuned / "model.safetensors")[f"bert.{name}"])


def test_a_run_on_a_tuned_checkpoint_has_a_notice(tuned: Path, data_root: Path, tmp_path: Path) -> None:
    done = make(make_run(tuned, data_root, "emotion", "classifier_head", epochs=1), tmp_path)
    (notice,) = [notice for notice in done.notices if notice.code == "fresh_head"]
    assert notice.message.startswith("The checkpoint's own head (classifier) was not used")


def test_a_pretrained_head_that_must_answer_is_not_drawn_at_random(backbones: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(backbones["llama"], tmp_path / "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    weights = {k: v.clone() for k, v in load_file(folder / "model.safetensors").items() if "lm_head" not in k}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 tensor that its config\.json requires, first lm_head\.weight"):
        loaded(folder, "causal_lm", ())


def test_weights_with_more_layers_than_the_configuration_are_refused(
    backbones: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(backbones["gpt2"], tmp_path / "gpt2")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_layer": 3}))
    with pytest.raises(UserError, match=r"its weights have a layer .*h\.3, its config\.json has none"):
        loaded(folder, "causal_lm", ())


# An adapter beside the weights ----------------------------------------------------------------------------------------


def test_adapter_files_beside_weights_are_refused_when_planned(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    make(make_run(backbones["bert"], data_root, "emotion", "lora", epochs=1), tmp_path / "run")
    merged = export(tmp_path / "run", tmp_path / "merged")
    for file in (tmp_path / "run" / "adapter").glob("adapter_*"):
        shutil.copy(file, merged)
    run = make_run(merged, data_root, "emotion", "untuned")
    with pytest.raises(UserError, match=r"adapter_config\.json is beside the weights.* remove the adapter's files"):
        plan([run], run._places)


def test_an_adapter_without_its_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"it contains an adapter .* without its model\. Merge it with PEFT's"):
        checkpoints.find(str(tmp_path))


# Tokenizers -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(backbones: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(backbones["bert"], tmp_path / "model")


@pytest.mark.parametrize(("part", "kind"), [("normalizer", "BertNormalizer9"), ("model", "UnigramTree")])
def test_a_tokenizer_file_of_a_newer_library_is_one_line(part: str, kind: str, folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    content[part] = {"type": kind, "depth": 3}
    (folder / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(UserError) as caught:
        families()["bert"].tokenizer(folder)
    assert "\n" not in str(caught.value)
    assert "its tokenizer cannot be read (" in str(caught.value)
    assert "If newer libraries wrote it, update transformers and tokenizers." in str(caught.value)


def test_a_sentencepiece_file_names_the_packages_that_are_missing(
    backbones: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(backbones["t5"], tmp_path / "t5", ignore=shutil.ignore_patterns("tokenizer*"))
    (folder / "spiece.model").write_bytes(b"\x0a\x05")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer"}))
    monkeypatch.setattr(_folder, "_there", lambda module: False)
    with pytest.raises(UserError, match=r"A SentencePiece file needs more: pip install sentencepiece protobuf\."):
        families()["t5"].tokenizer(folder)


def test_a_tokenizer_that_is_a_sentencepiece_file_only_is_read(backbones: dict[str, Path], tmp_path: Path) -> None:
    trainer = pytest.importorskip("sentencepiece").SentencePieceTrainer
    pytest.importorskip("google.protobuf")
    folder = shutil.copytree(backbones["t5"], tmp_path / "t5", ignore=shutil.ignore_patterns("tokenizer*"))
    pieces = io.BytesIO()
    texts = iter(["a lamp is red and another one green", "rivers run from the hills to the sea"] * 9)
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    trainer.train(sentence_iterator=texts, model_writer=pieces, vocab_size=29, minloglevel=2, **ids)
    (folder / "spiece.model").write_bytes(pieces.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 4}))
    tokenizer = families()["t5"].tokenizer(folder)
    assert tokenizer.decode(tokenizer("the red lamp")["input_ids"], skip_special_tokens=True) == "the red lamp"
