"""What holds for every family: a cut model is the model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import ENCODER_DECODERS, KINDS
from tests.contracts.runs import published
from tunebench import families as package
from tunebench._util.registry import subclasses_in
from tunebench.engine.measure import count_parameters
from tunebench.families import families
from tunebench.families.base import Family
from tunebench.objectives import objectives
from tunebench.run.plan import plan
from tunebench.study import read_study
from tunebench.zoo.checkpoints import find

FOLDER = sorted(subclasses_in(package, Family))  # without what plugins add


NAMED = ["bert", "distilbert", "gpt2", "gpt_neox", "llama", "modernbert", "t5", "transformer"]
BY_STRUCTURE = ["decoder", "encoder", "encoder_decoder", "xlnet"]


def test_the_folder_holds_the_families_that_are_promised() -> None:
    assert [name for name in FOLDER if name not in BY_STRUCTURE] == NAMED
    assert set(BY_STRUCTURE) < set(FOLDER)


def test_every_family_is_held_to_these_contracts(backbones: dict[str, Path]) -> None:
    tried = {find(str(backbones[kind])).family.name for kind in (*KINDS, *ENCODER_DECODERS)}
    assert sorted(tried) == NAMED  # the others: test_types.py


def test_a_model_type_belongs_to_one_family() -> None:
    kinds = [kind for name in FOLDER for kind in families()[name].model_types]
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("objective", ["sequence_classification", "regression", "token_classification"])
@pytest.mark.parametrize("kind", KINDS)
def test_tail_of_trunk_is_the_model_at_every_depth(kind: str, objective: str, backbones: dict[str, Path]) -> None:
    family = find(str(backbones[kind])).family
    torch.manual_seed(0)
    model = family.load(backbones[kind], objective, objectives()[objective].head(("a", "b", "c"))).eval()
    texts = ["i feel so happy", "john johnson won the world cup in new york"]
    batch: Any = dict(family.tokenizer(backbones[kind])(texts, return_tensors="pt", padding=True))
    depths = range(1, len(family.stages(model)) + 1)
    decoder = family.architecture == "decoder"  # its last stage is a norm
    pooled = objective != "token_classification"
    assert len(depths) == (6 if decoder or (pooled and kind == "bert") else 5)
    with torch.no_grad():
        expected = model(**batch).logits
        for depth in depths:
            split = family.split(model, depth, objectives()[objective].pooled)
            states = split.trunk(**batch)
            mask = {} if split.one_vector else {"attention_mask": batch["attention_mask"]}
            logits = split.tail(inputs_embeds=states, **mask).logits
            if split.one_vector:  # the top layer and the head see one vector a text, not one a token
                torch.testing.assert_close(logits, expected)
            else:
                assert torch.equal(logits, expected), depth
            assert split.one_vector == (pooled and depth >= (6 if decoder else 5))
            assert states.shape[1] == (1 if split.one_vector else batch["input_ids"].shape[1])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["bert", "fresh_pooler", "roberta", "electra", "gpt2"])
def test_the_top_layer_below_a_pooled_head_computes_one_token_a_text(
    kind: str, attention: str, backbones: dict[str, Path]
) -> None:
    family = find(str(backbones[kind])).family
    model: Any = family.load(backbones[kind], "regression", objectives()["regression"].head(())).eval()
    model.set_attn_implementation(attention)
    texts = ["i feel so happy", "john johnson won the world cup in new york"]
    batch: Any = dict(family.tokenizer(backbones[kind])(texts, return_tensors="pt", padding=True))
    tokens = batch["input_ids"].numel()
    below, top = (layer.get_submodule(family.projections(model)["mlp_out"][0]) for layer in family.layers(model)[-2:])
    rows: list[int] = []
    for module in (below, top):
        module.register_forward_hook(lambda module, args, output: rows.append(output.shape[:-1].numel()))
    split = family.split(model, len(family.stages(model)), pooled=True)
    with torch.no_grad():
        logits = split.tail(inputs_embeds=split.trunk(**batch)).logits
        assert rows == [tokens, len(texts)]
        torch.testing.assert_close(logits, model(**batch).logits)
    assert rows[2:] == [tokens, tokens]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3", "gpt_neox"])
def test_a_decoder_reads_the_last_real_token_also_where_that_is_the_padding_token(
    kind: str, backbones: dict[str, Path]
) -> None:
    family = find(str(backbones[kind])).family
    tokenizer = family.tokenizer(backbones[kind])
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    torch.manual_seed(0)
    model: Any = family.load(backbones[kind], "regression", objectives()["regression"].head(())).eval()
    ended = [*tokenizer("i feel so happy")["input_ids"], tokenizer.eos_token_id]
    with torch.no_grad():
        alone = model(input_ids=torch.tensor([ended]), attention_mask=torch.ones(1, 5)).logits
        states = model.base_model(input_ids=torch.tensor([ended])).last_hidden_state
        padded = torch.tensor([[*ended, tokenizer.pad_token_id, tokenizer.pad_token_id]])
        batch = model(input_ids=padded, attention_mask=torch.tensor([[1, 1, 1, 1, 1, 0, 0]])).logits
        unended = model(input_ids=torch.tensor([ended[:-1]]), attention_mask=torch.ones(1, 4)).logits
    torch.testing.assert_close(alone, model.score(states)[:, -1])
    torch.testing.assert_close(batch, alone)
    assert (unended - alone).abs().max() > 1e-3


def test_frozen_depth_is_zero_where_something_trains_outside_the_stages(backbones: dict[str, Path]) -> None:
    family = families()["bert"]
    model = family.load(backbones["bert"], "sequence_classification", {"num_labels": 2})
    for parameter in model.parameters():
        parameter.requires_grad = False
    assert family.frozen_depth(model) == 6
    family.layers(model)[1].output.dense.bias.requires_grad = True  # type: ignore[union-attr]
    assert family.frozen_depth(model) == 2
    model.bert.soft_prompt = torch.nn.Parameter(torch.zeros(3))
    assert family.frozen_depth(model) == 0


PUBLISHED = {
    ("emotion", "full"): (109_486_854, 109_486_854),
    ("emotion", "classifier_head"): (109_486_854, 4_614),
    ("emotion", "lora"): (109_486_854 + 442_368, 446_982),
    ("ner", "full"): (107_726_601, 107_726_601),
    ("ner", "classifier_head"): (107_726_601, 6_921),
    ("ner", "lora"): (107_726_601 + 442_368, 449_289),
    ("similarity", "full"): (109_483_009, 109_483_009),
    ("similarity", "llrd"): (109_483_009, 109_483_009),
    ("similarity", "freeze"): (109_483_009, 43_118_593),
}


PUBLISHED_GPT2 = {
    ("ner", "lora"): 670_473,
    ("ner", "adalora"): 338_793,
    ("ner", "p_tuning_v2"): 191_241,
    ("ner", "prefix_tuning"): 20 * 768 + (768 * 512 + 512) + (512 * 9216 + 9216) + 6_921,
    ("emotion", "lora"): 12 * 8 * (768 + 2304) + 6 * 768,
    ("emotion", "prompt_tuning"): 20 * 768 + 6 * 768,
    ("emotion", "classifier_head"): 6 * 768,
    ("instruction", "lora"): 12 * 8 * (768 + 2304),
    ("instruction", "prefix_tuning"): 20 * 768 + (768 * 512 + 512) + (512 * 18432 + 18432),
    ("instruction", "bottleneck_adapter"): 12 * ((768 * 48 + 48) + (48 * 768 + 768)),
}


def test_the_plan_of_the_published_gpt2_cells_has_the_closed_form_counts() -> None:
    cells = published("gpt2")
    counted = {(cell.task, cell.technique): cell.parameters for cell in cells if cell.parameters}
    assert {key: counts.trainable for key, counts in counted.items() if key[1] != "untuned"} == PUBLISHED_GPT2


def test_the_plan_of_the_published_cells_has_the_closed_form_counts() -> None:
    cells = published("bert")
    counted = {
        (cell.task, cell.technique): (cell.parameters.total, cell.parameters.trainable)
        for cell in cells
        if cell.technique not in ("untuned", "tfidf")
    }
    assert counted == PUBLISHED
    for cell in cells:
        if cell.parameters:
            assert cell.parameters.technique + cell.parameters.head == cell.parameters.trainable


def test_rank_twelve_on_two_projections_counts_as_rank_eight_on_three() -> None:
    study = read_study("published")[0]
    run = next(run for run in study.runs() if run.technique == "lora" and run.task.name == "emotion")
    entry = type(run.entry).model_validate({"rank": 12, "targets": ["query", "value"]})
    (cell,) = plan([run.model_copy(update={"entry": entry})])
    assert cell.parameters is not None
    assert cell.parameters.technique == 442_368


def test_a_tied_weight_counts_once(backbones: dict[str, Path]) -> None:
    family = families()["bert"]
    model = family.load(backbones["bert"], "sequence_classification", {"num_labels": 2})
    before = count_parameters(model, family).total
    layers = family.layers(model)
    freed = sum(p.numel() for p in layers[1].intermediate.parameters())  # type: ignore[union-attr]
    layers[1].intermediate = layers[0].intermediate  # type: ignore[union-attr]
    assert count_parameters(model, family).total == before - freed
