"""What holds for every technique in the folder, on every objective it applies to."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import KINDS
from tests.contracts.runs import CELLS, LocatedRun, make, make_run, make_until, posed
from tunebench import load_finetuned
from tunebench import techniques as package
from tunebench._util.errors import UserError
from tunebench._util.registry import subclasses_in
from tunebench.engine.evaluate import score
from tunebench.engine.events import Event, Resumed, Step
from tunebench.families import families
from tunebench.families.base import base_of
from tunebench.objectives import objectives
from tunebench.records import Done, Epoch, Paused
from tunebench.run.pending import pending_runs
from tunebench.serve.finished import export, predict
from tunebench.tasks import tasks
from tunebench.techniques import techniques
from tunebench.techniques.base import Baseline, Entry, Technique, Trained
from tunebench.zoo.checkpoints import find

FOLDER = subclasses_in(package, Entry)  # without what plugins add
TRAINED = sorted(name for name, cls in FOLDER.items() if issubclass(cls, Trained))
BASELINES = sorted(name for name, cls in FOLDER.items() if issubclass(cls, Baseline))
LABELS = ("a", "b", "c", "d", "e", "f", "g", "h", "i")


def test_the_folder_holds_the_techniques_that_are_promised() -> None:
    assert TRAINED == [
        "adalora",
        "bottleneck_adapter",
        "classifier_head",
        "dora",
        "freeze",
        "from_scratch",
        "full",
        "ia3",
        "llrd",
        "lora",
        "p_tuning_v2",
        "peft",
        "prefix_tuning",
        "prompt_tuning",
    ]
    assert BASELINES == ["cosine", "embedding", "lead3", "tfidf", "zero_shot"]
    assert set(FOLDER) == {*TRAINED, *BASELINES, "untuned"}


FAMILIES = ("bert", "gpt2", "t5", "transformer")


def loaded(folder: Path, objective: str) -> Any:
    family = find(str(folder)).family
    torch.manual_seed(0)
    return family.load(folder, objective, objectives()[objective].head(LABELS))


NEEDED: dict[str, dict[str, Any]] = {
    "peft": {"type": "VERA", "r": 8, "target_modules": ["query", "value"], "save_projection": True},
    "p_tuning_v2": {"prefix_length": 4},
    "prefix_tuning": {"prefix_length": 4, "bottleneck": 16},
    "prompt_tuning": {"prefix_length": 4},
    "adalora": {"initial_rank": 6, "target_rank": 3},
    "bottleneck_adapter": {"reduction": 2},
}
"""Settings that a technique must be given, or that a tiny model asks for."""


def entry(name: str, **settings: Any) -> Any:
    return techniques()[name](**{**NEEDED.get(name, {}), **settings})


def choice(name: str) -> dict[str, Any]:
    return {"name": name, **NEEDED.get(name, {})}


def trained_names(model: Any) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


HEADS = ("classifier.", "score.", "qa_outputs.")
UPPER_HALF = {
    "bert": ("bert.encoder.layer.2.", "bert.encoder.layer.3.", "bert.pooler."),
    "gpt2": ("transformer.h.2.", "transformer.h.3.", "transformer.ln_f."),
    "t5": ("decoder.block.", "decoder.final_layer_norm."),
    "transformer": ("decoder.layers.",),
}
_SAVED = "modules_to_save"
DECLARED = {
    "adalora": lambda name, family: ("lora_" in name and "original" not in name) or _SAVED in name,
    "bottleneck_adapter": lambda name, family: ".down." in name or ".up." in name or name.startswith(HEADS),
    "dora": lambda name, family: "lora_" in name or _SAVED in name,
    "ia3": lambda name, family: "ia3_" in name or _SAVED in name,
    "p_tuning_v2": lambda name, family: name.startswith(("prefix.", *HEADS)) or ".prefix." in name,
    "peft": lambda name, family: "vera_lambda" in name or _SAVED in name,
    "prefix_tuning": lambda name, family: name.startswith(("prefix.", *HEADS)) or ".prefix." in name,
    "prompt_tuning": lambda name, family: name.split(".")[-1] == "prompt" or name.startswith(HEADS),
    "from_scratch": lambda name, family: True,
    "full": lambda name, family: True,
    "llrd": lambda name, family: True,
    "classifier_head": lambda name, family: name.startswith(HEADS),
    "lora": lambda name, family: "lora_" in name or "modules_to_save" in name,
    "freeze": lambda name, family: name.startswith((*UPPER_HALF[family], *HEADS)),
}


def asked(name: str, kind: str, task: str) -> str:
    """The objective that a technique has to do with: baselines know no family."""
    return tasks()[task].objective if name in BASELINES else posed(kind, task)


def reason(name: str, kind: str, task: str) -> str | None:
    """Why a technique has no meaning for a cell."""
    technique = entry(name)
    why = technique.not_applicable(families()[kind], asked(name, kind, task))
    return why or (technique.not_answerable(tasks()[task]) if isinstance(technique, Baseline) else None)


def applicable(names: list[str]) -> list[tuple[str, str, str]]:
    """Technique, task and family, wherever the technique has a meaning."""
    return [(name, task, kind) for name in names for kind, task in CELLS if reason(name, kind, task) is None]


ALIKE = ("dora", "ia3", "llrd", "p_tuning_v2", "peft", "prompt_tuning")
"""Techniques whose weights are kept, cut and trained as another one's are: `make test-all` runs what they share."""


def one_cell(name: str, task: str, kind: str) -> bool:
    """Every kind of weights on one cell, and one technique on a cell of every objective and family."""
    if name == "lora":
        return (kind, task) not in (("gpt2", "ner"), ("gpt2", "similarity"), ("t5", "emotion"))
    return (kind, task) == ("bert", "emotion") and name not in ALIKE


def some_kinds(name: str, task: str, kind: str) -> bool:
    """What is computed once, what trains, what keeps more than weights; and one cell of each shape of model."""
    if name == "lora":
        return (kind, task) in (("bert", "emotion"), ("gpt2", "instruction"), ("t5", "summarization"))
    return (kind, task) == ("bert", "emotion") and name in ("adalora", "classifier_head", "freeze", "full")


def one_task(name: str, task: str, kind: str) -> bool:
    """Every technique on every family, and one technique on every cell."""
    return task == "emotion" or name == "lora"


def one_family(name: str, task: str, kind: str) -> bool:
    """Every task of one family; a baseline knows no family."""
    return kind == "bert" or name == "lead3"


def with_representatives(
    cells: list[tuple[str, str, str]], representative: Callable[..., bool] = one_cell
) -> list[Any]:
    """The cells as parameters; those that are not representative run in `make test-all` only."""
    return [pytest.param(*cell, marks=[] if representative(*cell) else [pytest.mark.full]) for cell in cells]


def on_kinds(
    names: Sequence[str], first: str, kinds: Sequence[str], everywhere: str = "lora", rest: Sequence[str] = ()
) -> list[Any]:
    """Every technique on the first kind, and one on all kinds; other cells and `rest` run in `make test-all` only."""
    return [
        pytest.param(
            name, kind, marks=[] if name == everywhere or (kind == first and name not in rest) else [pytest.mark.full]
        )
        for name in names
        for kind in kinds
    ]


_LINEAR = ("class", "classes", "score")


def test_what_has_no_meaning_says_why() -> None:
    refused = {(name, kind, task): reason(name, kind, task) for name in techniques() for kind, task in CELLS}
    no_head = "{} has no new head: the pretrained one is tied to the backbone's embeddings"
    no_answer = "a linear model on TF-IDF has no answer of the form that {} asks for"
    no_source = "the beginning of a source does not answer {}"
    no_vector = "one vector per text has no answer of the form that {} asks for"
    no_pair = "emotion has one text per example, and a cosine compares two"
    no_cosine = "one number per pair has no answer of the form that {} asks for"
    no_list = "{} has no list of labels of which one is the answer"
    cells = [cell for cell in CELLS if cell != ("t5", "summarization")]
    kinds = {cell: tasks()[cell[1]].objective for cell in CELLS}
    forms = {cell: tasks()[cell[1]].form for cell in CELLS}
    assert {cell: reason for cell, reason in refused.items() if reason} == {
        ("classifier_head", "gpt2", "instruction"): no_head.format("causal_lm"),
        ("classifier_head", "t5", "emotion"): no_head.format("text_to_text"),
        ("classifier_head", "t5", "summarization"): no_head.format("text_to_text"),
        ("classifier_head", "transformer", "emotion"): no_head.format("text_to_text"),
        ("tfidf", "gpt2", "instruction"): no_answer.format("causal_lm"),
        ("tfidf", "bert", "question_answering"): no_answer.format("question_answering"),
        ("tfidf", "t5", "summarization"): no_answer.format("text_to_text"),
        **{("lead3", *cell): no_source.format(tasks()[cell[1]].objective) for cell in cells},
        **{("embedding", *cell): no_vector.format(kinds[cell]) for cell in CELLS if forms[cell] not in _LINEAR},
        **{("cosine", *cell): no_cosine.format(kinds[cell]) for cell in CELLS if forms[cell] not in _LINEAR},
        **{("cosine", *cell): no_pair for cell in CELLS if cell[1] == "emotion"},
        **{("zero_shot", *cell): no_list.format(kinds[cell]) for cell in CELLS if cell[1] != "emotion"},
        ("zero_shot", "bert", "emotion"): "the family bert has no language-modelling head that writes",
    }


@pytest.mark.parametrize(("name", "task", "kind"), with_representatives(applicable(TRAINED), one_task))
def test_a_technique_trains_exactly_what_it_declares(
    name: str, task: str, kind: str, backbones: dict[str, Path], data_root: Path
) -> None:
    objective = posed(kind, task)
    family = families()[kind]
    technique = entry(name)
    assert isinstance(technique, Trained)
    model = technique.apply(loaded(backbones[kind], objective), family, 10)
    declared = {n for n, _ in model.named_parameters() if DECLARED[name](n, kind)}
    assert trained_names(model) == declared

    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(technique.parameter_groups(model, family, 0.01))
    grouped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert grouped == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(grouped) == sum(len(group["params"]) for group in optimizer.param_groups)
    batch = some_batch(objective, family.tokenizer(backbones[kind]))
    model.train()
    seen_gradient = set()
    for _ in range(3):
        model(**batch).loss.backward()
        seen_gradient |= {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        optimizer.step()
        optimizer.zero_grad()
    after = dict(model.named_parameters())
    # Word pieces, positions and token types that no text of the batch has get no gradient; their tables do.
    # The key's bias alone has none: a constant added to all keys leaves the softmax as it is.
    assert declared - seen_gradient <= {n for n in declared if n.endswith("key.bias")}
    assert all(torch.equal(before[n], after[n]) for n in before if n not in declared)
    assert not any(torch.equal(before[n], after[n]) for n in seen_gradient)


def some_batch(objective: str, tokenizer: Any) -> dict[str, torch.Tensor]:
    batch = dict(tokenizer(["i feel so happy today", "john johnson won"], return_tensors="pt", padding=True))
    if objective == "causal_lm":
        batch["labels"] = torch.where(batch["attention_mask"] == 1, batch["input_ids"], -100)
    elif objective == "text_to_text":
        batch["labels"] = torch.where(batch["attention_mask"] == 1, batch["input_ids"], -100)[:, 1:].contiguous()
    elif objective == "question_answering":
        batch["labels"] = torch.tensor([[1, 2], [2, 2]])
    elif objective == "token_classification":
        batch["labels"] = torch.where(batch["attention_mask"] == 1, batch["input_ids"] % len(LABELS), -100)
    else:
        batch["labels"] = torch.tensor([1, 4]) if objective == "sequence_classification" else torch.tensor([1.0, 4.0])
    return batch


@pytest.mark.parametrize(("name", "kind"), on_kinds([*TRAINED, "untuned"], "bert", KINDS))
def test_two_applications_of_one_object_share_no_state(name: str, kind: str, backbones: dict[str, Path]) -> None:
    technique = entry(name)
    assert isinstance(technique, Technique)
    settings = technique.model_dump_json()
    first, second = (
        technique.apply(loaded(backbones[kind], "sequence_classification"), find(str(backbones[kind])).family, 10)
        for _ in range(2)
    )
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    assert trained_names(first) == trained_names(second)
    assert technique.model_dump_json() == settings


Interrupted = Callable[..., LocatedRun]
Uncut = Callable[[str, str, str], tuple[Done, Path]]


@pytest.fixture(scope="module")
def interrupted(backbones: dict[str, Path], data_root: Path) -> Interrupted:
    """Technique, task and family -> a run of three epochs of three steps."""
    return lambda name, task, kind, **training: make_run(
        backbones[kind], data_root, task, choice(name), batch_size=32, epochs=3, **training
    )


@pytest.fixture(scope="module")
def uncut(interrupted: Interrupted, tmp_path_factory: pytest.TempPathFactory) -> Uncut:
    """Technique, task and family -> the same run without an interruption, and its folder; made once."""
    made: dict[tuple[str, str, str], tuple[Done, Path]] = {}

    def of(*cell: str) -> tuple[Done, Path]:
        name, task, kind = cell
        if (name, task, kind) not in made:
            folder = tmp_path_factory.mktemp("uncut")
            made[name, task, kind] = make(interrupted(*cell), folder), folder
        return made[name, task, kind]

    return of


@pytest.mark.parametrize(("name", "task", "kind"), with_representatives(applicable(TRAINED)))
def test_a_killed_run_resumes_to_the_same_bits_and_answers_as_it_did(
    name: str, task: str, kind: str, interrupted: Interrupted, uncut: Uncut, data_root: Path, tmp_path: Path
) -> None:
    run = interrupted(name, task, kind, checkpoint_seconds=0)
    whole, folder = uncut(name, task, kind)

    def kill(event: Event) -> None:
        if isinstance(event, Step) and event.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(run, tmp_path / "killed", kill)
    kept = json.loads(next((tmp_path / "killed").glob("resume/*/state.json")).read_text())["state"]
    events: list[Event] = []
    resumed = make(run, tmp_path / "killed", events.append)
    assert resumed.cost.total_seconds > kept["earlier"]["total"] >= sum(kept["seconds"].values()) > 0
    assert resumed.cost.computed_trunk_seconds >= kept["earlier"]["computed"]
    assert resumed.cost.peak_memory_bytes >= kept["earlier"]["memory"] > 0
    assert [(event.epoch, event.step) for event in events if isinstance(event, Resumed)] == [(1, 4)]
    assert (tmp_path / "killed/best.safetensors").read_bytes() == (folder / "best.safetensors").read_bytes()
    assert resumed.metrics == whole.metrics
    assert [epoch.train_loss for epoch in resumed.history] == [epoch.train_loss for epoch in whole.history]
    answers_as_it_did(resumed, tmp_path / "killed", data_root / str(run.task.folder) / "test.parquet")


@pytest.mark.parametrize(("name", "task", "kind"), with_representatives(applicable(TRAINED), some_kinds))
def test_a_paused_run_goes_on_as_if_it_had_never_paused(
    name: str, task: str, kind: str, interrupted: Interrupted, uncut: Uncut, tmp_path: Path
) -> None:
    run = interrupted(name, task, kind)
    whole, straight = uncut(name, task, kind)
    folder = tmp_path / "runs" / run.id
    for epoch in (1, 2):
        events: list[Event] = []
        paused = make_until(epoch, run, folder, events.append)
        assert isinstance(paused, Paused)
        assert pending_runs([run], run._places, tmp_path)[0]
        assert [(e.epoch, e.step) for e in events if isinstance(e, Resumed)] == [(1, 3)][: epoch - 1]
        assert without_seconds(paused.history) == without_seconds(whole.history[:epoch])
        answers_are_those_of_the_epoch(folder, paused)
    ended = make(run, folder)
    for file in ("best.safetensors", "predictions.jsonl"):
        assert (folder / file).read_bytes() == (straight / file).read_bytes()
    assert without_seconds(ended.history) == without_seconds(whole.history)
    assert (ended.metrics, ended.best_epoch, ended.summary) == (whole.metrics, whole.best_epoch, whole.summary)
    assert (ended.cost.steps, ended.cost.train_tokens) == (whole.cost.steps, whole.cost.train_tokens)
    assert ended.cost.total_seconds > paused.cost.total_seconds > ended.history[0].seconds + ended.history[1].seconds


def without_seconds(history: list[Epoch]) -> list[dict[str, Any]]:
    return [epoch.model_dump(exclude={"seconds"}) for epoch in history]


def answers_are_those_of_the_epoch(folder: Path, paused: Paused) -> None:
    rows = [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(36))
    assert set(rows[0]) == {"id", "input", "prediction", "reference", "scores"}
    scores = score(list(paused.history[-1].validation), [r["prediction"] for r in rows], [r["reference"] for r in rows])
    assert scores == pytest.approx(paused.history[-1].validation)


@pytest.mark.parametrize("until", [2, 3, 9])
def test_a_run_that_ends_at_the_epoch_of_its_pause_is_done(
    until: int, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "classifier_head", batch_size=32, epochs=2)
    assert isinstance(make_until(until, run, tmp_path), Done)


@pytest.mark.parametrize("name", ["untuned", "tfidf"])
def test_what_does_not_train_does_not_pause(
    name: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    assert isinstance(make_until(1, make_run(backbones["bert"], data_root, "emotion", name), tmp_path), Done)


def test_a_run_that_stands_at_its_pause_answers_again(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones["bert"], data_root, "emotion", "lora", batch_size=32, validation_rows=12)
    first = make_until(1, run, tmp_path)
    answers = (tmp_path / "validation.jsonl").read_bytes()
    ids = [json.loads(line)["id"] for line in answers.splitlines()]
    assert len(ids) == 12
    assert ids != list(range(12)), "they are rows of the whole split"
    (tmp_path / "validation.jsonl").unlink()
    second = make_until(1, run, tmp_path)
    assert isinstance(first, Paused)
    assert isinstance(second, Paused)
    assert (second.epoch, second.history) == (1, first.history)
    assert (tmp_path / "validation.jsonl").read_bytes() == answers


@pytest.mark.parametrize(
    ("name", "task", "kind"), with_representatives(applicable(["untuned", *BASELINES]), one_family)
)
def test_what_needs_no_training_answers_as_it_did(
    name: str, task: str, kind: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones[kind], data_root, task, choice(name))
    answers_as_it_did(make(run, tmp_path), tmp_path, data_root / str(run.task.folder) / "test.parquet")


def answers_as_it_did(done: Done, folder: Path, test: Path) -> None:
    """What is loaded from a run's folder says of its test rows what the run said."""
    import pandas as pd

    frame, task = pd.read_parquet(test), done.run.task
    if task == "instruction":
        assert done.generation is not None
        asked = frame.iloc[[answer.id for answer in done.generation.answers]]
        answers = predict(folder, list(asked["instruction"]), list(asked["input"]))
        greedy = [answer.texts["greedy"] for answer in done.generation.answers]
        assert [answer["response"] for answer in answers] == greedy
        return
    if task == "ner":
        answers = [answer["tags"] for answer in predict(folder, [" ".join(row) for row in frame["tokens"]])]
    elif task == "question_answering":
        answers = [answer["answer"] for answer in predict(folder, list(frame["question"]), list(frame["context"]))]
    elif task == "summarization":
        answers = [answer["answer"] for answer in predict(folder, list(frame["article"]))]
    elif task == "similarity":
        answers = [answer["score"] for answer in predict(folder, list(frame["sentence1"]), list(frame["sentence2"]))]
    else:
        answers = [answer["label"] for answer in predict(folder, list(frame["text"]))]
    kept = [json.loads(line)["prediction"] for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert answers == (pytest.approx(kept, abs=1e-4) if task == "similarity" else kept)


def by_heart(folder: Path, rows: list[tuple[str, str]]) -> dict[str, Any]:
    """A task of words and what they are called; the validation and test splits are rows of the training split.

    An epoch reads each training row three times: most of the time of so few rows would go to validating.
    """
    files = {split: str(folder / f"{split}.csv") for split in ("train", "validation", "test")}
    for split, path in files.items():
        repeated = rows * 3 if split == "train" else rows
        Path(path).write_text("text,label\n" + "".join(f"i feel {word},{label}\n" for word, label in repeated))
    return {"objective": "sequence_classification", "data": files, "metrics": ["accuracy"]}


@pytest.mark.parametrize(("name", "kind"), on_kinds(TRAINED, "bert", ("bert", "gpt2"), rest=(*ALIKE, "from_scratch")))
def test_a_technique_can_learn_eight_examples_by_heart(
    name: str, kind: str, backbones: dict[str, Path], tmp_path: Path
) -> None:
    rows = [("happy", "joy"), ("gloomy", "sadness"), ("furious", "anger"), ("afraid", "fear")] * 2
    task = by_heart(tmp_path, rows)
    rate = {"full": 0.002, "from_scratch": 0.002, "llrd": 0.002, "freeze": 0.002, "prompt_tuning": 0.01}.get(name, 0.02)
    epochs = 45 if name == "prompt_tuning" else 26  # with these, each of six seeds
    run = make_run(
        backbones[kind], tmp_path, task, {**choice(name), "learning_rate": rate}, epochs=epochs, patience=epochs
    )
    assert make(run, tmp_path / "run").metrics.test["accuracy"] == 1.0


# Through the frozen cross-attention of a random network these hear too little of a source within some dozen steps.
DEAF = ("bottleneck_adapter", "prefix_tuning", "prompt_tuning")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("full", "lora") else [pytest.mark.full])
        for name in TRAINED
        if name != "classifier_head"
    ],
)
def test_a_technique_can_learn_to_write_eight_answers(name: str, backbones: dict[str, Path], tmp_path: Path) -> None:
    rows = [("happy", "joy"), ("delighted", "joy"), ("furious", "fear"), ("afraid", "fear")] * 2
    task = by_heart(tmp_path, rows)
    rate = {"p_tuning_v2": 0.05, "ia3": 0.05, "peft": 0.05, "bottleneck_adapter": 0.05, "prompt_tuning": 0.3}.get(
        name, 0.02
    )
    run = make_run(backbones["t5"], tmp_path, task, {**choice(name), "learning_rate": rate}, epochs=28, patience=28)
    done = make(run, tmp_path / "run")
    assert done.history[-1].train_loss < done.history[0].train_loss * 0.9
    assert name in DEAF or done.metrics.test["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("name", "kind"), on_kinds([*TRAINED, "untuned"], "bert", ("bert", "fresh_pooler"), rest=ALIKE)
)
def test_bf16_keeps_trained_weights_and_scores_in_float32(
    name: str, kind: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones[kind], data_root, "similarity", choice(name), precision="bf16", epochs=1), tmp_path)
    assert done.environment["precision"] == "bf16"
    kept = [json.loads(line)["prediction"] for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert any(value != torch.tensor(value).bfloat16().item() for value in kept)
    if name != "untuned":
        weights = load_file(tmp_path / "best.safetensors").values()
        assert {tensor.dtype for tensor in weights} == {torch.float32}


def test_an_untuned_model_takes_no_step(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    done = make(make_run(backbones["bert"], data_root, "emotion", "untuned"), tmp_path)
    assert (done.cost.steps, done.parameters.trainable, done.cost.saved_bytes) == (0, 0, 0)


def test_layer_rates_decay_from_the_head_to_the_embeddings(backbones: dict[str, Path]) -> None:
    technique = techniques()["llrd"](decay=0.5, learning_rate=0.01)  # type: ignore[call-arg]
    assert isinstance(technique, Trained)
    model = technique.apply(loaded(backbones["bert"], "sequence_classification"), families()["bert"], 10)
    rates = {}
    names = {id(p): n for n, p in model.named_parameters()}
    for group in technique.parameter_groups(model, families()["bert"], 0.1):
        for parameter in group["params"]:
            rates[names[id(parameter)]] = group["lr"]
            assert group["weight_decay"] == (0.1 if parameter.ndim >= 2 else 0.0)
    assert rates["classifier.weight"] == rates["bert.pooler.dense.weight"] == 0.01
    assert rates["bert.encoder.layer.3.output.dense.weight"] == 0.01
    assert rates["bert.encoder.layer.2.output.dense.weight"] == 0.005
    assert rates["bert.encoder.layer.0.output.dense.weight"] == 0.00125
    assert rates["bert.embeddings.word_embeddings.weight"] == 0.000625


def test_a_pooler_that_was_never_trained_belongs_to_the_head(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones["fresh_pooler"], data_root, "emotion", "classifier_head"), tmp_path)
    assert done.parameters.head == (32 * 32 + 32) + (32 * 6 + 6)
    assert "fresh_module" in [notice.code for notice in done.notices]
    trained = make(make_run(backbones["bert"], data_root, "emotion", "classifier_head"), tmp_path / "trained")
    assert trained.parameters.head == 32 * 6 + 6


def test_evaluation_batches_do_not_change_predictions(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    small = make_run(backbones["bert"], data_root, "ner", "full", epochs=1, evaluation_batch_tokens=16)
    large = make_run(backbones["bert"], data_root, "ner", "full", epochs=1, evaluation_batch_tokens=4096)
    assert make(small, tmp_path / "a").metrics == make(large, tmp_path / "b").metrics


def test_a_state_made_from_other_data_is_ignored(backbones: dict[str, Path], tmp_path: Path) -> None:
    data = tmp_path / "own.csv"
    rows = [f"i feel {word},{label}" for word, label in (("happy", "joy"), ("gloomy", "sadness")) for _ in range(40)]
    data.write_text("\n".join(["text,label", *rows]))
    task = {"objective": "sequence_classification", "data": str(data)}
    run = make_run(backbones["bert"], tmp_path, task, "classifier_head", checkpoint_seconds=0)

    def kill(event: Event) -> None:
        if isinstance(event, Step) and event.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(run, tmp_path / "runs" / run.id, kill)
    data.write_text(data.read_text().replace("happy", "delighted"))
    events: list[Event] = []
    make(run, tmp_path / "runs" / run.id, events.append)
    assert not any(isinstance(event, Resumed) for event in events)
    assert not pending_runs([run], run._places, tmp_path)[0]
    data.write_text(data.read_text().replace("delighted", "loving"))
    assert pending_runs([run], run._places, tmp_path)[0]


# What is particular to one technique ----------------------------------------------------------------------------------


VIRTUAL_TOKENS = ("prefix_tuning", "p_tuning_v2", "prompt_tuning")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *on_kinds(["lora", "dora", "adalora", "ia3", "peft"], "bert", FAMILIES),
        *on_kinds(VIRTUAL_TOKENS, "gpt2", FAMILIES, "prefix_tuning"),
    ],
)
def test_an_adapter_that_peft_knows_has_the_same_logits_in_plain_peft(
    name: str, kind: str, backbones: dict[str, Path], uncut: Uncut
) -> None:
    import transformers
    from peft import PeftModel

    _, folder = uncut(name, "emotion", kind)
    if not (folder / "adapter").exists():  # PEFT counts positions from the prefix on, also in an encoder
        assert kind in ("bert", "t5", "transformer")
        assert name in VIRTUAL_TOKENS
        return
    ours, tokenizer = load_finetuned(folder)
    auto = getattr(transformers, families()[kind].auto_classes[posed(kind, "emotion")])
    base = auto.from_pretrained(backbones[kind], num_labels=base_of(ours).config.num_labels)
    plain = PeftModel.from_pretrained(base, folder / "adapter").eval()
    batch = tokenizer("i feel so happy today", return_tensors="pt")
    if posed(kind, "emotion") == "text_to_text":
        batch["labels"] = batch["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(plain(**batch).logits, ours(**batch).logits, rtol=1e-4, atol=1e-5)


def test_adalora_takes_ranks_away_until_the_target(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    settings = {"name": "adalora", "initial_rank": 6, "target_rank": 3, "warmup": 0.1, "final": 0.2}
    done = make(make_run(backbones["bert"], data_root, "emotion", settings, epochs=4), tmp_path)
    ranks = done.summary["ranks"]
    assert len(ranks) == 2 * 4
    if done.best_epoch == 4:
        assert sum(ranks.values()) == 3 * len(ranks)
    assert max(ranks.values()) > min(ranks.values())


def test_what_adalora_keeps_goes_on_where_its_weights_are(backbones: dict[str, Path]) -> None:
    """A kept state is read to the processor's memory; "meta" stands for a GPU here."""
    technique = entry("adalora")
    family = families()["bert"]
    model: Any = technique.apply(loaded(backbones["bert"], "sequence_classification"), family, 10)
    scores = model.base_model.rankallocator
    scores.ipt = {name: p.detach() for name, p in model.base_model.model.named_parameters() if "lora_" in name}
    kept = technique.extra_state(model)
    assert kept
    technique.load_extra_state(model.to("meta"), kept)
    assert {str(score.device) for score in scores.ipt.values()} == {"meta"}
    assert [score.shape for score in scores.ipt.values()] == [score.shape for score in kept.values()]


@pytest.mark.parametrize(
    ("name", "kind"), on_kinds([*VIRTUAL_TOKENS, "bottleneck_adapter"], "bert", FAMILIES, "bottleneck_adapter")
)
def test_what_no_weight_can_hold_is_not_exported(name: str, kind: str, uncut: Uncut, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be merged into the weights"):
        export(uncut(name, "emotion", kind)[1], tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("kind", "task"), CELLS)
def test_a_bottleneck_adapter_begins_as_the_identity(kind: str, task: str, backbones: dict[str, Path]) -> None:
    family = families()[kind]
    objective = posed(kind, task)
    model = loaded(backbones[kind], objective).eval()
    batch = some_batch(objective, family.tokenizer(backbones[kind]))
    with torch.no_grad():
        before = model(**batch).logits
        for placement in ("houlsby", "pfeiffer"):
            model = entry("bottleneck_adapter", placement=placement).apply(
                loaded(backbones[kind], objective), family, 1
            )
            assert torch.equal(model.eval()(**batch).logits, before)


@pytest.mark.parametrize(("name", "kind"), on_kinds(VIRTUAL_TOKENS, "gpt2", KINDS, "prefix_tuning"))
def test_virtual_tokens_change_neither_shape_nor_padding(name: str, kind: str, backbones: dict[str, Path]) -> None:
    family = find(str(backbones[kind])).family
    tokenizer = family.tokenizer(backbones[kind])
    for objective in ("token_classification", "sequence_classification"):
        plain = loaded(backbones[kind], objective).eval()
        model: Any = entry(name).apply(loaded(backbones[kind], objective), family, 1).eval()
        short = tokenizer("i feel so happy", return_tensors="pt")
        batch = tokenizer(
            ["i feel so happy", "john won the world cup in new york today"], return_tensors="pt", padding=True
        )
        with torch.no_grad():
            alone, padded, untouched = model(**short).logits, model(**batch).logits[:1], plain(**short).logits
        assert alone.shape == untouched.shape
        torch.testing.assert_close(padded[:, : alone.shape[1]], alone, rtol=1e-4, atol=1e-5)
        assert (alone - untouched).abs().max() > 1e-4


def test_a_prompt_may_begin_as_a_text(backbones: dict[str, Path]) -> None:
    family = families()["gpt2"]
    model = loaded(backbones["gpt2"], "regression")
    model.name_or_path = str(backbones["gpt2"])
    tuned: Any = entry("prompt_tuning", initial="text", initial_text="i feel so happy").apply(model, family, 1)
    ids = family.tokenizer(backbones["gpt2"])("i feel so happy")["input_ids"]
    assert torch.equal(tuned.transformer.prompt, tuned.transformer.wte.weight[ids])
    with pytest.raises(ValueError, match="go together"):
        techniques()["prompt_tuning"](initial="text")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "VERRA"}, "PEFT has no method 'VERRA'. Did you mean 'VERA'"),
        ({"type": "VERA", "rank": 3}, "VERA has no field 'rank'. Choose from: bias"),
        ({"type": "PROMPT_TUNING"}, "Use prompt_tuning, prefix_tuning or p_tuning_v2"),
        ({"type": "VERA", "target_modules": ["nothing"]}, "PEFT refuses these settings"),
    ],
)
def test_a_mistake_in_a_peft_method_is_reported(
    settings: dict[str, Any], message: str, backbones: dict[str, Path]
) -> None:
    technique = techniques()["peft"](**settings)
    assert isinstance(technique, Trained)
    with pytest.raises(UserError, match=re.escape(message)):
        technique.apply(loaded(backbones["bert"], "regression"), families()["bert"], 1)


def test_a_prefix_that_leaves_no_room_for_a_text_is_reported(backbones: dict[str, Path], data_root: Path) -> None:
    run = make_run(backbones["gpt2"], data_root, "emotion", {"name": "p_tuning_v2", "prefix_length": 64})
    with pytest.raises(UserError, match="64 virtual tokens leave no position"):
        make(run, backbones["gpt2"].parent / "none")
