"""What holds for every objective: encoding then decoding gold gives gold, and micro-batches add up."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.contracts.runs import CELLS, TASKS
from tunebench.engine.sources import TokenSource
from tunebench.engine.train import _micro_batches
from tunebench.families import families
from tunebench.objectives import objectives
from tunebench.objectives.base import IGNORED
from tunebench.tasks import load as data
from tunebench.tasks import tasks
from tunebench.tasks.problems.token_classification import TokensExample
from tunebench.zoo.checkpoints import find


def test_the_folder_holds_the_objectives_that_are_promised() -> None:
    assert sorted(objectives()) == [
        "causal_lm",
        "multi_label_classification",
        "question_answering",
        "regression",
        "sequence_classification",
        "text_to_text",
        "token_classification",
    ]


def posed(task: str, backbone: Path, data_root: Path, **options: Any) -> Any:
    record = tasks()[task]
    examples = data.load(record, data_root)
    family = find(str(backbone)).family
    name = record.objective_of(family.auto_classes)
    limit = options.pop("max_tokens", 64)
    changed = record.model_copy(update=options)
    objective = objectives()[str(name)](changed, examples.labels, family.tokenizer(backbone), max_tokens=limit)
    return objective, examples


@pytest.mark.parametrize("task", TASKS)
def test_decoding_the_gold_logits_gives_gold(task: str, backbones: dict[str, Path], data_root: Path) -> None:
    objective, examples = posed(task, backbones["bert"], data_root)
    gold = examples.splits["test"]
    features = objective.encode(gold)
    indices = [5, 0, 17]
    labels = objective.collate(features, indices)["labels"]
    if objective.name == "regression":
        logits = labels[:, None]
    else:
        logits = torch.nn.functional.one_hot(labels.clamp(min=0), len(examples.labels)).float() * 9
    predictions, _ = objective.decode(logits, features, indices)
    references = objective.task.references([gold[index] for index in indices], examples.labels)
    assert predictions == (pytest.approx(references) if objective.name == "regression" else references)


def gradient(objective: Any, features: Any, model: Any, micro_batch_size: int | None) -> torch.Tensor:
    model.zero_grad()
    training: Any = SimpleNamespace(source=TokenSource(objective, features, torch.device("cpu")), objective=objective)
    for batch, weight in _micro_batches(training, list(range(8)), micro_batch_size):
        (model(**batch).loss * weight).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize(("kind", "task"), CELLS)
def test_micro_batches_have_the_gradient_of_the_large_batch(
    kind: str, task: str, backbones: dict[str, Path], data_root: Path
) -> None:
    objective, examples = posed(task, backbones[kind], data_root)
    features = objective.encode(examples.splits["train"])
    head = objectives()[objective.name].head(examples.labels)
    model = families()[kind].load(backbones[kind], objective.name, head).eval()
    whole = gradient(objective, features, model, None)
    assert whole.abs().max() > 0.01
    torch.testing.assert_close(gradient(objective, features, model, 3), whole, rtol=1e-4, atol=1e-6)


def test_a_words_label_stands_on_all_its_sub_words_or_on_the_first(backbones: dict[str, Path], data_root: Path) -> None:
    example = TokensExample(("peter", "smithson", "won"), (1, 2, 0))
    for where, expected in (("all", [1, 2, 2, 0]), ("first", [1, 2, IGNORED, 0])):
        objective, _ = posed("ner", backbones["bert"], data_root, label_subwords=where)
        features = objective.encode([example])
        assert features.labels[0] == [IGNORED, *expected, IGNORED]
        assert features.words[0] == [1, 2, 4]


def test_a_word_that_was_cut_off_is_predicted_outside_and_counted(backbones: dict[str, Path], data_root: Path) -> None:
    objective, examples = posed("ner", backbones["bert"], data_root, max_tokens=8)
    long = TokensExample(("john",) * 10, (1,) * 10)
    features = objective.encode([long, TokensExample(("john",), (1,))])
    assert features.truncated == {"words": 4, "sentences": 1}
    logits = torch.zeros(1, 8, len(examples.labels))
    logits[..., 1] = 9
    predictions, scores = objective.decode(logits, features, [0])
    assert predictions == [["B-PER"] * 6 + ["O"] * 4]
    assert scores[0][6:] == [None] * 4


def test_texts_that_were_cut_are_counted_and_texts_that_fit_exactly_are_not(
    backbones: dict[str, Path], data_root: Path
) -> None:
    from tunebench.tasks.examples import TextExample

    objective, _ = posed("emotion", backbones["bert"], data_root, max_tokens=8)
    fits, too_long = TextExample("i feel so happy today the", 0), TextExample("i feel so happy today the man", 0)
    features = objective.encode([fits, too_long])
    assert features.lengths == [8, 8]
    assert features.truncated == {"texts": 1}


def test_padding_stands_on_the_right_and_is_masked(backbones: dict[str, Path], data_root: Path) -> None:
    objective, examples = posed("ner", backbones["bert"], data_root)
    features = objective.encode(examples.splits["train"])
    short = min(range(len(features)), key=lambda index: features.lengths[index])
    long = max(range(len(features)), key=lambda index: features.lengths[index])
    batch = objective.collate(features, [short, long])
    width = features.lengths[short]
    assert batch["attention_mask"][0].tolist() == [1] * width + [0] * (features.lengths[long] - width)
    assert (batch["labels"][0, width:] == IGNORED).all()
