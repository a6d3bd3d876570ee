"""The page on studies: what it shows of a folder, whom it answers, and what it asks of a command."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests.records import SCRIPT, done, failed, run_info, write_study
from tests.test_drive import jobs_in, runs_of
from tunebench._util.files import write_json
from tunebench.cli.app import app as commands
from tunebench.engine.events import Driven, Driving, Event, Placed, ResultWritten, Step, line_of
from tunebench.records import Paused, write_result
from tunebench.run.journal import EARLIER, PROGRESS, Journal
from tunebench.run.requests import REQUESTS
from tunebench.serve.guard import Guard
from tunebench.study import Places
from tunebench.watch import reporting, server, work
from tunebench.watch.app import application, news
from tunebench.watch.desk import Desk
from tunebench.watch.study import WatchedStudy
from tunebench.watch.tail import Tail

HERE = {"host": "127.0.0.1:8000"}
OWN = {**HERE, "origin": "http://127.0.0.1:8000"}


@pytest.fixture
def out(tmp_path: Path, undrawn: None) -> Path:
    """A study of which two runs are done, one has failed and one waits; its names are hostile."""
    cell = {"model": "tiny", "family": "bert", "task": "emotion", "applicable": True, "reason": None}
    counts = {"total": 100, "trainable": 10, "technique": 5, "head": 5}
    cells = [
        {**cell, "technique": name, "label": name, "title": title, "parameters": counts, "epochs": 2}
        for name, title in (("full", "Full fine-tuning"), ("lora", SCRIPT), ("ia3", "(IA)3"))
    ]
    return write_study(
        tmp_path / "out",
        done("full", 0.9),
        done("lora", 0.8),
        failed("ia3", SCRIPT),
        pending=(run_info("lora", seed=1),),
        cells=cells,
    )


def placed(run: str, label: str = "lora", trial: bool = False) -> Placed:
    folder = f"{'trials/abc' if trial else 'runs'}/{run}"
    return Placed(folder=folder, model="tiny", task="emotion", technique=label, label=label, seed=1, trial=trial)


def write_lines(path: Path, *events: tuple[str | None, Event]) -> None:
    with path.open("a") as file:
        for run, event in events:
            content = json.loads(line_of(event))
            file.write(json.dumps({**content, **({"run": run} if run else {})}) + "\n")


def driving(process: int | None = None, host: str | None = None) -> Driving:
    import psutil

    here = psutil.Process()
    return Driving(
        host=host or socket.gethostname(),
        process=process or here.pid,
        started=here.create_time() if process is None else 1.0,
        workers=1,
    )


WAITS = run_info("lora", seed=1).id


def at_work(out: Path) -> None:
    """A command that lives makes the last run."""
    step = Step(step=3, steps=12, loss=0.75, epoch=1, epochs=2)
    write_lines(out / PROGRESS, (None, driving()), (WAITS, placed(WAITS)), (WAITS, step))


def shown(desk: Desk, looks: int = 1) -> list[dict[str, Any]]:
    """The messages that a browser gets."""

    async def heard() -> list[str]:
        return [line async for line in news(desk, looks)]

    lines = [line for line in asyncio.run(heard()) if line.startswith("data: ")]
    assert all(line.endswith("\n\n") and line.count("\n") == 2 for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def part(desk: Desk, name: str, study: int = 0) -> Any:
    """As if some seconds had passed since it was asked."""
    desk._looked = float("-inf")
    for slow in desk._slow:
        slow.drawn = float("-inf")
    return json.loads(desk.look()[f"{study} {name}"])


# Who is answered ------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(out: Path) -> Iterator[tuple[Guard, TestClient]]:
    guard = Guard.before(application([out]), "tunebench-8000")
    with TestClient(guard, base_url="http://127.0.0.1:8000", headers=HERE) as client:
        yield guard, client


def test_the_token_opens_the_page_once_and_a_cookie_from_then_on(guarded: tuple[Guard, TestClient]) -> None:
    guard, client = guarded
    assert client.get("/").status_code == 403
    first = client.get("/", params={"token": guard.token})
    assert first.status_code == 200
    assert all(word in first.headers["set-cookie"] for word in ("HttpOnly", "SameSite=Strict", "tunebench-8000="))
    assert guard.token not in first.headers["set-cookie"]
    assert client.get("/").status_code == 200, "the client keeps the cookie"


@pytest.mark.parametrize("token", ["", "x", "é", "x" * 5_000, "%FF"])
def test_a_wrong_token_gets_403_also_with_the_cookie(token: str, guarded: tuple[Guard, TestClient]) -> None:
    guard, client = guarded
    client.get("/", params={"token": guard.token})
    answer = client.get(f"/?token={token}")
    assert answer.status_code == 403
    assert answer.text == "The token in the address is missing or wrong. Open the address that the command printed.\n"


@pytest.mark.parametrize("cookie", ["tunebench-8000=x", "tunebench-1=x", "=;;\x01", "tunebench-8000"])
def test_another_cookie_is_none(cookie: str, guarded: tuple[Guard, TestClient]) -> None:
    assert guarded[1].get("/events", headers={"cookie": cookie}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8000"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "127.0.0.1:8000@evil.example"},
        {"host": ""},
        {**HERE, "origin": "http://evil.example"},
        {**HERE, "origin": "http://127.0.0.1:9999"},
        {**HERE, "origin": "null"},
        {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {**HERE, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_foreign_names_pages_and_frames_are_refused_even_with_the_token(
    headers: dict[str, str], guarded: tuple[Guard, TestClient]
) -> None:
    guard, client = guarded
    assert client.get("/", params={"token": guard.token}, headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "localhost", "[::1]:8000", "127.0.0.1:9000"])
def test_this_machine_has_several_names_and_a_tunnel_another_port(host: str, guarded: tuple[Guard, TestClient]) -> None:
    guard, client = guarded
    headers = {"host": host, "origin": f"http://{host}"}
    assert client.get("/", params={"token": guard.token}, headers=headers).status_code == 200


def test_a_link_from_another_page_opens_the_page_but_changes_nothing(guarded: tuple[Guard, TestClient]) -> None:
    guard, client = guarded
    linked = {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", params={"token": guard.token}, headers=linked).status_code == 200
    posted = client.post("/studies/0/stop", json={"run": WAITS}, headers={**linked, "origin": "http://evil.example"})
    assert posted.status_code == 403


def test_every_answer_forbids_foreign_content(guarded: tuple[Guard, TestClient]) -> None:
    guard, client = guarded
    for answer in (client.get("/"), client.get("/", params={"token": guard.token}), client.get("/watch.js")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = client.get("/").text
    assert "http" not in page.replace("http://www.w3.org", ""), "nothing comes from elsewhere"


# What is shown --------------------------------------------------------------------------------------------------------


def test_a_page_before_the_study_shows_it_as_soon_as_it_begins(tmp_path: Path, undrawn: None) -> None:
    desk = Desk([tmp_path / "out"])
    assert part(desk, "head")["sentence"] == "No study here yet. This page shows it as soon as it begins."
    write_study(tmp_path / "out", done("full", 0.9), pending=(run_info("lora"),))
    head = part(desk, "head")
    assert (head["name"], head["state"], head["done"], head["total"]) == ("mine", "interrupted", 1, 2)
    at_work_now = {"run": run_info("lora").id}
    write_lines(tmp_path / "out" / PROGRESS, (None, driving()), (at_work_now["run"], placed(at_work_now["run"])))
    assert part(desk, "head")["state"] == "running"
    assert [one["run"] for one in part(desk, "work")] == [at_work_now["run"]]


def test_a_run_at_work_is_shown_with_its_progress_its_losses_and_the_time_left(out: Path) -> None:
    at_work(out)
    desk = Desk([out])
    head, (one,) = part(desk, "head"), part(desk, "work")
    assert (head["state"], head["sentence"], head["done"]) == ("running", "3 of 4 runs have ended.", 3.25)
    assert head["counts"] == "1 running, 2 done, 1 failed"
    assert head["left"] is not None
    assert (one["phase"], one["share"], one["label"]) == ("trains", 0.25, "lora")
    assert one["detail"] == "epoch 1 of 2, 3 of 12 steps, loss 0.7500"
    curves, losses = part(desk, "charts")
    assert [row["loss"] for row in losses["rows"]] == [0.75]
    assert {row["run"] for row in curves["rows"]} == {"full, seed 0", "lora, seed 0"}


def test_a_curve_grows_with_the_epochs_of_the_run_itself(out: Path) -> None:
    at_work(out)
    desk = Desk([out])
    events = out / "runs" / WAITS / "events.jsonl"
    events.parent.mkdir()
    for number in (1, 2, 2):  # the second one was made twice: the command was killed
        epoch = {"epoch": number, "train_loss": 0.5, "validation": {"accuracy": number / 10}, "seconds": 1}
        with events.open("a") as file:
            file.write(json.dumps({"time": 1, "event": "epoch", **epoch}) + "\n" + '{"time": 1, "event": "test"}\nno\n')
        rows = [row for row in part(desk, "charts")[0]["rows"] if row["run"] == "lora, seed 1"]
        assert [row["metric"] for row in rows] == [n / 10 for n in range(1, number + 1)]
    assert "validation Accuracy 0.2000" in part(desk, "work")[0]["detail"]


def test_a_study_that_was_killed_is_stopped_and_says_how_it_continues(out: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_lines(out / PROGRESS, (None, driving(gone.pid)), (WAITS, placed(WAITS)))
    desk = Desk([out])
    head = part(desk, "head")
    assert head["state"] == "interrupted"
    assert head["sentence"].endswith("3 of 4 runs have ended. The same command continues: tunebench run a.yaml")
    assert part(desk, "work") == []


def test_another_process_with_the_number_of_a_killed_command_is_not_it(out: Path) -> None:
    write_lines(out / PROGRESS, (None, driving(os.getpid())), (WAITS, placed(WAITS)))
    assert part(Desk([out]), "head")["state"] == "interrupted"


def test_a_command_on_another_machine_lives_as_long_as_it_gives_signs_of_life(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(out / PROGRESS, (None, driving(7, "node-17")), (WAITS, placed(WAITS)))
    desk = Desk([out])
    assert part(desk, "head")["state"] == "running"
    os.utime(out / PROGRESS, (1, 1))
    assert part(desk, "head")["state"] == "interrupted"


def test_the_end_of_a_study_is_seen_and_a_second_command_too(out: Path) -> None:
    at_work(out)
    desk = Desk([out])
    write_result(out / "runs" / WAITS, done("lora", 0.85, 1))
    write_lines(out / PROGRESS, (WAITS, ResultWritten(status="done")), (None, Driven()))
    head = part(desk, "head")
    assert (head["state"], head["sentence"], head["left"]) == ("ended", "The study has ended: 4 runs.", None)
    at_work(out)
    assert part(desk, "head")["state"] == "running"


def test_a_run_whose_beginning_is_older_than_the_file_is_shown_by_its_plan(out: Path) -> None:
    step = Step(step=3, steps=12, loss=0.75, epoch=1, epochs=2)
    write_lines(out / PROGRESS, (None, driving()), (WAITS, step))
    (one,) = part(Desk([out]), "work")
    assert (one["run"], one["label"], one["share"]) == (WAITS, "lora", 0.25)


def test_trials_are_shown_and_their_technique_cannot_be_skipped(out: Path) -> None:
    write_lines(out / PROGRESS, (None, driving()), ("a-trial", placed("a-trial", trial=True)))
    desk = Desk([out])
    (one,) = part(desk, "work")
    assert (one["name"], one["label"]) == ("emotion · lora · seed 1 (a trial)", None)
    assert part(desk, "head")["left"] is None, "nobody knows how many there will be"


def test_a_paused_trial_counts_as_no_result(out: Path) -> None:
    write_lines(out / PROGRESS, (None, driving()), (WAITS, placed(WAITS)))
    write_lines(out / PROGRESS, (WAITS, ResultWritten(status="paused", reason=Paused.TRIAL)))
    assert "pending" in part(Desk([out]), "head")["counts"]


def test_only_what_has_changed_is_sent_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunebench.watch.app._EVERY", 0.0)
    first = shown(Desk([out]))
    assert {one["part"] for one in first} == {"machine", "head", "work", "runs", "charts", "happened", "logs"}
    again = shown(Desk([out]), looks=2)[len(first) :]
    assert {one["part"] for one in again} <= {"machine"}


def test_hostile_names_are_text_in_json_and_none_is_in_the_page(out: Path, guarded: tuple[Guard, TestClient]) -> None:
    guard, client = guarded
    rows = part(Desk([out]), "runs")
    assert any(row["technique"] == SCRIPT for row in rows)
    assert SCRIPT not in client.get("/", params={"token": guard.token}).text


def test_control_characters_are_shown(tmp_path: Path, undrawn: None) -> None:
    out = write_study(tmp_path, failed("full", "\u202eevil\x1b[0m"))
    assert part(Desk([out]), "runs")[0]["note"] == "\\u202eevil\\x1b[0m"


def test_logs_end_with_what_was_written_last(out: Path) -> None:
    (out / "worker-0.log").write_text("x" * 9_000 + "the end\n")
    (log,) = part(Desk([out]), "logs")
    assert log["name"] == "worker-0.log"
    assert log["text"].endswith("the end\n")
    assert len(log["text"]) == 4_000


@pytest.mark.parametrize("content", ["", "null", "[]", '{"study": 7}', "{"])
def test_a_damaged_plan_is_one_sentence(content: str, out: Path) -> None:
    (out / "plan.json").write_text(content)
    head = part(Desk([out]), "head")
    assert head["state"] == "absent"
    assert "plan.json" in head["sentence"]


def test_watching_writes_nothing(out: Path) -> None:
    at_work(out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    desk = Desk([out])
    part(desk, "head")
    reporting.make(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_lines_are_read_across_the_change_of_files(tmp_path: Path) -> None:
    path, tail = tmp_path / PROGRESS, Tail(tmp_path / PROGRESS)
    assert tail.lines() == []
    path.write_bytes(b"1\n2\n3")
    assert tail.lines() == [b"1", b"2"]
    with path.open("ab") as file:
        file.write(b"3\n4\n")
    path.rename(tmp_path / EARLIER)
    path.write_bytes(b"5\n")
    assert tail.lines() == [b"33", b"4", b"5"]
    path.write_bytes(b"6\n")
    path.write_bytes(b"")
    assert tail.lines() == []
    path.write_bytes(b"7\n")
    assert tail.lines() == [b"7"]


def test_losses_of_a_long_run_stay_few_and_keep_its_first_and_its_last(tmp_path: Path) -> None:
    one = work.AtWork(placed("a"), 0.0)
    for step in range(1, 2_000):
        one.heard(float(step), Step(step=step, steps=2_000, loss=1 / step, epoch=1, epochs=1))
    assert len(one.losses) <= 400
    assert (one.losses[0][0], one.losses[-1][0]) == (1, 1_999)
    assert one.left(1_999.0) == pytest.approx(1.0)


def test_a_journal_is_what_the_page_reads(tmp_path: Path) -> None:
    (job,) = jobs_in(tmp_path, runs_of("m", ["full"]), Places())
    study = WatchedStudy(tmp_path)
    with Journal(tmp_path, 3) as journal:
        journal.placed(job)
        study.refresh()
        assert study.live
        assert [one.placed.label for one in study.work.at_work.values()] == ["full"]
    study.refresh()
    assert not study.live


def test_the_report_so_far_is_made_in_a_process_of_its_own_and_only_when_results_change(
    out: Path, guarded: tuple[Guard, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, client = guarded
    asked: list[Path] = []
    monkeypatch.setattr(reporting.Reporter, "made", lambda self, out: (asked.append(out), reporting.make(out))[1])
    client.get("/", params={"token": guard.token})
    cards = client.get("/studies/0/cards").json()
    assert cards["trouble"] == ""
    assert "emotion with tiny" in cards["html"]
    assert SCRIPT not in cards["html"]
    page = client.get("/studies/0/report")
    assert "<h1>mine</h1>" in page.text
    assert "script-src &#39;sha256-" in page.text, "its scripts are named by their hashes"
    assert page.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert asked == [out]
    assert client.get("/studies/1/report").status_code == 404


def test_while_a_study_runs_a_report_of_a_while_ago_does_and_says_that_a_result_is_missing(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    monkeypatch.setattr(
        reporting.Reporter, "made", lambda self, out: (made.append(out), reporting.Made("cards", "page"))[1]
    )
    at_work(out)
    desk = Desk([out])
    part(desk, "head")
    with ThreadPoolExecutor(3) as browsers:
        answers = list(browsers.map(desk.report, [0, 0, 0]))
    assert (answers, len(made)) == ([(reporting.Made("cards", "page"), True)] * 3, 1)
    write_result(out / "runs" / WAITS, done("lora", 0.85, 1))
    part(desk, "head")
    assert (desk.report(0)[1], len(made)) == (False, 1), "the study is not disturbed so soon"
    write_lines(out / PROGRESS, (WAITS, ResultWritten(status="done")), (None, Driven()))
    part(desk, "head")
    assert (desk.report(0)[1], len(made)) == (True, 2), "it has ended"


@pytest.mark.full
@pytest.mark.slow
def test_the_process_that_makes_reports_answers_and_may_die(tmp_path: Path, undrawn: None) -> None:
    out = write_study(tmp_path / "out", failed("full", "no"))
    reporter = reporting.Reporter()
    try:
        assert "emotion with tiny" in reporter.made(out).cards
        assert reporter._process is not None
        reporter._process.kill()
        assert reporter.made(out).trouble.startswith("The process that makes reports ended.")
        shutil.rmtree(out)
        assert "no study here, plan.json is missing" in reporter.made(out).trouble
    finally:
        reporter.close()


# What may be asked ----------------------------------------------------------------------------------------------------


@pytest.fixture
def client(guarded: tuple[Guard, TestClient]) -> TestClient:
    """Of one who has opened the page, and looks at it."""
    guard, client = guarded
    client.get("/", params={"token": guard.token})
    client.get("/playground/runs")
    return client


def test_a_run_at_work_can_be_stopped_and_its_technique_skipped(out: Path, client: TestClient) -> None:
    at_work(out)
    looked(client)
    assert client.post("/studies/0/stop", json={"run": WAITS}, headers=OWN).json() == {"asked": True}
    assert client.post("/studies/0/skip", json={"label": "lora"}, headers=OWN).json() == {"asked": True}
    lines = [json.loads(line) for line in (out / REQUESTS).read_text().splitlines()]
    assert lines == [{"action": "stop", "run": WAITS}, {"action": "skip", "label": "lora"}]


def looked(client: TestClient) -> None:
    """A second has passed since the page looked at the folder."""
    import time

    time.sleep(1.0)
    client.get("/playground/runs")


def test_what_cannot_be_done_is_a_sentence(out: Path, client: TestClient) -> None:
    answer = client.post("/studies/0/stop", json={"run": WAITS}, headers=OWN)
    assert (answer.status_code, answer.json()) == (409, {"error": "No command makes runs of this study now."})
    at_work(out)
    looked(client)
    for path, content, status in (
        ("/studies/0/stop", {"run": "other"}, 404),
        ("/studies/0/skip", {"label": "other"}, 404),
        ("/studies/0/stop", {"run": 7}, 400),
        ("/studies/0/stop", [1], 400),
        ("/studies/9/stop", {"run": WAITS}, 404),
    ):
        answer = client.post(path, json=content, headers=OWN)
        assert answer.status_code == status, path
        assert answer.json()["error"].endswith(".")
    too_long = client.post("/studies/0/stop", content=b"x" * 500_000, headers=OWN)
    assert too_long.status_code == 413
    (out / REQUESTS).mkdir()
    full = client.post("/studies/0/stop", json={"run": WAITS}, headers=OWN)
    assert (full.status_code, "the request cannot be written" in full.json()["error"]) == (507, True)


def test_the_report_says_that_a_run_was_stopped_by_hand_and_does_not_call_it_failed(
    tmp_path: Path, undrawn: None
) -> None:
    reason = "stopped by hand in 'tunebench watch'"
    stopped = failed("lora", reason).model_copy(update={"by_hand": "stopped"})
    said = (write_study(tmp_path, done("full", 0.9), stopped) / "report.md").read_text("utf-8")
    assert "2 runs: 1 done, 1 stopped." in said
    assert reason in said
    assert "failed" not in said


def test_a_request_without_an_origin_changes_nothing(out: Path, client: TestClient) -> None:
    at_work(out)
    assert client.post("/studies/0/stop", json={"run": WAITS}).status_code == 403
    assert client.get("/studies/0/stop").status_code == 405
    assert not (out / REQUESTS).exists()


# The command ----------------------------------------------------------------------------------------------------------


def said(*arguments: str) -> str:
    result = CliRunner().invoke(commands, ["watch", *arguments])
    assert result.exception is not None
    return str(result.exception)


def test_without_the_extra_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import util

    monkeypatch.setattr(
        "tunebench.cli.commands.watch.find_spec", lambda name: None if name == "uvicorn" else util.find_spec(name)
    )
    assert said("out") == "watch: its page needs Starlette and uvicorn. Run: pip install 'tunebench[ui]'"


def test_a_folder_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert said(str(tmp_path), f"{tmp_path}/x/..") == "watch: a folder stands twice. Give each study once."


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with server.bound(0) as taken:
        port = taken.getsockname()[1]
        assert said(str(tmp_path), "--port", str(port)).startswith(f"--port {port}: it cannot be used (")
        assert taken.getsockname()[0] == "127.0.0.1"


def test_neither_help_nor_the_page_loads_torch() -> None:
    code = (
        "import sys; from tunebench.cli.app import app; assert 'starlette' not in sys.modules\n"
        "import tunebench.watch.server; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# In a browser ---------------------------------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def address(out: Path) -> Iterator[str]:
    """A real server."""
    guard = Guard.before(application([out, out.parent / "later"]), "tunebench-test")
    with server.bound(0) as listening:
        running = uvicorn.Server(uvicorn.Config(guard, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/?token={guard.token}"
        running.should_exit = True
        thread.join(10)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_two_browsers_see_a_study_run_and_one_of_them_stops_a_run_with_the_keyboard(
    address: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    monkeypatch.setattr(reporting.Reporter, "made", lambda self, out: reporting.make(out))
    monkeypatch.setattr("tunebench.watch.app.vega.javascript", lambda: "window.vegaEmbed = async () => {};")
    at_work(out)
    troubles: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        pages = [browser.new_context(color_scheme=scheme).new_page() for scheme in ("light", "dark")]
        for page in pages:
            page.on("console", lambda message: troubles.append(message.text))
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("dialog", lambda dialog: troubles.append("a script of a name ran"))
            page.goto(address, wait_until="domcontentloaded")
            page.get_by_role("button", name="Stop this run").wait_for()
            assert "token" not in page.url
        first, second = pages
        first.locator(".results .card").wait_for()
        first.locator("details.runs summary").first.focus()
        first.keyboard.press("Enter")
        assert first.locator(".runs tbody th", has_text=SCRIPT).first.is_visible()
        assert first.locator("script:not([src])", has_text="alert").count() == 0
        for width in (390, 768, 1280, 1920):
            first.set_viewport_size({"width": width, "height": 900})
            assert first.evaluate("document.documentElement.scrollWidth") <= width
        first.locator(".work").get_by_role("button", name="Stop this run").focus()
        first.keyboard.press("Enter")
        assert first.evaluate("document.activeElement.textContent") == "Cancel", "nothing happens by accident"
        first.keyboard.press("Shift+Tab")
        first.keyboard.press("Enter")
        first.locator("dialog").wait_for(state="hidden")
        assert json.loads((out / REQUESTS).read_text()) == {"action": "stop", "run": WAITS}
        stopped = failed("lora", "stopped by hand in 'tunebench watch'", 1).model_copy(update={"by_hand": "stopped"})
        write_result(out / "runs" / WAITS, stopped)
        write_lines(out / PROGRESS, (WAITS, ResultWritten(status="failed", reason=stopped.reason)), (None, Driven()))
        second.locator(".badge", has_text="ended").wait_for()
        assert "1 stopped" in str(second.locator(".counts").first.text_content())
        write_json(out.parent / "later" / "plan.json", json.loads((out / "plan.json").read_text()))
        second.locator("[data-study='1'] .badge", has_text="stopped").wait_for()
        browser.close()
    assert troubles == []
