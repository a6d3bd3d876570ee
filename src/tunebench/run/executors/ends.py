"""What is recorded of a run whose process ended without a result."""

from pathlib import Path

from tunebench._util.errors import UserError
from tunebench.engine.events import ResultWritten
from tunebench.records import Failed, write_result
from tunebench.run.job import Job


def failed(job: Job, reason: str, out: Path) -> ResultWritten:
    """Record a run that failed with its process.

    Raises:
        UserError: the output folder cannot be written any more.
    """
    return written(job, Failed(reason=reason, run=job.run.info(job.family), environment={}), out)


def written(job: Job, result: Failed, out: Path) -> ResultWritten:
    """Write the result of a job in the study's folder `out`.

    Raises:
        UserError: the output folder cannot be written any more.
    """
    folder = Path(job.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text(result.reason + "\n", "utf-8")
        write_result(folder, result)
    except OSError as error:
        raise unwritable(out, f"it cannot be written ({error.strerror})") from error
    return ResultWritten(status="failed", reason=result.reason)


def unwritable(out: Path, reason: str) -> UserError:
    """The error that ends the command."""
    return UserError(
        f"--out {out}: {reason}. Correct that and repeat the command: finished runs are "
        "kept, and the interrupted one continues."
    )
