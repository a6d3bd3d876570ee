"""Mistakes in the data are detected, and sound data raise nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.contracts.runs import make, make_run
from tunebench.tasks import tasks
from tunebench.tasks.examples import PromptExample, TextExample
from tunebench.tasks.leakage import Overlap, overlap
from tunebench.tasks.load import Data, load
from tunebench.tasks.problems import problems

LABELS = ("bad", "good")
NOTHING = Overlap((), (), 0, None)


def looked(train: list[Any], test: list[Any], problem: str = "sequence_classification") -> Overlap:
    kind: Any = problems()[problem]
    data = Data({"train": train, "validation": train[:1], "test": test}, LABELS, "here", ())
    return overlap(kind(name="own"), data)


def texts(*rows: tuple[str, int]) -> list[Any]:
    return [TextExample(text, label) for text, label in rows]


def test_sound_data_raises_nothing() -> None:
    train, test = texts(("i liked it", 1), ("a bore", 0)), texts(("what a film", 1), ("never again", 0))
    assert looked(train, test) == NOTHING


def test_test_inputs_in_train_are_counted_even_with_other_case_and_punctuation() -> None:
    train = texts(("I liked it.", 1), ("a bore", 0))
    leaks = looked(train, texts(("I liked it.", 1), ("i LIKED it!", 1), ("liked it i", 1), ("new", 0)))
    assert (leaks.exact, leaks.near) == ((0,), (1,))
    ((code, message),) = leaks.sentences(4)
    assert code == "test_in_train"
    assert message.startswith("1 of 4 test inputs also occur in the training split, and 1 more")


def test_a_pair_is_the_same_only_where_both_texts_are() -> None:
    test = [TextExample("a", 1.0, "c"), TextExample("b", 1.0, "a")]
    assert looked([TextExample("a", 1.0, "b")], test, "regression") == NOTHING


def test_contradictory_labels_are_counted_and_several_scores_or_answers_are_none() -> None:
    assert looked(texts(("so", 1), ("so", 0), ("so", 1), ("other", 1)), texts(("new", 1))).contradictory == 3
    assert looked(texts(("so", 1), ("so", 1)), texts(("new", 1))).contradictory == 0
    scored = [TextExample("a", 1.0, "b"), TextExample("a", 2.0, "b")]
    assert looked(scored, [TextExample("c", 1.0, "d")], "regression").contradictory == 0
    answered = [PromptExample("say", "yes"), PromptExample("say", "no")]
    assert looked(answered, [PromptExample("new", "no")], "causal_lm").contradictory == 0


def test_a_label_that_the_input_contains_is_reported() -> None:
    train = texts(("x", 0), ("y", 1))
    revealed = texts(*((f"review {n}, Good!", 1) for n in range(10)), *((f"review {n} bad", 0) for n in range(10)))
    assert looked(train, revealed).revealing == 1.0
    mixed = texts(*((f"good or bad {n}", n % 2) for n in range(20)))
    assert looked(train, mixed).revealing is None


def test_a_run_is_scored_with_and_without_them(backbones: dict[str, Path], tmp_path: Path) -> None:
    rows = [
        f"i feel {word} {n},{label}" for n in range(20) for word, label in (("happy", "joy"), ("gloomy", "sadness"))
    ]
    new = [f"so {word} {n},{label}" for n in range(6) for word, label in (("happy", "joy"), ("gloomy", "sadness"))]
    for split, lines in (("train", rows), ("validation", new), ("test", [*new, *rows[:8]])):
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *lines]))
    task = {
        "objective": "sequence_classification",
        "data": {s: str(tmp_path / f"{s}.csv") for s in ("train", "validation", "test")},
    }
    done = make(make_run(backbones["bert"], tmp_path, task, "tfidf"), tmp_path / "run")
    assert set(done.metrics.test_without_overlap) == set(done.metrics.test)
    first, second = [n.message for n in done.notices if n.code == "test_in_train"]
    assert first.startswith("8 of 20 test inputs")
    assert f"{done.metrics.test_without_overlap['macro_f1']:.4f} without them" in second


@pytest.mark.real
def test_the_known_contradictions_of_real_data_are_found(real_data: Path) -> None:
    assert overlap(tasks()["emotion"], load(tasks()["emotion"], real_data)).contradictory == 60


@pytest.mark.real
@pytest.mark.full
def test_the_known_overlaps_of_real_data_are_found(real_data: Path) -> None:
    leaks = overlap(tasks()["sentiment"], load(tasks()["sentiment"], real_data))
    assert 100 <= len(leaks.exact) <= 123  # of 123 in train, some are carved out of it for validation
