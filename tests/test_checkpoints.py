"""A model's folder is checked before anything is tuned: what is missing or damaged is reported."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tunebench._util.errors import UserError
from tunebench.families.base import fresh_of
from tunebench.objectives import objectives
from tunebench.zoo import checkpoints, embedded

HEAD = objectives()["sequence_classification"].head(("a", "b"))


def open_all(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer of a folder, by the way that a run takes."""
    checkpoint = checkpoints.find(str(folder))
    local, _ = checkpoints.fetch(checkpoint)
    return checkpoint.family.load(local, "sequence_classification", HEAD), checkpoint.family.tokenizer(local)


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_all(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(backbones: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the tiny BERT, to be damaged."""
    return shutil.copytree(backbones["bert"], tmp_path / "model")


def set_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = folder / "model.safetensors"
    weights = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file(change(weights), path, metadata={"format": "pt"})


def without(part: str) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    return lambda weights: {name: tensor for name, tensor in weights.items() if part not in name}


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_a_folder_made_by_save_pretrained_is_loaded_in_float32(kind: str, backbones: dict[str, Path]) -> None:
    model, tokenizer = open_all(backbones[kind])
    weights = load_file(backbones[kind] / "model.safetensors")

    name = "embeddings.word_embeddings.weight"
    assert torch.equal(model.base_model.state_dict()[name], weights[name])
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert tokenizer.tokenize("Johnson") == ["john", "##son"]


def test_a_folder_is_identified_by_its_weights_configuration_and_tokenizer(
    folder: Path, backbones: dict[str, Path]
) -> None:
    def fingerprint(place: Path) -> str:
        return checkpoints.fetch(checkpoints.find(str(place)))[1].fingerprint

    original = fingerprint(backbones["bert"])
    assert fingerprint(folder) == original
    (folder / "README.md").write_text("a remark")
    assert fingerprint(folder) == original
    set_config(folder, attention_probs_dropout_prob=0.2)
    changed = fingerprint(folder)
    assert changed != original
    change_weights(folder, lambda weights: {**weights, "pooler.dense.bias": weights["pooler.dense.bias"] + 1})
    other_weights = fingerprint(folder)
    assert other_weights not in (original, changed)
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8").replace("happy", "hapqy"), "utf-8")
    assert fingerprint(folder) not in (original, changed, other_weights)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"], ids=["absent", "damaged", "list", "no model_type"])
def test_a_folder_without_a_model_is_reported(content: str | None, folder: Path) -> None:
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(content)

    assert refusal(folder) == (
        f"model folder {folder}: it contains no model (no config.json with a model_type). "
        "Give a folder made by save_pretrained."
    )


def test_a_model_option_that_points_nowhere_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        checkpoints.find("NAME", place=str(tmp_path / "nowhere"))

    assert str(caught.value) == (
        f"model 'NAME': there is no folder {tmp_path / 'nowhere'}. Give its location with --model NAME=PATH."
    )


def test_pickled_weights_are_never_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    assert refusal(folder) == (
        f"model '{folder}': {folder} has no .safetensors weights (pickled weights are never read). "
        "Convert them with transformers' save_pretrained, and give the new folder."
    )


@pytest.mark.parametrize("size", [0, 7, 5000])
def test_truncated_weights_are_reported(size: int, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])

    message = refusal(folder)
    assert message.startswith(f"model folder {folder}: its weights cannot be read (")
    assert message.endswith("). Give a folder made by save_pretrained, with config.json and model.safetensors.")


def test_truncated_weights_are_reported_where_only_the_shape_is_asked_for(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    checkpoint = checkpoints.find(str(folder))

    with pytest.raises(UserError, match=r"model\.safetensors cannot be read"):
        checkpoint.family.skeleton(checkpoint.config, "sequence_classification", HEAD, folder)


def test_an_unknown_model_type_is_reported(folder: Path) -> None:
    set_config(folder, model_type="gpt9")

    assert refusal(folder) == (
        f"model folder {folder}: model_type 'gpt9' is not supported: transformers {transformers.__version__} has no "
        "text model of this type with a head. docs/families/types.md lists those that are."
    )


def test_weights_that_lack_a_layer_are_reported_and_not_drawn_at_random(folder: Path) -> None:
    change_weights(folder, without("layer.2."))

    assert refusal(folder) == (
        f"model folder {folder}: model.safetensors lacks 16 tensors that its config.json requires, "
        "first bert.encoder.layer.2.attention.output.LayerNorm.bias. "
        "Give weights and configuration of the same model."
    )


def test_a_configuration_with_more_layers_than_the_weights_is_reported(folder: Path) -> None:
    set_config(folder, num_hidden_layers=5)

    assert "lacks 16 tensors" in refusal(folder)


def test_weights_of_another_width_are_reported(folder: Path) -> None:
    set_config(folder, hidden_size=64)

    assert refusal(folder).startswith(f"model folder {folder}: its weights cannot be read (")


def test_a_folder_without_a_tokenizer_is_reported_and_none_is_made_up(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()

    assert refusal(folder) == (
        f"model folder {folder}: its tokenizer cannot be read (it has no vocabulary). "
        "Save the tokenizer in the model's folder with tokenizer.save_pretrained."
    )


def test_a_damaged_tokenizer_is_reported(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")

    message = refusal(folder)
    assert message.startswith(f"model folder {folder}: its tokenizer cannot be read (")
    assert message.endswith("). Save the tokenizer in the model's folder with tokenizer.save_pretrained.")


# The pooler -----------------------------------------------------------------------------------------------------------


def test_a_missing_pooler_is_named_and_drawn_from_the_seed(folder: Path) -> None:
    change_weights(folder, without("pooler"))

    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        model, _ = open_all(folder)
        assert fresh_of(model) == ("pooler",)
        drawn.append(model.base_model.pooler.dense.weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_pooler_that_was_never_trained_is_named(backbones: dict[str, Path]) -> None:
    assert fresh_of(open_all(backbones["fresh_pooler"])[0]) == ("pooler",)
    assert fresh_of(open_all(backbones["bert"])[0]) == ()


def test_weights_kept_in_bf16_are_read(folder: Path) -> None:
    change_weights(folder, lambda weights: {name: tensor.bfloat16() for name, tensor in weights.items()})
    model, _ = open_all(folder)

    assert fresh_of(model) == ()
    assert {p.dtype for p in model.parameters()} == {torch.float32}


# The hub --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network and an empty cache."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


UNREACHABLE = (
    "it is not on this machine, and the hub cannot be reached. Give a local folder (--model NAME=PATH), "
    "or run once with network access to download it."
)


@pytest.mark.usefixtures("offline")
def test_an_unknown_hub_model_without_network_is_reported_with_the_ways_out() -> None:
    with pytest.raises(UserError) as caught:
        checkpoints.find("someone/some-model")

    assert str(caught.value) == f"model 'someone/some-model': {UNREACHABLE}"


@pytest.mark.usefixtures("offline")
def test_a_name_that_no_hub_model_can_have_is_reported_with_the_known_shapes() -> None:
    with pytest.raises(UserError) as caught:
        checkpoints.find("no model at all")

    assert str(caught.value).startswith(
        "model 'no model at all': neither a local folder nor a model on the hub has this name. "
        f"Give a folder, a hub id, a shipped backbone ({', '.join(embedded.backbones())}), or a model whose shape is "
        "known offline: answerdotai/ModernBERT-base, bert-base-cased, "
    )


@pytest.mark.usefixtures("offline")
def test_a_model_whose_shape_is_known_can_be_planned_offline_but_not_fetched() -> None:
    checkpoint = checkpoints.find("bert-base-uncased")

    assert (checkpoint.folder, checkpoint.family.name, checkpoint.config["num_hidden_layers"]) == (None, "bert", 12)
    with pytest.raises(UserError) as caught:
        checkpoints.fetch(checkpoint)
    assert str(caught.value) == f"model 'bert-base-uncased': {UNREACHABLE}"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[bool]]:
    """A snapshot in the hub's cache, and whether the network was asked in each of the calls for it."""
    snapshot, calls = tmp_path / "0a1b2c", []
    snapshot.mkdir()

    def answer(name: str, revision: str | None, files: Any, download: bool) -> Path:
        calls.append(download)
        return snapshot

    monkeypatch.setattr(checkpoints, "_download", answer)
    return snapshot, calls


def test_what_is_here_is_gathered_without_the_network(hub: tuple[Path, list[bool]]) -> None:
    snapshot, calls = hub
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        (snapshot / file).touch()

    checkpoints.gather(checkpoints.find("bert-base-uncased"), weights=True)
    assert calls == [False]


@pytest.mark.parametrize(
    ("files", "weights", "message"),
    [
        (("tokenizer.json",), True, "has no .safetensors weights"),
        (("model.safetensors",), True, "has no tokenizer. Save it there with tokenizer.save_pretrained."),
        (("config.json",), False, "has no tokenizer. Save it there with tokenizer.save_pretrained."),
    ],
)
def test_what_is_missing_is_asked_of_the_hub_and_named_once_if_it_lacks_it(
    files: tuple[str, ...], weights: bool, message: str, hub: tuple[Path, list[bool]]
) -> None:
    snapshot, calls = hub
    for file in files:
        (snapshot / file).touch()

    with pytest.raises(UserError, match=message):
        checkpoints.gather(checkpoints.find("bert-base-uncased"), weights)
    assert calls == [False, True]
