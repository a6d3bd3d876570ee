"""Where runs are made: what `--on` and its options say."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tunebench._util.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from tunebench.run.executors.base import Executor

Opening = Callable[[Path, int], "Executor"]
"""Opens an executor for a study's folder and at least so many jobs."""

ON = ("local", "slurm")


def here(workers: int | None) -> Opening:
    """Worker processes on this machine; None: as many as it has room for."""

    def opened(out: Path, jobs: int) -> "Executor":
        from tunebench.run.executors.local import Local

        return Local(out, jobs, workers)

    return opened


def chosen(on: str, workers: str | None, partition: str | None, minutes: int | None, options: Sequence[str]) -> Opening:
    """What a command's options ask for.

    Raises:
        UserError: an option is none, or is for another executor.
    """
    if on == "slurm":
        return _slurm(_count(workers), partition, minutes, options)
    if on != "local":
        raise UserError(f"--on {on}: there is no such executor. {did_you_mean(on, ON)}")
    if partition or minutes or options:
        raise UserError("--slurm-partition, --slurm-time and --slurm are for --on slurm.")
    return here(1 if workers is None else _count(workers))


def _slurm(workers: int | None, partition: str | None, minutes: int | None, options: Sequence[str]) -> Opening:
    if find_spec("submitit") is None:
        raise UserError("--on slurm: submitit is not installed. Run: pip install 'tunebench[slurm]'")
    extra = {}
    for option in options:
        name, is_pair, value = option.partition("=")
        if not is_pair or not name or not value:
            raise UserError(f"--slurm {option}: write an option of sbatch as NAME=VALUE, such as gpus-per-node=1.")
        extra[name.lstrip("-")] = value

    def opened(out: Path, jobs: int) -> "Executor":
        from tunebench.run.executors.slurm import Slurm, SlurmOptions

        standard = SlurmOptions()
        return Slurm(
            out,
            SlurmOptions(
                partition=partition,
                minutes=minutes or standard.minutes,
                extra=extra,
                at_once=workers or standard.at_once,
            ),
        )

    return opened


def _count(workers: str | None) -> int | None:
    if workers is None or workers == "auto":
        return None
    if not workers.isdecimal() or int(workers) < 1:
        raise UserError(f"--workers {workers}: give a number from 1 up, or auto.")
    return int(workers)
