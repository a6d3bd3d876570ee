"""Texts of which a tokenizer keeps nothing are counted, and end neither in NaN nor in a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.runs import make, make_run
from tests.tiny import make_backbone
from tunebench._util.errors import UserError

INVISIBLE = "\u200b"
"""A zero-width space, which BERT's normaliser drops."""


def rows(objective: str, blank: str, share: int) -> list[dict[str, Any]]:
    """24 examples, every `share`-th without a visible text."""
    texts = [blank if n % share == 0 else f"some words {n}" for n in range(24)]
    if objective == "token_classification":
        return [
            {"tokens": text.split() or [text or "\u200b"], "tags": ["O"] * (len(text.split()) or 1)} for text in texts
        ]
    return [{"text": text, "label": "ab"[n % 2]} for n, text in enumerate(texts)]


def task(folder: Path, objective: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    if objective == "token_classification":
        content = [
            {**row, "tags": ["B-X", *row["tags"][1:]] if n % 3 == 1 else row["tags"]} for n, row in enumerate(content)
        ]
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in content), "utf-8")
    return {"objective": objective, "data": dict.fromkeys(("train", "validation", "test"), str(path))}


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize("objective", ["sequence_classification", "token_classification"])
@pytest.mark.parametrize("technique", ["full", "classifier_head"])
def test_blank_inputs_are_counted_and_answered(kind: str, objective: str, technique: str, tmp_path: Path) -> None:
    blank = "" if objective == "sequence_classification" else INVISIBLE
    content = rows(objective, blank, 4)
    model = make_backbone(tmp_path / "model", kind)
    run = make_run(model, tmp_path, task(tmp_path, objective, content), technique, batch_size=2)
    done = make(run, tmp_path / "run")

    (message,) = [notice.message for notice in done.notices if notice.code == "blank"]
    assert "6 train, 6 validation, 6 test" in message
    assert ("6 of the training inputs have no label" in message) == (objective == "token_classification")
    answers = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert len(answers) == 24  # none is left out of a score


def test_nothing_but_blank_texts_is_refused(tmp_path: Path) -> None:
    content = rows("token_classification", INVISIBLE, 1)
    run = make_run(make_backbone(tmp_path / "model"), tmp_path, task(tmp_path, "token_classification", content), "full")

    with pytest.raises(UserError, match="the tokenizer keeps nothing of any training text"):
        make(run, tmp_path / "run")


def test_words_without_a_token_are_counted_and_answered_o(tmp_path: Path) -> None:
    content = [{"tokens": ["some", INVISIBLE, f"w{n}"], "tags": ["B-X", "O", "O"]} for n in range(24)]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in content), "utf-8")
    own = {"objective": "token_classification", "data": dict.fromkeys(("train", "validation", "test"), str(path))}
    done = make(make_run(make_backbone(tmp_path / "model"), tmp_path, own, "full"), tmp_path / "run")

    assert [notice.message for notice in done.notices if notice.code == "unseen_words"] == [
        "The tokenizer keeps nothing of some words, so they have no loss and their answer is O: "
        "24 train, 24 validation, 24 test."
    ]
    answers = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert all(row["prediction"][1] == "O" and len(row["prediction"]) == 3 for row in answers)
