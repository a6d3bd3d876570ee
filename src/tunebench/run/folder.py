"""A study's output folder, which one command at a time uses, with the study's text and plan in it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from pydantic import ValidationError

from tunebench._util.errors import UserError
from tunebench._util.files import read_json, write_atomically, write_json
from tunebench.records import SCHEMA, Failed, Plan, read_result
from tunebench.run.requests import REQUESTS
from tunebench.study import Run

_UNFINISHED = re.compile(r"\..+\.(\d+)")
"""The name that `write_atomically` gives a file before it is whole: with the number of its process."""


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Lock an output folder. The system releases the lock when the process ends, for whatever reason.

    Raises:
        UserError: another process holds it, or the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"--out {out}: another tunebench is using it. Wait for it to end, or choose another folder."
        ) from None
    except OSError as error:
        raise unwritable(out, error) from error
    try:
        _remove_litter(out)
        yield
    finally:
        lock.release()


def _remove_litter(out: Path) -> None:
    """Remove the unfinished files of processes that were killed while they wrote; nobody else writes under the lock.

    Requests were made of an earlier command. Only `tunebench report` takes no lock: the study's own files are left
    alone as long as their process may live.
    """
    in_study = [path for path in out.glob(".*") if _writer(path) and not psutil.pid_exists(_writer(path))]
    in_runs = [path for room in ("runs", "trials") for path in out.glob(f"{room}/**/.*") if _writer(path)]
    for path in (*in_study, *in_runs, *out.glob("runs/*/*.tmp"), *out.glob("cache/*.tmp"), out / REQUESTS):
        with suppress(OSError):
            path.unlink()


def _writer(path: Path) -> int:
    """The process that had begun to write a file; 0 where it is whole."""
    name = _UNFINISHED.fullmatch(path.name)
    return int(name[1]) if name else 0


def write_plan(out: Path, text: str, plan: Plan) -> None:
    """Write `study.yaml` and `plan.json`.

    Raises:
        UserError: the output folder cannot be written.
    """
    try:
        write_atomically(out / "study.yaml", text.encode())
        write_json(out / "plan.json", plan.model_dump(mode="json", by_alias=True))
    except OSError as error:
        raise unwritable(out, error) from error


def planned_in(out: Path) -> Plan | None:
    """The plan that an output folder already has; None where it has none, or it is damaged.

    Raises:
        UserError: an earlier version wrote it.
    """
    stored = read_json(out / "plan.json")
    if stored is None:
        return None
    if "schema" not in stored:
        raise UserError(
            f"--out {out}: it holds results of schema 1, which 'tunebench report' reads, but a run of this version "
            f"(schema {SCHEMA}) cannot continue. Choose another --out."
        )
    try:
        return Plan.model_validate(stored)
    except ValidationError:
        return None


def failed_runs(out: Path, runs: Sequence[Run]) -> list[tuple[str, str]]:
    """The failed runs among these, with their reasons."""
    results = ((run, read_result(out / "runs" / run.id)) for run in runs)
    return [(run.id, result.reason) for run, result in results if isinstance(result, Failed)]


def unwritable(out: Path, error: OSError) -> UserError:
    """The error for an output folder that cannot be written."""
    return UserError(f"--out {out}: it cannot be written ({error.strerror}). Choose another folder.")
