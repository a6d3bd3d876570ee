"""A result that exists is whole: written last, atomically, strictly, and a damaged one counts as none."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.records import done, failed, not_applicable, paused, run_info
from tunebench._util.files import read_json, write_atomically, write_json
from tunebench.records import Failed, MainMetric, Notice, Scores, read_result, write_result

RECORDS = [
    done("full", None, interval=(0.1, 0.2), notices=(Notice(code="cached", message="naïve, 日本"),)),
    paused("full", "a budget"),
    failed("full", "broke"),
    not_applicable("full", "no such head"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.status)
def test_a_result_comes_back_as_it_was(record: Any, tmp_path: Path) -> None:
    write_result(tmp_path, record)

    assert read_result(tmp_path) == record
    stored = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert (stored["schema"], stored["status"]) == (2, record.status)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_result_replaces_the_one_before(tmp_path: Path) -> None:
    for record in RECORDS:
        write_result(tmp_path, record)

    assert read_result(tmp_path) == RECORDS[-1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b'{"status": "done"}',
        b'{"status": "finished"}',
        b"\x00" * 100,
    ],
)
def test_a_damaged_result_counts_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(content)

    assert read_result(tmp_path) is None


def test_every_truncation_of_a_result_counts_as_none(tmp_path: Path) -> None:
    write_result(tmp_path, done("full", None))
    path = tmp_path / "result.json"
    whole = path.read_bytes()

    for length in range(0, len(whole.rstrip()), 37):
        path.write_bytes(whole[:length])
        assert read_result(tmp_path) is None


def test_a_result_with_a_field_too_many_counts_as_none(tmp_path: Path) -> None:
    write_result(tmp_path, done("full", None))
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "novelty": 1}))

    assert read_result(tmp_path) is None


@pytest.mark.parametrize("value", [{"a": 1}, [3], "three"])
def test_a_result_whose_budget_is_no_number_counts_as_none(value: Any, tmp_path: Path) -> None:
    write_result(tmp_path, done("full", 0.9))
    content = dict(read_json(tmp_path / "result.json") or {})
    content["run"] = {**content["run"], "training": {"epochs": value}}
    write_json(tmp_path / "result.json", content)
    assert read_result(tmp_path) is None


def test_a_missing_result_counts_as_none(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    assert read_result(tmp_path / "nowhere") is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_record_refuses_what_is_no_number(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        MainMetric(name="pearson", split="test", value=value, higher_is_better=True)
    with pytest.raises(ValidationError, match="finite"):
        Scores(validation={}, test={"pearson": value})


def test_a_json_file_never_holds_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "value.json", {"deep": [{"load": math.nan}]})
    assert list(tmp_path.iterdir()) == []

    write_result(tmp_path, Failed(reason="broke", run=run_info("full"), environment={"load": math.nan}))
    assert json.loads((tmp_path / "result.json").read_text())["environment"] == {"load": None}


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        done("full", None).best_epoch = 2  # type: ignore[misc]


# Writing --------------------------------------------------------------------------------------------------------------


class FullDisk:
    """A file that takes some bytes and then has no room."""

    def __init__(self, file: Any):
        self._file = file

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> None:
        self._file.write(content[:3])
        self._file.flush()
        raise OSError(28, os.strerror(28))


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *args: FullDisk(plain(path, *args)))

    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, b"new content")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_late_leaves_the_old_file_and_no_litter(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(5, os.strerror(5))

    target = tmp_path / "file"
    write_atomically(target, b"old")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), refuse)

    with pytest.raises(OSError, match="Input/output"):
        write_atomically(target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interruption_leaves_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_writing_makes_the_folders_above(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b" / "value.json", {"text": "naïve"})

    assert read_json(tmp_path / "a" / "b" / "value.json") == {"text": "naïve"}
    assert "naïve" in (tmp_path / "a" / "b" / "value.json").read_text("utf-8")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff"])
def test_a_json_file_without_an_object_reads_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "value.json").write_bytes(content)

    assert read_json(tmp_path / "value.json") is None
    assert read_json(tmp_path / "absent.json") is None


def test_a_record_from_before_latency_was_measured_still_reads(tmp_path: Path) -> None:
    write_result(tmp_path, done("full", None))
    stored = json.loads((tmp_path / "result.json").read_text("utf-8"))
    for name in ("latency_seconds", "merged_latency_seconds", "latency_tokens"):
        assert stored["cost"].pop(name) is None
    (tmp_path / "result.json").write_text(json.dumps(stored))
    assert read_result(tmp_path) == done("full", None)
