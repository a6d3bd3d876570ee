"""Rare classes and hard examples may count more in the loss: as torch counts them, in micro-batches, and in a run."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.contracts.runs import make, make_run
from tests.contracts.test_objectives import posed
from tunebench._util.errors import UserError
from tunebench.engine.sources import TokenSource
from tunebench.engine.train import _micro_batches
from tunebench.families import families
from tunebench.objectives import objectives
from tunebench.study import Study
from tunebench.study.document import read_study
from tunebench.tasks.base import Task
from tunebench.tasks.load import load

RARE = [("i feel happy today", "joy")] * 6 + [("i feel gloomy today", "sadness")] * 2 + [("i am afraid", "fear")]
WEIGHTS = {"sadness": 0.5, "joy": 1.0, "fear": 4.0}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


@pytest.fixture
def rare(tmp_path: Path) -> dict[str, Any]:
    data = write(tmp_path / "rare.jsonl", [{"text": text, "label": label} for text, label in RARE])
    return {"name": "own", "objective": "sequence_classification", "data": dict.fromkeys(("train", "test"), data)}


# The loss -------------------------------------------------------------------------------------------------------------


def weighing(form: str, weights: Sequence[float] | None, gamma: float = 0.0) -> Any:
    cls: Any = objectives()[form]
    made = object.__new__(cls)
    made.weights = None if weights is None else torch.tensor(weights)
    made.focal_gamma = gamma
    return made


def test_weighted_classes_have_the_loss_of_torchs_own_weighted_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(7, 5, 4), torch.randint(0, 4, (7, 5)), torch.tensor([0.5, 1.0, 3.0, 9.0])
    labels[:, -2:] = -100
    expected = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), weights)
    loss = weighing("token_classification", weights.tolist()).loss_of(logits, labels)
    torch.testing.assert_close(loss, expected)
    expected = functional.cross_entropy(logits[:, 0], labels[:, 0], weights)
    torch.testing.assert_close(
        weighing("sequence_classification", weights.tolist()).loss_of(logits[:, 0], labels[:, 0]), expected
    )


def test_weighted_labels_have_the_loss_of_torchs_binary_cross_entropy_with_positive_weights() -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(7, 4), torch.randint(0, 2, (7, 4)).float(), torch.tensor([0.5, 1.0, 3.0, 9.0])
    expected = functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights)
    loss = weighing("multi_label_classification", weights.tolist()).loss_of(logits, labels)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_focal_loss_is_that_of_its_formula_and_has_a_slope_where_an_answer_is_certain(gamma: float) -> None:
    logits, labels = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [90.0, 0.0, 0.0]]), torch.tensor([0, 0, 0])
    right = logits.softmax(-1)[:, 0]
    expected = (-((1 - right) ** gamma) * right.log()).mean()
    logits.requires_grad_()
    loss = weighing("sequence_classification", None, gamma).loss_of(logits, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    yes = torch.tensor([[0.3], [-2.0]])
    chance = torch.stack([yes[0].sigmoid(), 1 - yes[1].sigmoid()])
    torch.testing.assert_close(
        weighing("multi_label_classification", None, gamma).loss_of(yes, torch.tensor([[1.0], [0.0]])),
        (-((1 - chance) ** gamma) * chance.log()).mean(),
    )


def gradient(objective: Any, features: Any, model: Any, micro_batch_size: int | None) -> torch.Tensor:
    model.zero_grad()
    training: Any = SimpleNamespace(source=TokenSource(objective, features, torch.device("cpu")), objective=objective)
    for batch, weight in _micro_batches(training, list(range(8)), micro_batch_size):
        (objective.loss(model, batch) * weight).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("task", ["emotion", "ner"])
def test_micro_batches_of_a_weighed_loss_have_the_gradient_of_the_large_batch(
    task: str, backbones: dict[str, Path], data_root: Path
) -> None:
    objective, examples = posed(task, backbones["bert"], data_root, class_weights="balanced", focal_gamma=1.0)
    objective.weigh(examples.splits["train"][:40])
    assert len(set(objective.weighed.values())) > 1
    features = objective.encode(examples.splits["train"])
    head = objectives()[objective.name].head(examples.labels)
    model = families()["bert"].load(backbones["bert"], objective.name, head).eval()
    whole = gradient(objective, features, model, None)
    assert whole.abs().max() > 0.001
    torch.testing.assert_close(gradient(objective, features, model, 3), whole, rtol=1e-4, atol=1e-6)
    objective.weights, objective.focal_gamma = None, 0.0
    torch.testing.assert_close(
        gradient(objective, features, model, None), gradient_of_model(objective, features, model)
    )


def gradient_of_model(objective: Any, features: Any, model: Any) -> torch.Tensor:
    """That of the model's own loss."""
    model.zero_grad()
    model(**objective.collate(features, range(8))).loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


# Weights --------------------------------------------------------------------------------------------------------------


def test_balanced_weights_are_those_of_scikit_learn(rare: dict[str, Any]) -> None:
    import numpy as np
    from sklearn.utils.class_weight import compute_class_weight

    task: Any = Task.model_validate({**rare, "class_weights": "balanced"})
    data = load(task)
    labels = np.array([example.label for example in data.splits["train"]])  # type: ignore[attr-defined]
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    assert task.weights(data.splits["train"], data.labels) == pytest.approx(expected)
    assert task.weights(data.splits["train"], (*data.labels, "never"))[-1] == 1.0


def test_a_label_that_may_apply_beside_others_is_balanced_by_the_texts_without_it(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "labels": (["a"] if n < 2 else []) + ["all"]} for n in range(8)]
    data = write(tmp_path / "rows.jsonl", rows)
    fields = {"name": "own", "objective": "multi_label_classification", "data": dict.fromkeys(("train", "test"), data)}
    task: Any = Task.model_validate({**fields, "split": {"validation": 0.01}, "class_weights": "balanced"})
    assert task.weights(load(task).splits["test"], ("a", "all")) == (3.0, 1.0)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"class_weights": "equal"}, "'equal' gives no class a weight. Write balanced, or {LABEL: NUMBER}."),
        ({"class_weights": {}}, "{} gives no class a weight. Write balanced, or {LABEL: NUMBER}."),
        ({"class_weights": {"joy": 0}}, "the weight 0 of 'joy' is no number above 0. 1 leaves a class as it is."),
        ({"class_weights": {"joy": "2"}}, "the weight '2' of 'joy' is no number above 0. 1 leaves a class as it is."),
        ({"focal_gamma": -1}, "it should be greater than or equal to 0, not -1."),
    ],
)
def test_what_is_no_weight_is_refused_in_one_line(
    fields: dict[str, Any], sentence: str, rare: dict[str, Any], tmp_path: Path
) -> None:
    content = {"name": "x", "experiments": [{"model": "m", "task": {**rare, **fields}, "techniques": ["full"]}]}
    (tmp_path / "study.yaml").write_text(json.dumps(content))
    with pytest.raises(UserError) as refused:
        read_study(str(tmp_path / "study.yaml"))
    (line,) = str(refused.value).splitlines()
    assert line.endswith(f"task.{next(iter(fields))}: {sentence}")


def test_a_weight_of_a_label_that_the_data_lack_is_refused(rare: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"class_weights: there is no label 'joi'\. Did you mean 'joy'\?"):
        load(Task.model_validate({**rare, "class_weights": {"joi": 2}}))


def test_a_label_is_named_as_data_files_write_it(rare: dict[str, Any]) -> None:
    task: Any = Task.model_validate({**rare, "class_weights": {2: 2, True: 3}})
    assert task.class_weights == {"2": 2.0, "true": 3.0}


# Runs -----------------------------------------------------------------------------------------------------------------


def runs_of(task: dict[str, Any]) -> list[Any]:
    experiments = [
        {"model": "m", "task": {**task, **more}, "techniques": ["full"]}
        for more in ({}, {"class_weights": "balanced"}, {"focal_gamma": 2}, {"class_weights": {"joy": 2}})
    ]
    return Study.model_validate({"name": "x", "experiments": experiments}).runs()


def test_weights_make_another_run_with_a_name_of_its_own_and_none_leave_ids_as_they_were(rare: dict[str, Any]) -> None:
    runs = runs_of(rare)
    assert len({run.id for run in runs}) == 4
    assert [run.label for run in runs] == [
        "full",
        "full class_weights=balanced",
        "full focal_gamma=2",
        "full class_weights=joy:2",
    ]
    assert runs[0].id == runs_of({**rare, "class_weights": None, "focal_gamma": 0})[0].id
    assert "class_weights" not in runs[0].info("bert").task_settings
    assert runs[1].info("bert").task_settings["class_weights"] == "balanced"


def test_a_run_trains_on_weighed_classes_and_says_so(
    rare: dict[str, Any], backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    plain = make(make_run(backbones["bert"], data_root, rare, "full", epochs=1), tmp_path / "plain")
    fields = {**rare, "class_weights": "balanced", "focal_gamma": 2}
    done = make(make_run(backbones["bert"], data_root, fields, "full", epochs=1), tmp_path / "weighed")
    assert done.history[0].train_loss != plain.history[0].train_loss
    assert plain.summary == {}
    weights = done.summary["class_weights"]
    assert weights["fear"] > weights["sadness"] > weights["joy"]
    (notice,) = [notice.message for notice in done.notices if notice.code == "loss"]
    assert notice == (
        f"Classes count from {weights['joy']:.3g} (joy) to {weights['fear']:.3g} (fear) in the loss. "
        "The loss is the focal loss with gamma 2."
    )


def test_the_classical_baseline_weighs_classes_and_says_that_it_has_no_focal_loss(
    rare: dict[str, Any], backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    def scores(**fields: Any) -> tuple[dict[str, float], list[str]]:
        folder = tmp_path / "-".join(fields) / "run"
        done = make(make_run(backbones["bert"], data_root, {**rare, **fields}, "tfidf"), folder)
        row = json.loads((folder / "predictions.jsonl").read_text("utf-8").splitlines()[0])
        return row["scores"], [notice.message for notice in done.notices if notice.code == "loss"]

    plain, silent = scores()
    weighed, told = scores(class_weights={"fear": 50}, focal_gamma=1)
    assert (silent, told) == ([], ["focal_gamma is ignored: a linear model has no focal loss here."])
    assert weighed[0] > plain[0]  # fear, the first label


def test_a_model_that_writes_its_answers_says_that_it_ignores_weights(
    rare: dict[str, Any], backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    fields = {**rare, "class_weights": "balanced"}
    done = make(make_run(backbones["t5"], data_root, fields, "full", epochs=1), tmp_path)
    assert [notice.message for notice in done.notices if notice.code == "loss"] == [
        "class_weights is ignored: a model that writes its answers learns words, not classes."
    ]
