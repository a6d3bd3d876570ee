"""Finished runs over HTTP."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.contracts.runs import make, make_run
from tunebench._util.errors import UserError
from tunebench.cli.commands.serve import named_runs
from tunebench.serve.answering import AnsweringThread, BatchLimits
from tunebench.serve.api.access import Access
from tunebench.serve.api.app import Api, ApiLimits
from tunebench.serve.api.metrics import Metrics
from tunebench.serve.api.models import Models
from tunebench.serve.api.server import address_of, backbones_here, bound
from tunebench.serve.finished import FinishedRun

LOCAL = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def runs(backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three finished runs: head, tags and pair."""
    out = tmp_path_factory.mktemp("runs")
    for name, task, technique in (
        ("head", "emotion", "classifier_head"),
        ("tags", "ner", "classifier_head"),
        ("pair", "similarity", "untuned"),
    ):
        make(make_run(backbones["bert"], data_root, task, technique, epochs=1), out / name)
    return out


class Server:
    """A server in this process."""

    def __init__(self, runs: Path, token: str | None = None, **limits: Any):
        self.models = Models(backbones_here(), {}, allowed=runs)
        for name in ("head", "tags", "pair"):
            self.models.add(name, runs / name)
        metrics = Metrics()
        self.answering = AnsweringThread(BatchLimits(), metrics.batch)
        self.api = Api(self.models, self.answering, metrics, ApiLimits(**limits))
        self.client = TestClient(Access(self.api.application(), token, local=True), base_url=LOCAL)

    def ask(self, model: str, *inputs: Any) -> Any:
        return self.client.post("/predict", json={"model": model, "inputs": list(inputs)})


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[Server]:
    """One for all tests that leave it as it was."""
    server = Server(runs)
    with server.client:
        yield server


def test_answers_are_those_of_predict(server: Server, runs: Path) -> None:
    texts = ["i feel so happy", "gloomy"]
    response = server.ask("head", *texts)
    assert response.status_code == 200
    assert response.json() == {"model": "head", "answers": FinishedRun.load(runs / "head").predict(texts)}


def test_a_second_text_is_given_as_pair(server: Server, runs: Path) -> None:
    (answer,) = server.ask("pair", {"text": "a man is playing", "pair": "a dog is never reading"}).json()["answers"]
    assert [answer] == FinishedRun.load(runs / "pair").predict(["a man is playing"], ["a dog is never reading"])


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"model": "hed", "inputs": ["a"]}, 404, "model 'hed': it is not served. Did you mean 'head'?"),
        ({"model": "head", "inputs": []}, 400, "inputs: list should have at least 1 item after validation, not 0."),
        ({"model": "head", "inputs": [" "]}, 400, "predict: a text is empty. Give at least one word."),
        ({"model": "head", "inputs": [3]}, 400, "inputs.0: input should be a valid string."),
        ({"model": "head", "inputs": ["a" * 100_001]}, 400, "inputs.0: string should have at most 100000 characters."),
        ({"model": "head"}, 400, "inputs: field required."),
        ({"model": "head", "inputs": ["a"], "x": 1}, 400, "x: extra inputs are not permitted."),
        (
            {"model": "pair", "inputs": ["a"]},
            400,
            "predict: similarity takes two texts. Give the second one with 'pair'.",
        ),
        (
            {"model": "head", "inputs": [{"text": "a", "pair": "b"}]},
            400,
            "predict: emotion takes one text at a time. Omit 'pair'.",
        ),
        (
            {"model": "pair", "inputs": ["a", {"text": "a", "pair": "b"}]},
            400,
            "inputs: give either texts or objects with text and pair, not both.",
        ),
        ([1], 400, "The request: input should be a valid dictionary or instance of PredictBody."),
    ],
)
def test_a_mistake_is_one_sentence(server: Server, body: Any, status: int, sentence: str) -> None:
    response = server.client.post("/predict", json=body)
    assert (response.status_code, response.json()) == (status, {"error": sentence})


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"model": "head", "inputs": ["\\ud800"]}', "application/json", 400),
        (b'{"model": "head", "inputs": ["\xff"]}', "application/json", 400),
        (b'{"model": "head", "inputs": ["a"]}', "text/plain", 415),
        (b" " * 1_000_001, "application/json", 413),
    ],
)
def test_a_damaged_body_is_refused(server: Server, content: bytes, kind: str, status: int) -> None:
    response = server.client.post("/predict", content=content, headers={"Content-Type": kind})
    assert response.status_code == status
    assert set(response.json()) == {"error"}


def test_no_body_is_answered_with_a_failure_of_the_server(server: Server) -> None:
    rng = np.random.default_rng(0)
    odd = [
        None,
        True,
        -1,
        1e308,
        "",
        "\ud800",
        "\x00",
        "head",
        "tags",
        "a" * 300,
        [],
        ["a"],
        [["a"]],
        {},
        {"text": "a"},
    ]
    odd += [[{"text": "\udfff", "pair": "b"}], ["\ufeff\u202e", "\U0001f600 " * 200], [{"text": "a", "pair": None}]]
    for _ in range(150):
        names = rng.permutation(["model", "inputs", "run", "\ud800", "text"])[: rng.integers(1, 4)]
        body = {str(name): odd[rng.integers(len(odd))] for name in names}
        for method, path in (("POST", "/predict"), ("PUT", "/v1/models/new")):
            content = json.dumps(body).encode()
            end = int(rng.choice([len(content), rng.integers(len(content) + 1)]))
            headers = {"Content-Type": "application/json"}
            response = server.client.request(method, path, content=content[:end], headers=headers)
            assert response.status_code < 500, (method, content[:end], response.text)
            assert response.status_code in (200, 201) or set(response.json()) == {"error"}
    server.client.delete("/v1/models/new")


def test_a_name_is_one_that_a_path_and_a_metric_can_hold(server: Server) -> None:
    assert server.client.put("/v1/models/a%20b", json={"run": "head"}).status_code == 400


def test_the_token_is_asked_for_everywhere_but_where_the_process_is_watched(runs: Path) -> None:
    client = Server(runs, token="secret").client
    for path in ("/v1/models", "/metrics", "/openapi.json"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer secre"}).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200
    assert client.get("/health").status_code == client.get("/ready").status_code == 200


def test_a_server_of_this_machine_answers_no_page_of_another_site(server: Server) -> None:
    assert server.client.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403
    assert server.client.get("/v1/models", headers={"Origin": "http://evil.example"}).status_code == 403
    assert server.client.get("/v1/models", headers={"Origin": LOCAL}).status_code == 200


def test_the_playground_answers_with_the_served_runs(server: Server, runs: Path) -> None:
    page = server.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert server.client.get("/playground/playground.js").headers["content-type"].startswith("text/javascript")
    listed = {one["key"]: one for one in server.client.get("/playground/runs").json()["runs"]}
    assert list(listed) == ["head", "tags", "pair"]
    assert listed["pair"]["second"] == "pair"

    def asked(**content: str) -> Any:
        return server.client.post("/playground/answer", json=content)

    (expected,) = FinishedRun.load(runs / "head").predict(["i feel happy"])
    said = asked(run="head", text="i feel happy").json()
    assert (said["answer"], dict(said["ranked"])) == (expected["label"], expected["scores"])
    assert asked(run="tags", text="John won.").json()["marked"]
    assert asked(run="../head", text="a").status_code == 404
    assert asked(run="pair", text="a").json() == {"error": "The second text is empty. Type at least one word."}
    assert asked(run="head", text=" ").json() == {"error": "The text is empty. Type at least one word."}
    shown = server.client.post("/playground/attention", json={"run": "head", "text": "i feel happy"}).json()["page"]
    assert "<h1>Attention</h1>" in server.client.get(shown).text


def test_a_question_of_the_playground_waits_in_the_same_queue(runs: Path) -> None:
    server = Server(runs, characters=5)
    server.api._waiting = 5
    assert server.client.post("/playground/answer", json={"run": "head", "text": "a"}).status_code == 429
    assert 'route="/playground/answer",status="429"' in server.client.get("/metrics").text


def test_with_a_token_the_page_is_opened_by_its_address_and_its_cookie_opens_nothing_else(runs: Path) -> None:
    client = Server(runs, token="secret").client
    for path in (
        "/",
        "/?token=secre",
        "/playground/runs",
        "/playground/runs?token=secret",
        "/playground/playground.js",
    ):
        assert client.get(path).status_code == 401, path
    cookie = client.get("/?token=secret").headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict" in cookie and "secret" not in cookie
    assert client.get("/playground/runs").status_code == client.get("/").status_code == 200
    assert client.post("/playground/answer", json={"run": "head", "text": "a"}).status_code == 200
    assert client.get("/v1/models").status_code == client.delete("/v1/models/head").status_code == 401
    elsewhere = client.post(
        "/playground/answer", json={"run": "head", "text": "a"}, headers={"Origin": "http://x.test"}
    )
    assert elsewhere.status_code == 403
    client.cookies.clear()
    assert client.get("/playground/runs", headers={"Cookie": cookie.replace("=", "=0", 1)}).status_code == 401


def test_runs_come_and_go_while_the_server_runs(server: Server) -> None:
    put = server.client.put("/v1/models/again", json={"run": "head"})
    assert (put.status_code, put.json()["technique"]) == (201, "classifier_head")
    assert server.ask("again", "i feel happy").json()["answers"] == server.ask("head", "i feel happy").json()["answers"]
    assert [model["id"] for model in server.client.get("/v1/models").json()["data"]] == [
        "head",
        "tags",
        "pair",
        "again",
    ]
    assert server.client.delete("/v1/models/again").status_code == 204
    assert server.ask("again", "i feel happy").status_code == 404


@pytest.mark.parametrize("run", ["../head", "/etc", "hed", ".", ""])
def test_only_a_run_under_the_allowed_folder_is_added(server: Server, run: str) -> None:
    response = server.client.put("/v1/models/new", json={"run": run})
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"run '{run}': there is no such finished run.")


def test_a_run_that_was_made_again_is_loaded_again(
    server: Server, runs: Path, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(runs / "head", tmp_path / "changing")
    server.answering.call(lambda: server.models.add("changing", folder)).result(30)
    before = server.ask("changing", "i feel happy").json()
    make(make_run(backbones["bert"], data_root, "emotion", "untuned"), folder)
    for _, loaded in server.models.reload_changed(server.answering.call):
        loaded.result(30)
    assert server.ask("changing", "i feel happy").json() != before
    assert server.client.get("/v1/models/changing").json()["technique"] == "untuned"
    assert server.client.delete("/v1/models/changing").status_code == 204


def test_too_many_waiting_texts_are_refused_with_the_time_to_ask_again(runs: Path) -> None:
    server = Server(runs, characters=20)
    hold = threading.Event()
    server.answering.call(hold.wait)
    with server.client:
        waiting: list[Any] = []
        first = threading.Thread(target=lambda: waiting.append(server.ask("head", "i feel so happy")))
        first.start()
        until = time.monotonic() + 10
        while not server.api._waiting and time.monotonic() < until:
            time.sleep(0.005)
        refused = server.ask("head", "i feel gloomy")
        hold.set()
        first.join()
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert waiting[0].status_code == 200
        assert server.ask("head", "i feel gloomy").status_code == 200


def test_a_question_that_takes_too_long_is_given_up_and_frees_its_place(runs: Path) -> None:
    server = Server(runs, seconds=0.05)
    hold = threading.Event()
    server.answering.call(hold.wait)
    with server.client:
        late = server.ask("head", "i feel so happy")
        assert (late.status_code, late.json()["error"]) == (504, "There was no answer within 0.05 seconds.")
        assert server.api._waiting == 0
        hold.set()


def test_what_waits_is_answered_before_the_server_stops(runs: Path) -> None:
    server = Server(runs)
    futures = [server.answering.ask(server.models.named("head").served, ["i feel happy"]) for _ in range(20)]
    assert server.answering.close(30)
    assert len({json.dumps(future.result(0)) for future in futures}) == 1


def test_questions_of_many_clients_are_answered_in_one_batch(runs: Path) -> None:
    batches = []
    answering = AnsweringThread(BatchLimits(), batches.append)
    models = Models(backbones_here(), {})
    served = [models.add(name, runs / name).served for name in ("head", "tags")]
    hold = threading.Event()
    answering.call(hold.wait)
    futures = [answering.ask(one, ["john is happy"]) for one in served for _ in range(3)]
    hold.set()
    for future in futures:
        future.result(30)
    assert [(batch.rows, batch.runs, batch.texts) for batch in batches] == [(6, 2, 1)]
    answering.close(10)


def test_metrics_count_requests_texts_and_what_the_trunk_spared(runs: Path) -> None:
    server = Server(runs)
    server.ask("head", "i feel happy", "i feel happy")
    server.ask("nobody", "i feel happy")
    text = server.client.get("/metrics").text
    assert 'tunebench_requests_total{route="/predict",status="200"} 1.0' in text
    assert 'tunebench_requests_total{route="/predict",status="404"} 1.0' in text
    assert 'tunebench_texts_total{model="head"} 2.0' in text
    assert "tunebench_trunk_rows_total 2.0" in text
    assert "tunebench_trunk_passes_total 1.0" in text
    assert "nobody" not in text


def test_the_log_holds_no_text_unless_it_is_asked_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    server.ask("head", "i feel happy")
    line = json.loads(written.getvalue())
    assert {"route": "/predict", "status": 200, "model": "head", "texts": 1}.items() <= line.items()
    assert "happy" not in written.getvalue()


def test_openapi_names_every_route(server: Server) -> None:
    document = server.client.get("/openapi.json").json()
    routes = {route.path for route in server.api.application().routes}
    assert set(document["paths"]) == routes - {"/", "/playground"}, "pages for people are no API"
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]


def test_runs_are_named_by_their_folders_or_as_given(runs: Path, tmp_path: Path) -> None:
    assert named_runs([str(runs / "head"), f"mine={runs / 'tags'}"]) == {"head": runs / "head", "mine": runs / "tags"}
    with pytest.raises(UserError, match=r"'head' is the name of another run\. Give a name: NAME="):
        named_runs([str(runs / "head"), f"head={runs / 'tags'}"])


def test_a_served_run_is_answered_by_the_command_until_sigterm(runs: Path) -> None:
    command = [sys.executable, "-m", "tunebench", "serve", str(runs / "tags"), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # as in a container: what is written must be there at once
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        address = lines[1].removeprefix("tunebench: serving at ").strip()
        body = json.dumps({"model": "tags", "inputs": ["john won"]}).encode()
        asked = urllib.request.Request(f"{address}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as response:
            assert json.load(response)["answers"] == FinishedRun.load(runs / "tags").predict(["john won"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        (logged,) = process.stderr.read().splitlines()
    assert lines[0] == "tunebench: tags: Classifier head only on ner\n"
    assert json.loads(logged)["status"] == 200


def test_an_address_that_cannot_be_used_is_named() -> None:
    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address_of(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(UserError, match=rf"--host 127\.0\.0\.1 --port {port}: the address cannot be used"):
            bound("127.0.0.1", port)
