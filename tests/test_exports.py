"""An exported folder answers as the run does, or is not written."""

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from huggingface_hub import ModelCard

from tests.contracts.runs import CELLS, make, make_run, posed
from tests.contracts.test_techniques import ALIKE, choice
from tunebench import load_finetuned
from tunebench._util.errors import UserError
from tunebench.families import families
from tunebench.run.card import Use, card
from tunebench.serve.finished import FinishedRun, export
from tunebench.tasks import tasks
from tunebench.techniques._peft import PeftTechnique

HOLD_ALL = ("full", "classifier_head", "freeze", "llrd", "lora", "dora", "adalora", "ia3", "peft", "from_scratch")
LORA = {"name": "peft", "type": "LORA", "r": 4, "learning_rate": 0.05}


def plain_logits(folder: Path, kind: str, objective: str, ids: torch.Tensor) -> torch.Tensor:
    """Of the folder's model, loaded as a user of transformers does."""
    auto = getattr(transformers, families()[kind].auto_classes[objective])
    model = auto.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        return model(**inputs_of(model, ids)).logits


def inputs_of(model: Any, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"input_ids": ids} | ({"decoder_input_ids": ids[:, :4]} if model.config.is_encoder_decoder else {})


@pytest.mark.parametrize(
    ("kind", "task", "module"),
    [
        ("gpt2", "instruction", "lm_head"),
        ("llama", "instruction", "embed_tokens"),
        ("llama", "instruction", "lm_head"),
        ("t5", "summarization", "embed_tokens"),
        ("t5", "summarization", "lm_head"),
    ],
)
def test_an_adapter_on_tied_embeddings_is_exported_with_the_logits_of_the_run(
    kind: str, task: str, module: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones[kind], data_root, task, {**LORA, "target_modules": [module]}, epochs=1)
    done = make(run, tmp_path / "run")
    assert done.cost.merged_latency_seconds is not None
    tuned, tokenizer = load_finetuned(tmp_path / "run")
    ids = tokenizer("i feel so happy this morning", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        ours = tuned(**inputs_of(tuned, ids)).logits

    export(tmp_path / "run", tmp_path / "model")

    torch.testing.assert_close(plain_logits(tmp_path / "model", kind, posed(kind, task), ids), ours, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.full] if name in ALIKE else []) for name in HOLD_ALL]
)
def test_every_technique_that_weights_can_hold_is_exported(
    name: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    make(make_run(backbones["fresh_pooler"], data_root, "emotion", choice(name), epochs=1), tmp_path / "run")
    assert export(tmp_path / "run", tmp_path / "model") == tmp_path / "model"


@pytest.mark.parametrize(
    ("kind", "task"), [pytest.param(*c, marks=[] if c == ("gpt2", "ner") else [pytest.mark.full]) for c in CELLS]
)
def test_every_objective_is_exported(
    kind: str, task: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    make(make_run(backbones[kind], data_root, task, choice("lora"), epochs=1), tmp_path / "run")
    assert export(tmp_path / "run", tmp_path / "model").is_dir()


@pytest.fixture
def inexact(monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge that is no longer the model: one row of the embeddings in three is another one."""
    merged = PeftTechnique.merged

    def other(self: PeftTechnique, model: Any) -> Any:
        found = merged(self, model)
        with torch.no_grad():
            found.get_input_embeddings().weight[::3] *= -1
        return found

    monkeypatch.setattr(PeftTechnique, "merged", other)


@pytest.mark.usefixtures("inexact")
def test_a_model_that_answers_otherwise_is_not_exported_and_its_latency_is_not_measured(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones["bert"], data_root, "emotion", choice("lora"), epochs=1), tmp_path / "run")
    assert done.cost.merged_latency_seconds is None
    (notice,) = [notice for notice in done.notices if notice.code == "not_merged"]
    assert notice.message.startswith("The latency of the merged model could not be measured. Its logits differ by")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"nothing was written, as the exported model is not the run's: its logits"):
        export(tmp_path / "run", tmp_path / "model")
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_answers_as_before_after_its_export(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    make(make_run(backbones["bert"], data_root, "emotion", choice("lora"), epochs=1), tmp_path / "run")
    finished = FinishedRun.load(tmp_path / "run")
    before = finished.predict(["i feel happy"])
    (tmp_path / "model").mkdir()  # an empty folder may be filled
    finished.export(tmp_path / "model")
    assert finished.predict(["i feel happy"]) == before
    with pytest.raises(UserError, match="it exists and is not an empty folder"):
        finished.export(tmp_path / "model")


def test_kept_weights_adapters_and_exports_have_the_permissions_of_any_new_file(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    make(make_run(backbones["bert"], data_root, "emotion", choice("lora"), epochs=1), tmp_path / "run")
    make(make_run(backbones["bert"], data_root, "emotion", "tfidf"), tmp_path / "baseline")
    export(tmp_path / "run", tmp_path / "model")
    (tmp_path / "any").touch()
    files = [path for path in tmp_path.rglob("*.safetensors") if not {"cache", "resume"} & set(path.parts)]
    assert {path.parent.name for path in files} == {"run", "adapter", "baseline", "model"}
    usual = stat.S_IMODE((tmp_path / "any").stat().st_mode)
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in files} == dict.fromkeys(files, usual)


def test_equal_runs_leave_equal_adapters_whatever_a_process_hashes_strings_to(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    settings = {"name": "lora", "targets": ["query", "key", "value", "output"]}
    make(make_run(backbones["bert"], data_root, "emotion", settings, epochs=1), tmp_path / "run")
    config = json.loads((tmp_path / "run" / "adapter" / "adapter_config.json").read_text())
    assert len(config["target_modules"]) == 16
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["modules_to_save"] == ["classifier"]


@pytest.mark.parametrize(
    ("kind", "task", "name"),
    [("bert", "similarity", "lora"), ("gpt2", "instruction", "ia3"), ("t5", "emotion", "dora")],
)
def test_the_code_on_an_adapter_s_card_loads_the_model_of_the_run(
    kind: str, task: str, name: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones[kind], data_root, task, choice(name), epochs=1), tmp_path)
    card = (tmp_path / "adapter" / "README.md").read_text("utf-8")
    assert "[More Information Needed]" not in card
    assert f"{done.main_metric.value:.4f}" in card.split("| --- | --- | --- |\n")[1].split("\n")[0]
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace(f'"{done.run.model}"', repr(str(backbones[kind]))).replace(
        '"adapter"', repr(str(tmp_path / "adapter"))
    )
    names: dict[str, Any] = {}
    exec(code, names)
    tuned, tokenizer = load_finetuned(tmp_path)
    ids = tokenizer("i feel so happy", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        ours, theirs = tuned(**inputs_of(tuned, ids)), names["model"](**inputs_of(tuned, ids))
    torch.testing.assert_close(theirs.logits, ours.logits, rtol=1e-4, atol=1e-5)


def carded(folder: Path) -> tuple[dict[str, Any], str]:
    """The head of a card as the hub reads it, and its text."""
    card = ModelCard((folder / "README.md").read_text("utf-8"))
    return card.data.to_dict(), card.text


SECTIONS = ["Scores on the test split", "Data", "Technique", "Costs", "Environment", "Licence", "Limits"]


@pytest.mark.parametrize(
    ("kind", "task", "name", "library", "pipeline"),
    [
        ("bert", "emotion", "lora", "transformers", "text-classification"),
        pytest.param("bert", "emotion", "tfidf", None, None),
        pytest.param("bert", "ner", "classifier_head", "transformers", "token-classification", marks=pytest.mark.full),
        pytest.param("gpt2", "instruction", "full", "transformers", "text-generation", marks=pytest.mark.full),
    ],
)
def test_every_export_has_a_card_with_all_that_its_reader_must_know(
    kind: str,
    task: str,
    name: str,
    library: str | None,
    pipeline: str | None,
    backbones: dict[str, Path],
    data_root: Path,
    tmp_path: Path,
) -> None:
    done = make(make_run(backbones[kind], data_root, task, choice(name), epochs=1), tmp_path / "run")
    head, text = carded(export(tmp_path / "run", tmp_path / "model"))
    assert (head.get("library_name"), head.get("pipeline_tag")) == (library, pipeline)
    assert head["license"] == "other"
    assert head["tags"] == ["tunebench", name]
    (result,) = head["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == done.main_metric.value
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == ["How to use it", *SECTIONS]
    low, high = done.intervals[done.main_metric.name] or (0, 0)
    assert f"| {done.main_metric.value:.4f} | {low:.4f} to {high:.4f} |" in text
    for known in (f"seed {done.run.seed}", f"{done.data.rows['train']:,} train", f"torch {torch.__version__}"):
        assert known in text
    assert all(notice.message in text for notice in done.notices)
    assert set(tasks()[task].caveats) <= {line.removeprefix("- ") for line in text.splitlines()}
    assert str(tmp_path) not in text and str(data_root) not in text


def test_a_card_names_the_licence_of_the_base_model_and_no_folder_of_the_user(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(backbones["bert"], tmp_path / "my base"))
    (base / "README.md").write_text("---\nlicense: mit\n---\n")
    rows = "".join(f"i feel {word},{word}\n" for word in ("good", "bad") * 20)
    (tmp_path / "mine.csv").write_text(f"text,label\n{rows}")
    task = {"name": "mine", "objective": "sequence_classification", "data": str(tmp_path / "mine.csv")}
    make(make_run(base, data_root, task, choice("classifier_head"), epochs=1), tmp_path / "run")
    head, text = carded(export(tmp_path / "run", tmp_path / "model"))
    assert "base_model" not in head, "the hub takes no blank in a name"
    assert "- Base model: `mit`, as its own card says" in text
    assert "- Data: not stated; who owns the files decides" in text
    assert "from mine.csv: " in text and str(tmp_path) not in text


def test_a_card_says_nothing_of_the_original_data_where_the_shipped_ones_were_used(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones["bert"], data_root, "ner", "tfidf")
    done = make(run, tmp_path)
    task = run.task.model_copy(update={"data": "embedded"})
    text = card(run.model_copy(update={"task": task}), done, Use("It.", []), None)
    assert "- Data: Apache-2.0, as tunebench" in text
    assert "Reuters" not in text and "occur in train" not in text
