"""Mutated study files: each is read, or refused in short lines."""

import copy
import datetime
import random
from pathlib import Path
from typing import Any

import yaml

from tests.campaigns import assert_brief, doses, draws
from tunebench._util.errors import UserError, message_of
from tunebench.study import built_in_studies, read_study

OWN: dict[str, Any] = {
    "name": "own",
    "seeds": [0, 1],
    "training": {"epochs": 2, "batch_size": 8, "precision": "float32"},
    "experiments": [
        {
            "model": "google-bert/bert-base-uncased",
            "task": {
                "objective": "sequence_classification",
                "data": {"train": "a.csv", "test": "b.csv"},
                "columns": {"text": "sentence", "label": "class"},
                "labels": ["no", "yes"],
                "split": {"seed": 3},
            },
            "techniques": ["full", {"name": "lora", "rank": 4, "targets": ["query"]}, "tfidf"],
            "training": {"epochs": 1},
        },
        {
            "model": {"path": "./m", "name": "m"},
            "task": {"name": "ner", "rows": {"test": 9}},
            "techniques": [{"name": "freeze"}],
        },
    ],
}
VALUES: list[Any] = [
    None, True, 0, -1, 3, 10**30, 10**4000, 0.5, 1e-400, float("inf"), float("-inf"), float("nan"), "", " ", "x" * 5000,
    "../../../etc", "~nobody/x", "/", "a\0b", "\ud800", "\x1b[31m\u202e", "2e-5", "no", [], {}, [[]], [None],
    {"name": None}, {1: 2}, {None: None}, {"x": {"y": 1}}, datetime.date(2024, 1, 1), b"\xff", {"a"},
    datetime.datetime(2024, 1, 1), "emotion", "lora", "full", ["full", "full"], 2**63, "\n", "@", [0] * 300,
]  # fmt: skip
TEXTS = [
    "a: &a [*a]", "a: &a {b: *a}", "2024-13-45", "1e999", "!!python/object:os.system x", "'", "\t", "- ", ": :", "?",
    "[" * 300, "{" * 300 + "a", "&a", "*b", "%", "0x" + "f" * 6000, "1" * 6000, "!!timestamp 1", "!!int x", "\ufeff",
    "<<: 1",
    "&a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d]",
    "!!binary ====", "!!set {a, b}", "!!omap [a: 1]", "12:30:45", "---", "...", "=", "0o9", "_1", "1_000", "!!float x",
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a document has values."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in items for place in places(item, (*at, key)))]


def mutated(document: Any, draw: random.Random) -> Any:
    """The document with another value, without one, or with one more, in one of its places."""
    changed = copy.deepcopy(document)
    place = draw.choice([place for place in places(changed) if place])
    inside = changed
    for key in place[:-1]:
        inside = inside[key]
    way = draw.choice(["value", "value", "value", "without", "key", "wrapped"])
    if way == "without":
        del inside[place[-1]]
    elif way == "key" and isinstance(inside, dict):
        inside[draw.choice(["nam", "x" * 5000, 7, None, "\x1b[2J", "model", 2.5])] = draw.choice(VALUES)
    elif way == "wrapped":
        inside[place[-1]] = draw.choice([[inside[place[-1]]], {"name": inside[place[-1]]}])
    else:
        inside[place[-1]] = copy.deepcopy(draw.choice(VALUES))
    return changed


def written(draw: random.Random) -> bytes:
    """A mutated study as a file's content."""
    document = copy.deepcopy(draw.choice([OWN, OWN, *map(yaml.safe_load, built_in_studies().values())]))
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if places(document)[1:]:
            document = mutated(document, draw)
    text = yaml.dump(document, allow_unicode=draw.random() < 0.5)
    if draw.random() < 0.25:
        lines = text.split("\n")
        at = draw.randrange(len(lines))
        lines[at] = draw.choice(["", lines[at].partition(":")[0] + ": "]) + draw.choice(TEXTS)
        text = "\n".join(lines)
    content = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.05:
        at = draw.randrange(len(content))
        content = content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]
    return content


@doses(60, 2_000)
def test_a_mutated_study_is_read_or_refused_in_short_lines(dose: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    ends = {"read": 0, "refused": 0}
    for draw in draws(dose):
        path.write_bytes(written(draw))
        try:
            study, _ = read_study(str(path))
            runs = study.runs()
            study.places({}, None)
            assert all(len(run.id) < 256 and "/" not in run.id for run in runs)
            assert all(run.model_dump_json() for run in runs)
            ends["read"] += 1
        except UserError as error:
            assert_brief(message_of(error))
            ends["refused"] += 1
    assert ends["refused"] > dose / 3
    assert ends["read"]


def test_the_examples_that_are_mutated_are_studies(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.dump(OWN))
    assert len(read_study(str(path))[0].runs()) == 8
