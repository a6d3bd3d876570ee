"""A model's folder is looked at when a study is planned: a fault in it is one line, and every sound one passes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENCODER_DECODERS, KINDS
from tests.contracts.runs import make_run
from tunebench._util.errors import UserError
from tunebench.families import family_of
from tunebench.run.plan import plan

TASK = {"encoder": "emotion", "decoder": "instruction", "encoder-decoder": "summarization"}


def planned(folder: Path, data_root: Path, technique: str = "full") -> None:
    family = family_of(json.loads((folder / "config.json").read_text()))
    assert family is not None
    run = make_run(folder, data_root, TASK[family.architecture], technique)
    plan([run], run._places)


def refusal(folder: Path, data_root: Path) -> str:
    with pytest.raises(UserError) as caught:
        planned(folder, data_root)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 500 + len(str(folder))
    return said


@pytest.mark.parametrize("kind", [*KINDS, *ENCODER_DECODERS])
def test_every_kind_of_model_passes(kind: str, backbones: dict[str, Path], data_root: Path) -> None:
    planned(backbones[kind], data_root)


@pytest.fixture
def changed(backbones: dict[str, Path], tmp_path: Path) -> Any:
    """Copies a tiny model with other values in its configuration."""

    def copy(kind: str, **values: Any) -> Path:
        folder = shutil.copytree(backbones[kind], tmp_path / kind)
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
        return folder

    return copy


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bert", {"num_attention_heads": 5}),
        ("bert", {"hidden_size": -32}),
        ("bert", {"hidden_size": "wide"}),
        ("bert", {"hidden_act": "gelou"}),
        ("bert", {"hidden_dropout_prob": float("nan")}),
        ("bert", {"attention_probs_dropout_prob": 1.5}),
        ("bert", {"num_hidden_layers": 0}),
        ("bert", {"num_hidden_layers": 9}),
        ("bert", {"num_hidden_layers": None}),
        ("bert", {"num_hidden_layers": 1 << 33}),
        ("bert", {"vocab_size": 7}),
        ("bert", {"max_position_embeddings": 0}),
        ("bert", {"id2label": "abc", "label2id": 5}),
        ("gpt2", {"n_head": 3}),
        ("gpt2", {"n_layer": 1_001}),
        ("gpt2", {"n_inner": 7}),
        ("gpt2", {"activation_function": 5}),
        ("llama", {"num_key_value_heads": 3}),
        ("llama", {"max_position_embeddings": -8}),
        ("t5", {"num_heads": 0}),
        ("t5", {"num_decoder_layers": 1 << 33}),
        ("t5", {"dense_act_fn": "nothing"}),
        ("t5", {"d_kv": 5}),
    ],
    ids=str,
)
def test_a_configuration_that_no_model_can_have_is_one_line(
    kind: str, values: dict[str, Any], changed: Any, data_root: Path
) -> None:
    folder = changed(kind, **values)
    assert refusal(folder, data_root).startswith(f"model folder {folder}: ")


def test_weights_that_are_absent_are_one_line_when_planned(changed: Any, data_root: Path) -> None:
    folder = changed("gpt2")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "has no .safetensors weights" in refusal(folder, data_root)
    planned(folder, data_root, "from_scratch")  # which reads none


@pytest.mark.parametrize("size", [3, 900, 40_000])
def test_weights_that_are_cut_short_are_one_line_when_planned(size: int, changed: Any, data_root: Path) -> None:
    folder = changed("t5")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert "cannot be read" in refusal(folder, data_root)


@pytest.mark.parametrize("content", ["[]", "7", '{"version": 1}', '{"model": "x"}', "\x00"])
def test_a_tokenizer_file_of_the_wrong_type_is_one_line_when_planned(
    content: str, changed: Any, data_root: Path
) -> None:
    folder = changed("bert")
    (folder / "tokenizer.json").write_text(content)
    assert "its tokenizer cannot be read (" in refusal(folder, data_root)
