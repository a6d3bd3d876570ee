"""Checkpoints as people have them: added words, tied embeddings, weights in parts, tokenizers that leave things out."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import make_run
from tests.tiny_types import HIDDEN, POSITIONS, make_checkpoint
from tunebench.families.base import pooled_otherwise
from tunebench.objectives import objectives
from tunebench.run.cell import Cell
from tunebench.run.plan import plan
from tunebench.tasks import tasks
from tunebench.techniques import techniques
from tunebench.zoo.checkpoints import find

LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OPT, whose embeddings are narrower than its layers and tied to its head."""
    return make_checkpoint(tmp_path_factory.mktemp("models") / "opt", "opt")


def changed(folder: Path, name: str, **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def loaded(folder: Path, objective: str) -> Any:
    return find(str(folder)).family.load(folder, objective, objectives()[objective].head(LABELS)).eval()


def test_a_vocabulary_with_added_words_is_read(opt: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(opt), AutoTokenizer.from_pretrained(opt)
    tokenizer.add_tokens(["<user>", "<answer>"])
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    family = find(str(tmp_path)).family
    ids = torch.tensor([family.tokenizer(tmp_path)("<user> i am happy <answer>")["input_ids"]])
    assert int(ids.max()) == len(tokenizer) - 1
    assert loaded(tmp_path, "causal_lm")(input_ids=ids).logits.shape[-1] == len(tokenizer)


def test_a_tied_head_belongs_to_the_embeddings_and_one_of_its_own_to_the_top(opt: Path) -> None:
    for tied, held in ((True, False), (False, True)):
        checkpoint = find(str(opt))
        values = {**checkpoint.config, "tie_word_embeddings": tied}
        family = checkpoint.family.bound(values)
        model = family.draw(values, "causal_lm", {})
        head: Any = model.get_output_embeddings()
        top = family.stages(model)[-1]
        assert top.name == "norm"
        assert any(module is head for module in top.modules) == held
        frozen: Any = techniques()["freeze"]()
        assert head.weight.requires_grad
        assert next(frozen.apply(model, family, 10).get_output_embeddings().parameters()).requires_grad == held


def test_weights_in_parts_are_those_of_one_file(opt: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(opt).save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    whole, parts = loaded(opt, "causal_lm").state_dict(), loaded(tmp_path, "causal_lm").state_dict()
    assert all(torch.equal(whole[name], tensor) for name, tensor in parts.items())


def test_a_tokenizer_that_knows_no_limit_leaves_the_models(opt: Path, data_root: Path) -> None:
    changed(opt, "tokenizer_config.json", model_max_length=1e30)
    run = make_run(opt, data_root, "emotion", "full")
    cell = Cell.of(run, run._places)
    assert cell.room(cell.family.tokenizer(opt)) == POSITIONS


def test_an_encoders_tokenizer_without_a_padding_token_pads_with_what_ends_a_text(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "mpnet")
    changed(folder, "tokenizer_config.json", pad_token=None, eos_token="[SEP]")
    tokenizer = find(str(folder)).family.tokenizer(folder)
    assert tokenizer.pad_token == "[SEP]"
    objective = objectives()["regression"](tasks()["similarity"], (), tokenizer, max_tokens=9)
    rows = [{"input_ids": [2, 7, 8, 3], "attention_mask": [1] * 4}, {"input_ids": [2, 3], "attention_mask": [1, 1]}]
    from tunebench.objectives.base import Features

    batch = objective.collate(Features(rows, [0.0, 1.0], {}), [0, 1])
    assert batch["input_ids"].tolist() == [[2, 7, 8, 3], [2, 3, tokenizer.pad_token_id, tokenizer.pad_token_id]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_keys_may_be_wider_than_their_share_of_the_states(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "gemma3_text")
    family, model = find(str(folder)).family, loaded(folder, "causal_lm")
    assert family.key_value_shape(model) == (2, 2 * HIDDEN)
    tuned: Any = techniques()["p_tuning_v2"].model_validate({"prefix_length": 4}).apply(model, family, 10)  # type: ignore[attr-defined]
    assert tuned.base_model.prefix.states.shape == (4, 2 * 2 * 2 * 2 * HIDDEN)


def test_the_decoder_of_bart_begins_with_the_end_of_text(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "bart")
    model = loaded(folder, "text_to_text")
    end = find(str(folder)).family.tokenizer(folder).eos_token_id
    begun = model.prepare_decoder_input_ids_from_labels(torch.tensor([[7, 8, end]]))
    assert begun.tolist() == [[end, 7, 8]]


@pytest.mark.parametrize("kind", ["modernbert", "eurobert"])
@pytest.mark.parametrize("own", ["cls", "mean"])
def test_a_head_that_pools_as_its_configuration_says_is_cut_as_it_pools(
    kind: str, own: str, tmp_path: Path, data_root: Path
) -> None:
    folder = make_checkpoint(
        tmp_path, kind, classifier_pooling={"eurobert": {"cls": "bos"}}.get(kind, {}).get(own, own)
    )
    family = find(str(folder)).family
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 9, 3, 0, 0]])
    batch: Any = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    values = find(str(folder)).config
    assert family.poolings("regression", values)[0] == {"cls": "first", "mean": "mean"}[own]
    answers = {}
    for pooling in family.poolings("regression", values):
        torch.manual_seed(0)
        model: Any = family.load(folder, "regression", objectives()["regression"].head(())).eval()
        with torch.no_grad():
            plain = model(**batch).logits
            family.pool(model, pooling)
            whole = answers[pooling] = model(**batch).logits
            is_own = pooling == family.poolings("regression", values)[0]
            assert torch.equal(plain, whole) == is_own
            assert pooled_otherwise(model) != is_own
            for depth in range(1, len(family.stages(model)) + 1):
                known = family.cuts_are_known  # else the proof would refuse one vector a text
                split = family.split(model, depth, pooled=known or not (pooling == "mean" and is_own))
                seen = {} if split.one_vector else {"attention_mask": batch["attention_mask"]}
                above = split.tail(inputs_embeds=split.trunk(**batch), **seen).logits
                torch.testing.assert_close(above, whole, rtol=1e-4, atol=1e-5)
    assert (answers["first"] - answers["mean"]).abs().max() > 1e-4


def test_xlnet_reads_the_last_real_token_of_a_text(tmp_path: Path, data_root: Path) -> None:
    folder = make_checkpoint(tmp_path, "xlnet")
    model = loaded(folder, "regression")
    ids = torch.tensor([[7, 8, 9, 4, 3, 0, 0]])
    mask = (ids > 0).long()
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask).logits
        alone = model(input_ids=ids[:, :5], attention_mask=mask[:, :5]).logits
        other = model(input_ids=ids[:, :4], attention_mask=mask[:, :4]).logits
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)
    assert (other - alone).abs().max() > 1e-4
    assert plan([full := make_run(folder, data_root, "emotion", "full")], full._places)[0].applicable
    run = make_run(folder, data_root, "emotion", "lora")
    (cell,) = plan([run], run._places)
    assert cell.reason == "no linear module of XLNet computes its query"
