"""Mistakes of this field, planted one at a time: the check that is there for each must find it."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import tunebench.objectives.causal_lm as causal_lm
import tunebench.techniques._virtual_tokens as virtual_tokens
import tunebench.techniques.prompt_tuning as prompt_tuning
from tests.contracts import test_techniques as contract
from tests.contracts.runs import make, make_run
from tests.test_causal_lm import check_labels, check_perplexity
from tunebench._util.errors import RunError
from tunebench.objectives.base import IGNORED
from tunebench.objectives.token_classification import TokenClassification
from tunebench.serve import finished as serving
from tunebench.techniques import techniques
from tunebench.techniques.base import freeze


def padding_counted(patch: pytest.MonkeyPatch) -> None:
    original = causal_lm._targets
    patch.setattr(
        causal_lm,
        "_targets",
        lambda features, indices, width, starts: original(features, indices, width, starts).masked_fill(
            original(features, indices, width, [0] * len(indices)) == IGNORED, 3
        ),
    )
    patch.setattr(
        causal_lm.CausalLm,
        "decode",
        lambda self, outputs, features, indices: (
            [
                {
                    "response_nll": float(row[features.labels[i] - 1 :].sum()),
                    "response_tokens": outputs.shape[1] + 1 - features.labels[i],
                    "nll": float(row.sum()),
                    "tokens": outputs.shape[1],
                }
                for row, i in zip(outputs, indices, strict=True)
            ],
            [None] * len(indices),
        ),
    )


def end_of_text_masked(patch: pytest.MonkeyPatch) -> None:
    """What happens if padding is recognized by its token id, which is also that of end-of-text."""
    original = causal_lm._targets

    def masked(features: Any, indices: Any, width: int, starts: Any) -> torch.Tensor:
        end = features.inputs[0]["input_ids"][-1]
        targets = original(features, indices, width, starts)
        return targets.masked_fill(targets == end, IGNORED)

    patch.setattr(causal_lm, "_targets", masked)


def labels_shifted_twice(patch: pytest.MonkeyPatch) -> None:
    original = causal_lm._targets
    patch.setattr(causal_lm, "_targets", lambda *arguments: original(*arguments).roll(-1, dims=1))


@pytest.mark.parametrize("plant", [padding_counted, end_of_text_masked, labels_shifted_twice])
def test_a_planted_mistake_in_the_counting_is_caught(
    plant: Any, backbones: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check_perplexity(backbones["gpt2"])
    with pytest.raises(AssertionError):
        check_labels(backbones["gpt2"])


def test_a_run_whose_tags_include_padding_fails(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def every_position(self: Any, outputs: torch.Tensor, features: Any, indices: Any) -> Any:
        best = outputs.argmax(-1).tolist()
        return [[self.labels[tag] for tag in row] for row in best], [None] * len(best)

    monkeypatch.setattr(TokenClassification, "decode", every_position)
    with pytest.raises(RunError, match=r"words and \d+ predicted tags: padding would be scored"):
        make(make_run(backbones["bert"], data_root, "ner", "untuned"), tmp_path)


def test_a_run_whose_perplexity_includes_padding_fails(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    padding_counted(monkeypatch)
    with pytest.raises(RunError, match=r"\d+ tokens were scored instead of \d+: padding was scored"):
        make(make_run(backbones["gpt2"], data_root, "instruction", "untuned"), tmp_path)


def test_labels_shifted_by_a_prompt_are_caught(backbones: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_tuning, "_drop_first", lambda module, args, kwargs, output: output)
    monkeypatch.setattr(prompt_tuning, "_drop_last", lambda module, args, output: output)
    for kind in ("gpt2", "bert"):
        with pytest.raises(AssertionError):
            contract.test_virtual_tokens_change_neither_shape_nor_padding("prompt_tuning", kind, backbones)


def test_positions_that_begin_before_the_prefix_ends_are_caught(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = virtual_tokens.shifted
    monkeypatch.setattr(virtual_tokens, "shifted", lambda args, kwargs, shift: original(args, kwargs, 0))
    made = make(make_run(backbones["gpt2"], data_root, "emotion", contract.choice("prefix_tuning"), epochs=1), tmp_path)
    with pytest.raises(AssertionError):
        contract.test_an_adapter_that_peft_knows_has_the_same_logits_in_plain_peft(
            "prefix_tuning", "gpt2", backbones, lambda *cell: (made, tmp_path)
        )


@pytest.mark.parametrize("name", ["lora", "p_tuning_v2"])
def test_a_head_that_is_lost_on_reload_is_caught(
    name: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = serving.FinishedRun.model.func

    def without_head(finished: Any) -> Any:
        model = original(finished)
        for parameter_name, parameter in model.named_parameters():
            if "score" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.02)
        return model

    done = make(make_run(backbones["gpt2"], data_root, "emotion", contract.choice(name), epochs=1), tmp_path)
    test = data_root / "emotion" / "test.parquet"
    contract.answers_as_it_did(done, tmp_path, test)
    monkeypatch.setattr(serving.FinishedRun, "model", property(without_head))
    with pytest.raises(AssertionError):
        contract.answers_as_it_did(done, tmp_path, test)


def test_an_adalora_whose_ranks_never_change_is_caught(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(techniques()["adalora"], "after_step", lambda self, model, step: None)
    with pytest.raises(RunError, match="no epoch ended with weights that may be kept"):
        contract.test_adalora_takes_ranks_away_until_the_target(backbones, data_root, tmp_path)


def test_a_technique_that_trains_nothing_fails_its_run(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Any, model: Any, family: Any, total_steps: int) -> Any:
        freeze(model)
        return model

    monkeypatch.setattr(techniques()["lora"], "apply", nothing)
    with pytest.raises(RunError, match="lora trains nothing"):
        make(make_run(backbones["gpt2"], data_root, "emotion", "lora"), tmp_path)


def test_every_planted_mistake_that_the_docs_list_has_its_test() -> None:
    root = Path(__file__).parents[1]
    listed = re.findall(r"`(tests/\w+\.py)::(test_\w+)`", (root / "docs/statistics.md").read_text("utf-8"))
    assert len(listed) == 27
    for file, name in listed:
        assert f"def {name}(" in (root / file).read_text("utf-8"), f"{file} has no {name}"
