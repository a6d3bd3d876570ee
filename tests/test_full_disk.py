"""A full disk, and memory that ran out, end a command in one sentence; everything that was made is kept."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.runs import job_of, make, make_run
from tests.faults import full_disk
from tests.records import Write, done
from tunebench._util import drawing
from tunebench._util.errors import UserError, unwritable
from tunebench.records import Failed, read_result
from tunebench.report import build, build_rescored
from tunebench.run import worker
from tunebench.serve.finished import FinishedRun


def test_a_report_on_a_full_disk_is_one_sentence_and_keeps_the_runs(study: Write) -> None:
    out = study(done("full", 0.8))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for make_report in (build, build_rescored):
        with (
            full_disk(2_000),
            pytest.raises(UserError, match=rf"^{out}: the report cannot be written \(.*: File too large"),
        ):
            make_report(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_report_whose_place_is_taken_names_it(study: Write) -> None:
    out = study(done("full", 0.8))
    (out / "report.html").unlink()
    (out / "report.html").mkdir()
    with pytest.raises(UserError, match=rf"report\.html: Is a directory\).*'tunebench report {out}' writes it"):
        build(out)


def test_a_report_beyond_the_memory_is_one_sentence(study: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_: object) -> str:
        raise MemoryError

    out = study(done("full", 0.8))
    monkeypatch.setattr("tunebench.report.html", too_much)
    with pytest.raises(UserError, match="the report needs more memory than there is"):
        build(out)


def test_a_page_is_written_without_the_process_that_draws_charts(
    study: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    out = study(done("full", 0.8), done("lora", 0.7))
    monkeypatch.setenv(drawing.FOLDER, str(tmp_path / "nothing drawn"))
    assert "Charts are missing" not in (out / "report.html").read_text()
    drawing._process().close()
    for cached in (drawing._process, drawing.javascript, drawing._warn):
        cached.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(drawing.sys, "executable", "/bin/false")
        page = build(out).read_text()
    assert "Charts are missing: the process that draws them ended" in page
    assert "<svg" not in page.split("<main>")[1].split("<script>")[0]
    (warning,) = caplog.messages
    assert warning.startswith("tunebench: charts are missing: the process that draws charts ended with code 1.")
    assert "<svg" in build(out).read_text(), "the next report draws again"


def test_a_report_under_a_limit_of_addresses_is_written_with_one_message(
    study: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = study(done("full", 0.8), done("lora", 0.7))
    monkeypatch.setenv(drawing.FOLDER, str(tmp_path / "nothing drawn"))
    (out / "report.html").unlink()
    limited = f"ulimit -v 8000000; exec '{sys.executable}' -m tunebench report '{out}'"
    ended = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(
        r"tunebench: charts are missing: the process that draws charts ended with code -?\d+ \(.*[Mm]emory.*\)\. "
        r"Free some memory and repeat\.\n",
        ended.stderr,
    )
    assert (out / "report.html").read_text().endswith("</html>")


def test_a_process_that_cannot_start_is_a_drawing_error(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing._process.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(drawing.sys, "executable", "/nowhere/python")
        answer = drawing.svg({})
    with pytest.raises(drawing.DrawingError, match="cannot start"):
        answer.result()


@pytest.mark.parametrize(("technique", "room"), [("tfidf", 1_000), ("lora", 3_000), ("untuned", 800)])
def test_a_full_disk_stops_a_run_with_its_reason_and_records_no_failure(
    technique: str, room: int, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    job = job_of(make_run(backbones["bert"], data_root, "emotion", technique, epochs=1), tmp_path / "run")
    observed = []
    with full_disk(room), pytest.raises(OSError, match="File too large"):
        worker.make(job, observed.append)
    result = read_result(tmp_path / "run")
    assert not isinstance(result, Failed)
    worker.make(job, observed.append)
    assert observed[-1].status == "done"


def test_an_export_on_a_full_disk_writes_nothing(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    make(make_run(backbones["bert"], data_root, "emotion", "untuned"), tmp_path / "run")
    with full_disk(20_000), pytest.raises(UserError, match=r"nothing was written \(File too large"):
        FinishedRun.load(tmp_path / "run").export(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_systems_reason_is_found_behind_a_librarys_error() -> None:
    library = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert (unwritable(library) or OSError()).errno == errno.ENOSPC
    try:
        try:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/somewhere")
        except OSError as error:
            raise ValueError("cannot save") from error
    except ValueError as error:
        assert (unwritable(error) or OSError()).filename == "/somewhere"
    assert unwritable(ValueError("a bug")) is None
    assert unwritable(FileNotFoundError(errno.ENOENT, "gone")) is None
