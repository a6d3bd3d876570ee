"""What baselines that ask a pretrained model answer, what they may choose from, and what they cost."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import tunebench.run.baseline as baseline
from tests.contracts.runs import make, make_run
from tunebench._util.errors import UserError
from tunebench.engine.pretrained import Pretrained
from tunebench.families import families
from tunebench.records import Done, PlannedCell
from tunebench.report.read.comparisons import Row
from tunebench.report.read.study import RunResult
from tunebench.techniques import techniques
from tunebench.techniques.base import Baseline, Question

STRENGTHS = (1e-6, 1.0, 1000.0)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def own(folder: Path, objective: str, columns: dict[str, str], **splits: pd.DataFrame) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    for split, frame in splits.items():
        frame.to_parquet(folder / f"{split}.parquet", index=False)
    data = {split: str(folder / f"{split}.parquet") for split in splits}
    return {"name": "own", "objective": objective, "data": data, "columns": columns}


def emotions(data_root: Path, folder: Path, relabel: Callable[[pd.DataFrame], pd.DataFrame]) -> dict[str, Any]:
    """The emotion texts, with a test split whose labels are changed."""
    splits = {name: pd.read_parquet(data_root / "emotion" / f"{name}.parquet") for name in ("train", "validation")}
    test = relabel(pd.read_parquet(data_root / "emotion" / "test.parquet"))
    return own(folder, "sequence_classification", {}, **splits, test=test)


def pairs(data_root: Path, folder: Path, objective: str) -> dict[str, Any]:
    """The similarity pairs with scores, or with one class for each half of the scale."""
    splits = {}
    for name in ("train", "validation", "test"):
        frame = pd.read_parquet(data_root / "stsb" / f"{name}.parquet")
        if objective == "sequence_classification":
            frame["label"] = np.where(frame["label"] > 2.5, "same", "other")
        splits[name] = frame
    return own(folder, objective, {"text": "sentence1", "pair": "sentence2", "label": "label"}, **splits)


# All of them ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind", "task"), [("embedding", "bert", "emotion"), ("cosine", "gpt2", "similarity")])
def test_two_runs_leave_the_same_files_and_no_pickle(
    name: str, kind: str, task: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    for folder in (tmp_path / "first", tmp_path / "second"):
        make(make_run(backbones[kind], data_root, task, name), folder)
    kept = {path.name for path in (tmp_path / "first").glob("*.*")}
    assert kept == {"linear.safetensors", "predictions.jsonl", "result.json", "run.json"}
    for file in ("linear.safetensors", "predictions.jsonl"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


# Embedding ------------------------------------------------------------------------------------------------------------


def check_test_labels_choose_nothing(backbone: Path, data_root: Path, tmp_path: Path) -> None:
    """What a run answers, and how strong its regularisation is, does not depend on the labels of the test split."""
    kept = []
    for name, relabel in (("right", lambda frame: frame), ("one", lambda frame: frame.assign(label=0))):
        task = emotions(data_root, tmp_path / name, relabel)
        run = make_run(backbone, data_root, task, {"name": "embedding", "c": list(STRENGTHS)})
        done = make(run, tmp_path / name / "run")
        kept.append((done.summary, [row["prediction"] for row in rows_of(tmp_path / name / "run")]))
    assert kept[0] == kept[1]


def test_the_labels_of_the_test_split_choose_nothing(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    check_test_labels_choose_nothing(backbones["bert"], data_root, tmp_path)


def test_a_strength_that_is_chosen_on_the_test_split_is_noticed(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding: Any = techniques()["embedding"]
    original, load = embedding.fit, baseline.fit_baseline
    seen: list[Any] = []

    def with_test(cell: Any, entry: Baseline, examples: Any, folder: Path) -> Any:
        seen[:] = [examples.splits["test"]]
        return load(cell, entry, examples, folder)

    monkeypatch.setattr("tunebench.run.execute.fit_baseline", with_test)
    monkeypatch.setattr(embedding, "fit", lambda self, train, validation, *rest: original(self, train, seen[0], *rest))
    with pytest.raises(AssertionError):
        check_test_labels_choose_nothing(backbones["bert"], data_root, tmp_path)


def test_the_strength_is_the_best_on_the_validation_split(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    scores = {}
    for c in STRENGTHS:
        done = make(
            make_run(backbones["bert"], data_root, "emotion", {"name": "embedding", "c": [c]}), tmp_path / str(c)
        )
        scores[c] = done.metrics.validation["weighted_f1"]
    chosen = make(
        make_run(backbones["bert"], data_root, "emotion", {"name": "embedding", "c": list(STRENGTHS)}), tmp_path / "all"
    )
    assert len(set(scores.values())) > 1
    assert chosen.metrics.validation["weighted_f1"] == max(scores.values())  # type: ignore[type-var]
    assert scores[chosen.summary["c"]] == max(scores.values())  # type: ignore[type-var]


@pytest.mark.parametrize("objective", ["regression", "sequence_classification"])
@pytest.mark.parametrize("features", ["symmetric", "all"])
def test_a_pair_is_symmetric_unless_its_texts_differ_in_kind(
    features: str, objective: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    task = pairs(data_root, tmp_path / "data", objective)
    run = make_run(backbones["bert"], data_root, task, {"name": "embedding", "pair": features})
    done = make(run, tmp_path / "run")
    width = {"symmetric": 1 + 2 * 32, "all": 1 + 4 * 32}[features]
    assert done.parameters.trainable == (width + 1) * (1 if objective == "regression" else 2)


def test_any_number_of_labels_is_a_regression_for_each(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    cues = {"happy": ["joy"], "gloomy": ["sadness"], "afraid": ["fear", "sadness"], "book": []}
    frame = pd.DataFrame([{"text": f"i feel {cue}", "labels": labels} for cue, labels in cues.items()] * 6)
    splits = {"train": frame, "validation": frame, "test": frame}
    task = own(tmp_path / "data", "multi_label_classification", {"labels": "labels"}, **splits)
    done = make(make_run(backbones["bert"], data_root, task, "embedding"), tmp_path / "run")
    assert done.metrics.test["micro_f1"] == 1
    assert done.parameters.trainable == 3 * 33


def test_a_class_that_train_lacks_is_never_answered(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"text": ["i feel happy", "i feel gloomy"] * 8, "label": ["joy", "sadness"] * 8})
    splits = {"train": frame, "validation": frame, "test": frame}
    task = {**own(tmp_path / "data", "sequence_classification", {}, **splits), "labels": ["anger", "joy", "sadness"]}
    done = make(make_run(backbones["bert"], data_root, task, "embedding"), tmp_path / "run")
    assert done.metrics.test["accuracy"] == 1
    assert {row["scores"][0] for row in rows_of(tmp_path / "run")} == {0.0}


def test_the_seconds_of_the_vectors_count_and_an_answer_computes_its_own(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = Pretrained.vectors

    def slow(self: Any, texts: Any) -> Any:
        time.sleep(0.1)
        return vectors(self, texts)

    monkeypatch.setattr(Pretrained, "vectors", slow)
    cost = make(make_run(backbones["bert"], data_root, "emotion", "embedding"), tmp_path).cost
    assert cost.train_seconds >= 0.2
    assert cost.evaluation_seconds >= 0.1
    assert cost.latency_seconds is not None
    assert cost.latency_seconds >= 0.1


# Cosine ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["regression", "sequence_classification"])
def test_a_cosine_changes_its_scale_and_not_the_order_of_pairs(
    objective: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    task = pairs(data_root, tmp_path / "data", objective)
    done = make(make_run(backbones["bert"], data_root, task, "cosine"), tmp_path / "run")
    frame = pd.read_parquet(data_root / "stsb" / "test.parquet")
    model = Pretrained(families()["bert"], backbones["bert"], "mean", 64, 512, torch.device("cpu"))
    u, v = (model.vectors(list(frame[column])) for column in ("sentence1", "sentence2"))
    order = np.argsort((u * v).sum(1).round(5), kind="stable")
    rows = rows_of(tmp_path / "run")
    answers = [row["prediction"] if objective == "regression" else row["scores"][1] for row in rows]
    steps = np.diff(np.array(answers)[order])
    assert (steps >= -1e-4).all() or (steps <= 1e-4).all()
    assert done.parameters.trainable == (2 if objective == "regression" else 4)
    if objective == "regression":
        train = pd.read_parquet(data_root / "stsb" / "train.parquet")
        assert np.mean(answers) == pytest.approx(train["label"].mean(), abs=0.5)


# Zero-shot ------------------------------------------------------------------------------------------------------------


def test_a_decoders_likelihood_is_that_of_the_words_after_the_prompt(backbones: dict[str, Path]) -> None:
    folder, family = backbones["gpt2"], families()["gpt2"]
    model = Pretrained(family, folder, "mean", 32, 64, torch.device("cpu"))
    prompts, answers = ["i feel so happy today", "london"], ["happy", "new york"]
    found = model.likelihoods(prompts, answers, " is")
    network, tokenizer = family.load(folder, "causal_lm", {}).eval(), family.tokenizer(folder)
    for row, prompt in enumerate(prompts):
        for column, answer in enumerate(answers):
            before, after = (tokenizer(text)["input_ids"] for text in (prompt, f" is {answer}"))
            ids = torch.tensor([before + after])
            with torch.no_grad():
                logits = network(input_ids=ids).logits[0].log_softmax(-1)
            expected = sum(float(logits[len(before) + n - 1, token]) for n, token in enumerate(after))
            assert found[row, column] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", ["t5", "transformer"])
def test_an_encoder_decoder_without_tuning_answers_alike(
    kind: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    for name in ("zero_shot", "untuned"):
        make(make_run(backbones[kind], data_root, "emotion", name), tmp_path / name)
    first, second = (rows_of(tmp_path / name) for name in ("zero_shot", "untuned"))
    assert [row["prediction"] for row in first] == [row["prediction"] for row in second]
    assert [row["scores"] for row in first] == [pytest.approx(row["scores"], abs=1e-4) for row in second]


def test_calibrated_answers_take_away_how_likely_a_label_is_after_any_text() -> None:
    class Model:
        def likelihoods(self, prompts: list[str], answers: list[str], cue: str) -> np.ndarray:
            """`joy` is likely after any text, and a little less so after this one."""
            return np.array([[0.0, -5.0] if "classify" not in prompt else [-1.0, -5.5] for prompt in prompts])

    task = make_task("joy", "grief")
    plain, calibrated = (techniques()["zero_shot"].model_validate({"calibrated": on}) for on in (False, True))
    example = task.asked("i feel so", "")
    answers = []
    for entry in (plain, calibrated):
        assert isinstance(entry, Baseline)
        predictor = entry.fit([], [], Question(task, ("joy", "grief"), Model()), 0)  # type: ignore[arg-type]
        answers.append(predictor.predict([example])[0])
        assert predictor.parameters == 0
    assert answers == [["joy"], ["grief"]]


def make_task(*labels: str) -> Any:
    from tunebench.tasks.base import Task

    return Task.model_validate({"name": "own", "objective": "sequence_classification", "labels": labels})


def test_what_asks_the_model_without_training_is_not_the_untuned_model_of_a_report(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones["gpt2"], data_root, "emotion", "zero_shot"), tmp_path)
    assert done.parameters.trainable == 0 < done.parameters.total
    assert done.backbone is not None
    assert row_of(done, None).baseline
    assert not row_of(done, None).untuned
    assert row_of(done, done).untuned


def row_of(done: Done, counted: Done | None) -> Row:
    cell = PlannedCell(
        model="gpt2",
        family="gpt2",
        task="emotion",
        technique=done.run.technique,
        label=done.run.label,
        parameters=counted and counted.parameters,
    )
    return Row(done.run.label, cell, (RunResult(plan=done.run, result=done),))  # type: ignore[arg-type,call-arg]


def test_labels_that_leave_no_room_for_a_text_are_refused(backbones: dict[str, Path]) -> None:
    model = Pretrained(families()["gpt2"], backbones["gpt2"], "mean", 4, 64, torch.device("cpu"))
    with pytest.raises(UserError, match=r"the longest label has 5 tokens with its cue, .* max_tokens is 4\. Raise it"):
        model.likelihoods(["i feel"], ["happy", "so so so so"], " is")


def test_a_label_fills_the_gap_of_a_prompt_that_has_one() -> None:
    asked: list[Any] = []

    class Model:
        def likelihoods(self, prompts: list[str], answers: Any, cue: str) -> np.ndarray:
            asked.extend([prompts, answers])
            return np.zeros((len(prompts), len(answers)))

    task = make_task("joy", "grief").model_copy(update={"prompt": "{text} is <extra_id_0>"})
    entry = techniques()["zero_shot"]()  # type: ignore[call-arg]
    assert isinstance(entry, Baseline)
    entry.fit([], [], Question(task, ("joy", "grief"), Model()), 0).predict([task.asked("it", "")])  # type: ignore[arg-type]
    assert asked == [["it is <extra_id_0>"], ["<extra_id_0> joy", "<extra_id_0> grief"]]
