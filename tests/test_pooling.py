"""How the vector of a text is made: the first token's, or the mean, as the study or the checkpoint says."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.contracts.runs import make, make_run
from tests.contracts.test_techniques import answers_as_it_did, choice
from tunebench import load_finetuned
from tunebench._util.errors import UserError
from tunebench.engine.pretrained import Pretrained
from tunebench.families.base import base_of
from tunebench.objectives import objectives
from tunebench.run.cell import Cell
from tunebench.run.pending import pending_runs
from tunebench.serve.finished import export
from tunebench.study import Run, Study
from tunebench.zoo.checkpoints import find
from tunebench.zoo.sentence_files import sentence_files

TEXTS = ["i feel so happy", "john johnson won the world cup in new york"]
OLD = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
LIBRARY = "sentence_transformers.models."


def make_sentence_encoder(backbone: Path, folder: Path, pooling: dict[str, Any], *others: str) -> Path:
    """A copy of a backbone with the files that sentence-transformers adds."""
    shutil.copytree(backbone, folder)
    kinds = ["Transformer", "Pooling", "Normalize", *others]
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "", "type": LIBRARY + kind}
        for n, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))
    return folder


@pytest.fixture
def encoder(backbones: dict[str, Path], tmp_path: Path) -> Path:
    """A BERT whose pooler was never trained, and which pools by the mean: as all-MiniLM-L6-v2."""
    return make_sentence_encoder(backbones["fresh_pooler"], tmp_path / "encoder", OLD)


def pooled_run(model: Path, pooling: str, technique: Any = "classifier_head", task: str = "emotion") -> Run:
    content = {"model": str(model), "task": task, "pooling": pooling, "techniques": [technique]}
    (run,) = Study.model_validate({"name": "pooled", "experiments": [content]}).runs()
    return run


def mean_model(folder: Path, objective: str = "sequence_classification") -> Any:
    family = find(str(folder)).family
    torch.manual_seed(0)
    model = family.load(folder, objective, objectives()[objective].head(("a", "b", "c"))).eval()
    family.pool(model, "mean")
    return model


def batch_of(folder: Path, *texts: str) -> Any:
    return dict(find(str(folder)).family.tokenizer(folder)(list(texts), return_tensors="pt", padding=True))


# What the checkpoint says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        (OLD, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "mean+max"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode": ["cls", "mean"], "include_prompt": True}, "cls+mean"),
        ({}, "mean"),
    ],
)
def test_files_of_old_and_new_sentence_transformers_are_read(
    config: dict[str, Any], mode: str, backbones: dict[str, Path], tmp_path: Path
) -> None:
    files = sentence_files(make_sentence_encoder(backbones["bert"], tmp_path / "model", config, "Dense"))
    assert files is not None
    assert (files.pooling, files.others) == (mode, ("Dense",))
    assert sentence_files(backbones["bert"]) is None


def test_a_sentence_encoder_is_pooled_as_its_files_say_and_needs_no_pooler(
    encoder: Path, data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(encoder, data_root, "emotion", "classifier_head"), tmp_path / "run")
    assert done.parameters.head == 32 * 6 + 6
    notices = {notice.code: notice.message for notice in done.notices}
    assert notices["pooling"] == (
        "A text's vector is the mean of the tokens' vectors, as the checkpoint's sentence-transformers files say."
    )
    assert "fresh_module" not in notices


@pytest.mark.parametrize("technique", ["classifier_head", "lora"])  # PEFT keeps a copy of what trains in full
def test_a_checkpoint_without_such_files_is_pooled_as_before(
    technique: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones["fresh_pooler"], data_root, "emotion", technique), tmp_path / "auto")
    first = pooled_run(backbones["fresh_pooler"], "first")
    assert done.parameters.head == (32 * 32 + 32) + (32 * 6 + 6)
    assert "pooling" not in [notice.code for notice in done.notices]
    (fresh,) = (notice.message for notice in done.notices if notice.code == "fresh_module")
    assert fresh.endswith("so it is trained with the head (1,056 weights).")
    assert first.id != pooled_run(backbones["fresh_pooler"], "auto").id


def test_a_pair_that_is_read_as_one_text_is_pooled_as_before(encoder: Path, data_root: Path, tmp_path: Path) -> None:
    done = make(make_run(encoder, data_root, "similarity", "classifier_head"), tmp_path / "head")
    assert done.parameters.head == (32 * 32 + 32) + (32 + 1)
    (message,) = (notice.message for notice in done.notices if notice.code == "pooling")
    assert message == (
        "The vector of a pair, whose texts are read together, is the first token's vector: the checkpoint's "
        "sentence-transformers files say how the vector of a single text is made."
    )
    apart = make(make_run(encoder, data_root, "similarity", "cosine"), tmp_path / "cosine")
    (message,) = (notice.message for notice in apart.notices if notice.code == "pooling")
    assert message.startswith("A text's vector is the mean of the tokens' vectors")


def test_a_mode_that_is_unknown_here_and_modules_that_are_ignored_are_told(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    folder = make_sentence_encoder(backbones["bert"], tmp_path / "model", {"pooling_mode": "max"}, "Dense")
    done = make(make_run(folder, data_root, "emotion", "classifier_head"), tmp_path / "run")
    (message,) = (notice.message for notice in done.notices if notice.code == "pooling")
    assert message == (
        "A text's vector is the first token's vector: the checkpoint's sentence-transformers files ask for max, which "
        "is unavailable here. Modules of these files that are ignored: Dense."
    )


def test_a_default_prompt_that_is_ignored_is_told(encoder: Path, data_root: Path, tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
    (encoder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    done = make(make_run(encoder, data_root, "emotion", "embedding"), tmp_path / "run")
    (message,) = (notice.message for notice in done.notices if notice.code == "pooling")
    assert message.endswith('files say. Their default prompt, "query:", is ignored.')


@pytest.mark.parametrize("content", ["[", "{}", '[{"type": 3}]', '[{"type": "a.Pooling", "path": "none"}]'])
def test_damaged_files_are_refused_with_the_way_out(content: str, encoder: Path) -> None:
    (encoder / "modules.json").write_text(content)
    with pytest.raises(UserError, match=r"sentence-transformers files cannot be read .* Mend them, or remove"):
        sentence_files(encoder)


def test_another_pooling_under_the_same_name_makes_runs_again(encoder: Path, data_root: Path, tmp_path: Path) -> None:
    run = make_run(encoder, data_root, "emotion", "embedding")
    make(run, tmp_path / "runs" / run.id)
    assert pending_runs([run], run._places, tmp_path) == ([], [])
    (encoder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    (pending,), remarks = pending_runs([run], run._places, tmp_path)
    assert pending.run.id == run.id
    assert "files of model 'encoder'" in remarks[0]


# What the study says --------------------------------------------------------------------------------------------------


def test_a_pooling_belongs_to_a_run_only_where_it_can_change_a_figure(tmp_path: Path) -> None:
    model = tmp_path / "model"
    ids = {pooling: pooled_run(model, pooling).id for pooling in ("auto", "first", "mean")}
    assert len(set(ids.values())) == 3
    assert len({pooled_run(model, pooling, "tfidf").id for pooling in ("auto", "first", "mean")}) == 1
    assert len({pooled_run(model, pooling, "embedding").id for pooling in ("auto", "first", "mean")}) == 3
    (plain,) = Study.model_validate(
        {"name": "x", "experiments": [{"model": str(model), "task": "emotion", "techniques": ["classifier_head"]}]}
    ).runs()
    assert ids["auto"] == plain.id


def test_two_poolings_of_one_technique_have_labels_of_their_own(tmp_path: Path) -> None:
    labels = [pooled_run(tmp_path / "model", pooling).label for pooling in ("auto", "first", "mean")]
    assert labels == ["classifier_head", "classifier_head pooling=first", "classifier_head pooling=mean"]


@pytest.mark.parametrize(
    ("kind", "task", "message"),
    [
        (
            "gpt2",
            "emotion",
            r"pooling: mean is unavailable, because a GPT-2 model for sequence_classification reads last",
        ),
        ("bert", "ner", r"a BERT model for token_classification reads no vector of a text\. Leave pooling out"),
        ("t5", "emotion", r"a T5 model for text_to_text reads no vector of a text\. Leave pooling out"),
    ],
)
def test_a_pooling_that_the_head_does_not_know_is_refused(
    kind: str, task: str, message: str, backbones: dict[str, Path]
) -> None:
    run = pooled_run(backbones[kind], "mean", "full", task)
    study = Study.model_validate(
        {"name": "x", "experiments": [{"model": str(backbones[kind]), "task": task, "techniques": ["full"]}]}
    )
    with pytest.raises(UserError, match=message):
        Cell.of(run, study.places())


# What the mean is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert"])
def test_the_mean_is_taken_over_the_tokens_of_each_text_and_no_padding(kind: str, backbones: dict[str, Path]) -> None:
    model, folder = mean_model(backbones[kind]), backbones[kind]
    plain = find(str(folder)).family.load(folder, "token_classification", {"num_labels": 3}).eval()
    batch = batch_of(folder, *TEXTS)
    with torch.no_grad():
        states = plain.base_model(**batch).last_hidden_state
        pooled = model.base_model(**batch).pooler_output
        logits = model(**batch).logits
        for row, text in enumerate(TEXTS):
            tokens = int(batch["attention_mask"][row].sum())
            torch.testing.assert_close(pooled[row], states[row, :tokens].mean(0))
            alone = model(**batch_of(folder, text)).logits[0]
            torch.testing.assert_close(logits[row], alone)


@pytest.mark.parametrize("kind", ["bert", "fresh_pooler", "roberta", "electra", "distilbert"])
def test_tail_of_trunk_is_the_model_at_every_depth_under_a_mean(kind: str, backbones: dict[str, Path]) -> None:
    model, family = mean_model(backbones[kind]), find(str(backbones[kind])).family
    batch = batch_of(backbones[kind], *TEXTS)
    depths = range(1, len(family.stages(model)) + 1)
    assert len(depths) == 5
    with torch.no_grad():
        expected = model(**batch).logits
        for depth in depths:
            split = family.split(model, depth, pooled=True)
            states = split.trunk(**batch)
            mask = {} if split.one_vector else {"attention_mask": batch["attention_mask"]}
            torch.testing.assert_close(split.tail(inputs_embeds=states, **mask).logits, expected)
            assert split.one_vector == (depth == 5)


def test_virtual_tokens_are_no_part_of_the_mean(backbones: dict[str, Path]) -> None:
    from tunebench.techniques import techniques

    model = mean_model(backbones["bert"])
    entry: Any = techniques()["prompt_tuning"](prefix_length=4)  # type: ignore[call-arg]
    tuned = entry.apply(model, find(str(backbones["bert"])).family, 1).eval()
    seen: list[torch.Tensor] = []
    base_of(tuned).base_model.encoder.register_forward_hook(  # type: ignore[union-attr]
        lambda module, args, output: seen.append(output.last_hidden_state)
    )
    batch = batch_of(backbones["bert"], TEXTS[0])
    tokens = batch["input_ids"].shape[1]
    with torch.no_grad():
        pooled = base_of(tuned).base_model(**batch).pooler_output
    assert seen[0].shape[1] == tokens + 4
    torch.testing.assert_close(pooled[0], seen[0][0, :tokens].mean(0))


@pytest.mark.parametrize(
    "name",
    [
        "full", "lora", "freeze", "prompt_tuning",
        *(pytest.param(name, marks=pytest.mark.full) for name in ("p_tuning_v2", "bottleneck_adapter")),
    ],
)  # fmt: skip
def test_every_technique_answers_as_it_did_under_a_mean(
    name: str, encoder: Path, data_root: Path, tmp_path: Path
) -> None:
    run = make_run(encoder, data_root, "emotion", choice(name), epochs=1)
    done = make(run, tmp_path / "run")
    answers_as_it_did(done, tmp_path / "run", data_root / str(run.task.folder) / "test.parquet")
    model, _ = load_finetuned(tmp_path / "run")
    assert base_of(model).base_model.pooler is None  # type: ignore[union-attr]


def test_what_the_library_cannot_read_is_not_exported_and_has_no_adapter(
    encoder: Path, data_root: Path, tmp_path: Path
) -> None:
    make(make_run(encoder, data_root, "emotion", "lora", epochs=1), tmp_path / "run")
    assert not (tmp_path / "run" / "adapter").exists()
    with pytest.raises(UserError, match=r"reads the mean .* run the study with pooling: first"):
        export(tmp_path / "run", tmp_path / "model")
    assert not (tmp_path / "model").exists()


# Vectors --------------------------------------------------------------------------------------------------------------


def pretrained(folder: Path, pooling: Any = "mean") -> Pretrained:
    return Pretrained(find(str(folder)).family, folder, pooling, 16, 64, torch.device("cpu"))


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert", "gpt2", "llama", "gpt_neox", "t5"])
@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_a_vector_is_that_of_the_text_alone(kind: str, pooling: Any, backbones: dict[str, Path]) -> None:
    together = pretrained(backbones[kind], pooling).vectors([*TEXTS, TEXTS[0]])
    assert np.linalg.norm(together, axis=1) == pytest.approx([1, 1, 1])
    assert (together[0] == together[2]).all()
    for row, text in enumerate(TEXTS):
        assert together[row] == pytest.approx(pretrained(backbones[kind], pooling).vectors([text])[0], abs=1e-5)


def test_vectors_are_those_of_sentence_transformers(encoder: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    theirs = library.SentenceTransformer(str(encoder), device="cpu").encode(TEXTS)
    assert pretrained(encoder).vectors(TEXTS) == pytest.approx(theirs, abs=1e-5)


def test_a_text_that_is_too_long_is_counted_once(backbones: dict[str, Path]) -> None:
    model = pretrained(backbones["bert"])
    long = "i feel so happy " * 9
    model.vectors([long, "i feel", long])
    assert model.truncated == {long}


def test_a_text_without_tokens_has_a_vector_of_zeros(backbones: dict[str, Path]) -> None:
    assert not pretrained(backbones["gpt2"]).vectors(["i feel", ""])[1].any()
