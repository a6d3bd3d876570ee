"""What holds for the families that find a model's parts by looking at it, on tiny models of many types."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

from tests.contracts.runs import make, make_run
from tests.tiny_types import HIDDEN, LAYERS, POSITIONS, make_checkpoint, tiny_values
from tests.types_matrix import FILE, HEADS, WORDS, batch_of, drawn, row
from tunebench._util.errors import UserError
from tunebench.engine.precision import autocast_of
from tunebench.engine.proof import proven_split
from tunebench.families import family_of
from tunebench.families.base import Family, Split
from tunebench.families.encoder import OtherEncoder
from tunebench.families.structure.types import text_types
from tunebench.objectives import objectives
from tunebench.run.plan import plan
from tunebench.techniques import techniques
from tunebench.zoo.checkpoints import find

ENCODERS = ("mpnet", "albert", "deberta-v2", "eurobert", "ernie", "nomic_bert")
DECODERS = ("opt", "gemma2", "gemma3_text", "phi3", "smollm3", "olmo2", "modernbert-decoder", "bloom")
ENCODER_DECODERS = ("bart", "mbart", "pegasus", "t5gemma")
TYPES = (*ENCODERS, *DECODERS, *ENCODER_DECODERS)
_QUICK = ("mpnet", "albert", "deberta-v2", "opt", "gemma3_text", "bart", "t5gemma")
SAMPLE = [kind if kind in _QUICK else pytest.param(kind, marks=pytest.mark.full) for kind in TYPES]
READING = [kind if kind in _QUICK else pytest.param(kind, marks=pytest.mark.full) for kind in (*ENCODERS, *DECODERS)]
OWN_ATTENTION = ("mpnet", "deberta-v2", "bloom")
"""Types that do not call the attention function of transformers."""
ALL = ("query", "key", "value", "output", "mlp_in", "mlp_out")
CPU = autocast_of(torch.device("cpu"), "float32")


def of(kind: str, **changes: Any) -> tuple[dict[str, Any], Family]:
    values = tiny_values(kind, WORDS, **changes)
    family = family_of(values)
    assert family is not None
    return values, family


def model_of(kind: str, head: str, **changes: Any) -> tuple[Family, Any]:
    values, family = of(kind, **changes)
    torch.manual_seed(0)
    return family, drawn(values, family, head, objectives()[head].head(("a", "b", "c"))).eval()


def first_head(family: Family) -> str:
    return next(head for head in HEADS if head in family.auto_classes)


def proven(model: Any, family: Family, depth: int, head: str) -> Split | None:
    pooled = objectives()[head].pooled
    return proven_split(model, family, depth, pooled, lambda: batch_of(head), CPU, torch.float32)


def logits_of(split: Split, batch: dict[str, Any]) -> torch.Tensor:
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    seen = {} if split.one_vector else {"attention_mask": batch["attention_mask"]}
    return split.tail(inputs_embeds=split.trunk(**inputs), labels=batch["labels"], **seen).logits


@pytest.mark.parametrize("kind", SAMPLE)
def test_a_type_that_no_file_names_is_cut_at_every_depth_and_is_the_model(kind: str) -> None:
    _, family = of(kind)
    for head in [head for head in HEADS if head in family.auto_classes]:
        _, model = model_of(kind, head)
        batch = batch_of(head)
        deepest = 1 + LAYERS if family.architecture == "encoder-decoder" else len(family.stages(model))
        with torch.no_grad():
            whole = model(**batch).logits
            for depth in range(1, deepest + 1):
                split = proven(model, family, depth, head)
                assert split is not None, (head, depth)
                torch.testing.assert_close(logits_of(split, batch), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", SAMPLE)
def test_layers_roles_and_places_for_every_parameter_are_found(kind: str) -> None:
    _, family = of(kind)
    _, model = model_of(kind, first_head(family))
    assert [len(stack) for stack in family.stacks(model)] == [LAYERS if kind != "albert" else 1] * len(
        family.stacks(model)
    )
    assert tuple(family.projections(model)) == ALL
    assert family.width(model) == HIDDEN
    placed = {id(p) for stage in family.stages(model) for module in stage.modules for p in module.parameters()}
    placed |= {id(p) for module in family.head(model) for p in module.parameters()}
    assert {name for name, p in model.named_parameters() if id(p) not in placed} == set()


@pytest.mark.parametrize("kind", READING)
def test_padding_changes_no_answer(kind: str) -> None:
    _, model = model_of(kind, "sequence_classification")
    batch = batch_of("sequence_classification")
    with torch.no_grad():
        together = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        alone = model(input_ids=batch["input_ids"][1:, :6], attention_mask=batch["attention_mask"][1:, :6]).logits
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", SAMPLE)
def test_a_text_may_have_as_many_tokens_as_a_family_says(kind: str) -> None:
    values, family = of(kind)
    longest = family.positions(values)
    assert longest in (POSITIONS, POSITIONS - 1, POSITIONS - 2, 1 << 20)
    _, model = model_of(kind, first_head(family))
    ids = torch.full((1, min(longest, 80)), 7)
    decoder = {"decoder_input_ids": ids[:, :3]} if family.architecture == "encoder-decoder" else {}
    with torch.no_grad():
        assert model(input_ids=ids, attention_mask=torch.ones_like(ids), **decoder).logits.isfinite().all()


@pytest.mark.parametrize("technique", ["p_tuning_v2", "prompt_tuning"])
@pytest.mark.parametrize("kind", SAMPLE)
def test_virtual_tokens_reach_the_answers_and_padding_does_not(kind: str, technique: str) -> None:
    _, family = of(kind)
    head = first_head(family)
    entry: Any = techniques()[technique].model_validate({"prefix_length": 4, "initial": "random"})
    refused = entry.not_applicable(family, head)
    if refused:
        if kind == "nomic_bert":
            assert refused.startswith("a prompt behind a text has no rotary position")
            return
        assert technique == "p_tuning_v2"
        assert kind in OWN_ATTENTION
        assert refused.endswith("computes attention in a function of its own, which takes no keys and values")
        return
    _, model = model_of(kind, head)
    batch = batch_of(head)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    short = {name: tensor[1:, :6] for name, tensor in inputs.items()}
    more = {"labels": batch["labels"]} if head == "text_to_text" else {}
    with torch.no_grad():
        before = model(**inputs, **more).logits
        tuned = entry.apply(model, family, 10).eval()
        after = tuned(**inputs, **more).logits
        alone = tuned(**short, **{name: labels[1:] for name, labels in more.items()}).logits
    assert after.shape == before.shape
    assert after.isfinite().all()
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(after[1:], alone, rtol=1e-4, atol=1e-4)


class Lying(OtherEncoder):
    """An encoder whose trunk gives other states than the model has."""

    def split(self, model: Any, depth: int, pooled: bool) -> Split:
        split = super().split(model, depth, pooled)
        return Split(lambda **inputs: split.trunk(**inputs) + 1, split.tail, split.one_vector)


def test_a_cut_that_gives_other_answers_is_not_used() -> None:
    values, honest = of("deberta-v2")
    _, model = model_of("deberta-v2", "token_classification")
    for family, used in ((honest, True), (Lying(values), False)):
        assert (proven(model, family, 2, "token_classification") is not None) == used


def test_a_model_that_cannot_be_cut_trains_uncut_with_a_notice(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_checkpoint(tmp_path / "model", "deberta-v2")
    run = make_run(folder, data_root, "emotion", "freeze", epochs=1)
    cut = make(run, tmp_path / "cut")
    monkeypatch.setattr("tunebench.engine.proof._equal", lambda *_: False)
    uncut = make(run, tmp_path / "uncut")
    assert {"cached"} <= {notice.code for notice in cut.notices}
    (said,) = [notice.message for notice in uncut.notices if notice.code == "uncut"]
    assert said == (
        "The model could not be cut above its 2 frozen stages, because the parts gave other answers than the whole. It "
        "trained uncut, which takes longer."
    )
    assert cut.parameters == uncut.parameters


def test_layers_that_share_weights_are_one_stage(tmp_path: Path, data_root: Path) -> None:
    family, model = model_of("albert", "token_classification")
    assert [stage.name for stage in family.stages(model)] == ["embeddings", "layer 0"]
    rates = {group["lr"] for group in techniques()["llrd"]().parameter_groups(model, family, 0.0)}  # type: ignore[attr-defined]
    assert rates == {5e-5, 5e-5 * 0.95}
    frozen = techniques()["freeze"]().apply(model, family, 10)  # type: ignore[attr-defined]
    assert family.frozen_depth(frozen) == 1  # half of one layer is none


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("flaubert", "no list of modules is passed in turn"), ("canine", "a text cannot be read without weights")],
)
def test_a_model_whose_layers_are_not_found_is_refused_with_the_reason(kind: str, reason: str) -> None:
    _, family = of(kind)
    with pytest.raises(UserError, match=f"^model_type '{kind}': its layers cannot be found.*{reason}"):
        family.examine()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("layoutlm", "it reads a page's layout beside its text"),
        ("ibert", "its layers pass a scale beside the states, for integers"),
        ("vit", f"transformers {transformers.__version__} has no text model of this type with a head"),
    ],
)
def test_a_type_that_is_no_text_model_is_refused_with_the_reason(kind: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(UserError, match=re.escape(f"model_type '{kind}' is not supported: {reason}. ")):
        find(str(tmp_path))


def test_a_head_that_transformers_lacks_is_not_applicable(tmp_path: Path, data_root: Path) -> None:
    folder = make_checkpoint(tmp_path / "model", "eurobert")
    run = make_run(folder, data_root, "question_answering", "full")
    (cell,) = plan([run], run._places)
    assert not cell.applicable
    assert cell.reason == "transformers has no class of eurobert for question_answering"


def test_the_matrix_has_every_text_type_of_this_transformers() -> None:
    known = yaml.safe_load(FILE.read_text())
    assert sorted(known["types"]) == sorted(text_types())
    assert not [kind for kind, found in known["types"].items() if "fails" in found]


@pytest.mark.full
@pytest.mark.parametrize("kind", text_types())
def test_a_type_works_as_the_matrix_says_or_is_refused_with_a_reason(kind: str) -> None:
    said = yaml.safe_load(FILE.read_text())["types"][kind]
    assert row(kind, said.get("trained", True)) == said
