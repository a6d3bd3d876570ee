"""The playground: a text of one's own, answered by every finished technique."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.testclient import TestClient

from tests.contracts.runs import make, make_run
from tests.records import SCRIPT
from tunebench._util.errors import UserError
from tunebench.engine import weights
from tunebench.records import PlannedRun
from tunebench.serve.finished import FinishedRun
from tunebench.serve.http import refused
from tunebench.serve.playground.answers import shown
from tunebench.serve.playground.routes import ShelfRespondents, routes
from tunebench.serve.playground.shelf import Shelf
from tunebench.watch.desk import Desk

CELLS = (("emotion", "tfidf"), ("emotion", "classifier_head"), ("ner", "tfidf"), ("similarity", "untuned"))


@pytest.fixture(scope="module")
def made(backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder with four finished runs."""
    out = tmp_path_factory.mktemp("playground")
    planned: list[PlannedRun] = []
    for task, technique in CELLS:
        run = make_run(backbones["bert"], data_root, task, technique, epochs=1)
        make(run, out / "runs" / run.id)
        planned.append(run.planned("bert"))
    runs = [run.model_dump() for run in planned]
    plan = {"schema": 2, "study": "mine", "command": "tunebench run a.yaml", "runs": runs, "cells": []}
    (out / "plan.json").write_text(json.dumps(plan))
    return out


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(room=2)


@pytest.fixture
def client(made: Path, shelf: Shelf) -> Iterator[TestClient]:
    found = Desk([made]).contestants()
    app = Starlette(
        routes=[Mount("/playground", routes=routes(lambda: found, ShelfRespondents(shelf)))],
        exception_handlers={HTTPException: refused},
    )
    with TestClient(app) as client:
        yield client


def runs(client: TestClient) -> dict[tuple[str, str], dict[str, Any]]:
    listed = client.get("/playground/runs").json()["runs"]
    return {(one["cell"].partition(" ")[0], one["title"].partition(",")[0]): one for one in listed}


def asked(client: TestClient, task: str, title: str, text: str, pair: str | None = None) -> Any:
    key = runs(client)[task, title]["key"]
    return client.post("/playground/answer", json={"run": key, "text": text, "pair": pair})


def test_every_finished_run_is_listed_with_what_it_takes(client: TestClient) -> None:
    listed = runs(client)
    assert sorted(listed) == sorted(CELLS)
    assert listed["emotion", "tfidf"]["second"] is None
    assert listed["similarity", "untuned"]["second"] == "pair"
    assert [one["attends"] for one in listed.values()] == [False, True, False, True]


def test_labels_come_with_their_scores_and_the_time_that_the_answer_took(client: TestClient, made: Path) -> None:
    first = asked(client, "emotion", "tfidf", "i feel so happy today").json()
    assert first["answer"] == "joy"
    assert first["ranked"][0][0] == "joy"
    assert sum(share for _, share in first["ranked"]) == pytest.approx(1)
    assert first["seconds"] > 0
    assert first["loaded"] > 0
    assert asked(client, "emotion", "tfidf", "i feel so happy today").json()["loaded"] is None, "it was loaded once"


def test_entities_are_marked_in_a_text_as_people_write_it(client: TestClient) -> None:
    answer = asked(client, "ner", "tfidf", "John Johnson visited London.").json()
    assert "".join(piece.replace(" ", "") for piece, _ in answer["marked"]).lower() == "johnjohnsonvisitedlondon."
    assert answer["answer"] in ("no entity", "1 entity", *(f"{n} entities" for n in range(2, 6)))


def test_a_pair_is_asked_for_where_the_task_takes_two(client: TestClient) -> None:
    refusal = asked(client, "similarity", "untuned", "a man is playing", " ")
    assert (refusal.status_code, refusal.json()) == (
        400,
        {"error": "The second text is empty. Type at least one word."},
    )
    assert float(asked(client, "similarity", "untuned", "a man is playing", "a man is eating").json()["answer"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" \n", "The text is empty. Type at least one word."),
        ("x" * 20_001, "A text has 20,001 characters. Type at most 20,000."),
        (7, "'text' is no text: 7."),
        (None, "The text is empty. Type at least one word."),
    ],
)
def test_bad_input_is_one_sentence(text: Any, sentence: str, client: TestClient) -> None:
    refusal = asked(client, "emotion", "tfidf", text)
    assert (refusal.status_code, refusal.json()) == (400, {"error": sentence})


def test_an_unknown_run_opens_no_path(client: TestClient) -> None:
    for key in ("../../etc", "", "9/9", "/etc/passwd"):
        refusal = client.post("/playground/answer", json={"run": key, "text": "a"})
        assert (refusal.status_code, refusal.json()["error"]) == (
            404,
            "There is no such run any more. Reload the page.",
        )


def test_hostile_texts_come_back_as_text(client: TestClient) -> None:
    answer = asked(client, "ner", "tfidf", SCRIPT + " \u202e")
    assert answer.headers["content-type"] == "application/json"
    assert "\u202e" not in answer.text.encode().decode("unicode_escape")


def test_few_runs_stay_in_memory_and_each_is_loaded_once(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, loaded = Shelf(room=2), list[Path]()
    real = FinishedRun.load
    monkeypatch.setattr(FinishedRun, "load", lambda path, models=None: (loaded.append(path), real(path, models))[1])
    one, two, three = [path for path in (made / "runs").iterdir() if "similarity" not in path.name]
    for folder in (one, two, one, one, three, one, two):
        shelf.answer(folder, "i feel happy", None)
    assert loaded == [one, two, three, two]
    assert shelf.held == [one, two]


def test_attention_is_a_page_of_its_own_and_a_baseline_has_none(client: TestClient) -> None:
    listed = runs(client)
    content = {"run": listed["emotion", "classifier_head"]["key"], "text": f"i feel happy {SCRIPT}"}
    address = client.post("/playground/attention", json=content).json()["page"]
    page = client.get(address)
    assert "<h1>Attention</h1>" in page.text
    assert SCRIPT not in page.text
    assert page.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert client.get("/playground/attention/99").json()["error"].startswith("This page is not kept any more.")
    refusal = client.post("/playground/attention", json={**content, "run": listed["emotion", "tfidf"]["key"]})
    assert refusal.status_code == 400
    assert "is a baseline and has no attention" in refusal.json()["error"]


def test_a_damaged_run_is_one_sentence(made: Path, tmp_path: Path) -> None:
    (folder,) = (path for path in (made / "runs").iterdir() if "classifier_head" in path.name)
    copied = shutil.copytree(folder, tmp_path / "run")
    (copied / weights.BEST).write_bytes(b"no")
    shelf = Shelf()
    with pytest.raises(UserError, match="it is damaged or missing"):
        shelf.answer(copied, "i feel happy", None)
    assert shelf.held == []


@pytest.mark.parametrize(
    ("content", "pair", "answer", "marked"),
    [
        ({"label": "joy", "scores": {"joy": 0.9, "fear": 0.1}}, None, "joy", []),
        ({"labels": [], "scores": {"a": 0.1}}, None, "no label", []),
        ({"labels": ["a", "b"], "scores": {"text": "a, b"}}, None, "a, b", []),
        ({"score": 0.5}, "x", "0.5000", []),
        ({"score": None}, "x", "undefined", []),
        ({"response": "", "ended": True}, None, "(an empty text)", []),
        ({"answer": "in Rome"}, "He was in Rome.", "in Rome", [("He was ", None), ("in Rome", "answer"), (".", None)]),
        ({"answer": "nowhere"}, "He was in Rome.", "nowhere", []),
        ({"answer": ""}, "He was in Rome.", "(an empty text)", []),
        (
            {"tokens": ["a", "b", "c", "d"], "tags": ["O", "B-PER", "I-PER", "B-LOC"], "scores": []},
            None,
            "2 entities",
            [("a", None), ("b c", "PER"), ("d", "LOC")],
        ),
        ({"tokens": ["a"], "tags": ["O"], "scores": []}, None, "no entity", [("a", None)]),
    ],
)
def test_every_kind_of_answer_has_its_form(content: Any, pair: str | None, answer: str, marked: Any) -> None:
    made = shown(content, pair)
    assert (made["answer"], [tuple(piece) for piece in made["marked"]]) == (answer, marked)


def test_of_several_seeds_of_a_technique_the_one_that_is_best_on_validation_answers(made: Path, tmp_path: Path) -> None:
    out = shutil.copytree(made, tmp_path / "out")
    plan = json.loads((out / "plan.json").read_text())
    (first,) = (run for run in plan["runs"] if (run["task"], run["technique"]) == ("emotion", "tfidf"))
    second = {**first, "id": first["id"] + "-again", "seed": 1}
    folder = shutil.copytree(out / "runs" / first["id"], out / "runs" / second["id"])
    result = json.loads((folder / "result.json").read_text())
    result["run"] |= {"id": second["id"], "seed": 1}
    result["metrics"]["validation"] = dict.fromkeys(result["metrics"]["validation"], 1.1)
    (folder / "result.json").write_text(json.dumps(result))
    (out / "plan.json").write_text(json.dumps({**plan, "runs": [*plan["runs"], second]}))
    found = [one.folder.name for one in Desk([out]).contestants() if "emotion--tfidf" in one.key]
    assert found == [second["id"]]
