"""Where runs are made: what `--on` and its options say."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebench._util.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from tunebench.run.executors.base import Executor

Opening = Callable[[Path, int], "Executor"]
"""Opens an executor for a study's folder and at least so many jobs."""

ON = ("local", "slurm", "ray")

_RAY = {
    "num_cpus": "1 or more",
    "num_gpus": "1, or 0.5 for two runs on one",
    "memory": "8G",
    "accelerator_type": "A100",
    "cache": "/scratch/tunebench",
}
"""What `--ray NAME=VALUE` takes, with examples."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class WhereOptions:
    """What a command's options say of where runs are made; None and nothing where an option is not given."""

    on: str = "local"
    workers: str | None = None
    slurm_partition: str | None = None
    slurm_time: int | None = None
    slurm: Sequence[str] = ()
    ray_address: str | None = None
    ray: Sequence[str] = ()


def here(workers: int | None) -> Opening:
    """Worker processes on this machine; None: as many as it has room for."""

    def opened(out: Path, jobs: int) -> "Executor":
        from tunebench.run.executors.local import Local

        return Local(out, jobs, workers)

    return opened


def chosen(asked: WhereOptions) -> Opening:
    """What a command's options ask for.

    Raises:
        UserError: an option is none, or is for another executor.
    """
    if asked.on not in ON:
        raise UserError(f"--on {asked.on}: there is no such executor. {did_you_mean(asked.on, ON)}")
    if asked.on != "slurm" and (asked.slurm_partition or asked.slurm_time or asked.slurm):
        raise UserError("--slurm-partition, --slurm-time and --slurm are for --on slurm.")
    if asked.on != "ray" and (asked.ray_address or asked.ray):
        raise UserError("--ray-address and --ray are for --on ray.")
    workers = _count(asked.workers)
    if asked.on == "slurm":
        return _slurm(workers, asked)
    if asked.on == "ray":
        return _ray(workers, asked)
    return here(1 if asked.workers is None else workers)


def refuse_address(out: Path | None) -> None:
    """A study's folder is a folder.

    Raises:
        UserError: it is an address, such as s3://bucket/study.
    """
    scheme = re.match(r"([a-z][a-z0-9+.-]+):/", str(out or ""))
    if scheme:
        raise UserError(
            f"--out {scheme[1]}://...: a study's folder is a folder of this machine, because its files are locked and "
            "changed in place, which an object store cannot do. Give a folder that all machines share (NFS, Lustre, "
            "FSx, Filestore), and copy it to the store when the study has ended."
        )


def _slurm(workers: int | None, asked: WhereOptions) -> Opening:
    if find_spec("submitit") is None:
        raise UserError("--on slurm: submitit is not installed. Run: pip install 'tunebench[slurm]'")
    extra = {}
    for option in asked.slurm:
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
                partition=asked.slurm_partition,
                minutes=asked.slurm_time or standard.minutes,
                extra=extra,
                at_once=workers or standard.at_once,
            ),
        )

    return opened


def _ray(workers: int | None, asked: WhereOptions) -> Opening:
    if find_spec("ray") is None:
        raise UserError("--on ray: Ray is not installed. Run: pip install 'tunebench[ray]'")
    given = dict(_ray_option(option) for option in asked.ray)

    def opened(out: Path, jobs: int) -> "Executor":
        from tunebench.run.executors.ray import Ray, RayOptions

        return Ray(out, RayOptions(address=asked.ray_address, at_once=workers, **given))

    return opened


def _ray_option(option: str) -> tuple[str, Any]:
    """A name and its value.

    Raises:
        UserError: there is no such option, or it has no such value.
    """
    name, _, value = option.partition("=")
    if name not in _RAY:
        raise UserError(f"--ray {option}: there is no such option. {did_you_mean(name, list(_RAY))}")
    mistake = UserError(f"--ray {option}: write --ray {name}={_RAY[name]}.")
    if name == "cache" and Path(value).is_absolute():
        return name, value
    if name == "accelerator_type" and value:
        return name, value
    if name == "memory":
        size = re.fullmatch(r"(\d+)([KMGT]?)B?", value)
        if size and int(size[1]):
            return name, int(size[1]) * _UNITS[size[2]]
    if name in ("num_cpus", "num_gpus"):
        return name, _amount(value, mistake, least=1 if name == "num_cpus" else 0)
    raise mistake


def _amount(value: str, mistake: UserError, least: int) -> float:
    """A number of cores or GPUs: whole, or below one.

    Raises:
        UserError: it is none.
    """
    try:
        amount = float(value)
    except ValueError:
        raise mistake from None
    if not math.isfinite(amount) or amount < least or (amount > 1 and amount != int(amount)):
        raise mistake
    return amount


def _count(workers: str | None) -> int | None:
    if workers is None or workers == "auto":
        return None
    if not workers.isdecimal() or int(workers) < 1:
        raise UserError(f"--workers {workers}: give a number from 1 up, or auto.")
    return int(workers)
