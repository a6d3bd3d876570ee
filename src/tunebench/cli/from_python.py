"""`tunebench.run(study)`: what the command of that name does, called from Python."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunebench._util.errors import UserError
from tunebench.cli.leaderboards import print_leaderboards
from tunebench.cli.options import OpenedStudy, changed_study
from tunebench.cli.printing import say
from tunebench.cli.where import here
from tunebench.cli.whole_study import make_study

if TYPE_CHECKING:
    import pandas

    from tunebench.study import Study


def run(
    study: "Study | Mapping[str, Any] | str | os.PathLike[str]",
    out: str | os.PathLike[str] | None = None,
    *,
    only: str | None = None,
    seeds: int | None = None,
    workers: int | Literal["auto"] = 1,
    data: Literal["embedded"] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    models: Mapping[str, str | os.PathLike[str]] | None = None,
) -> "pandas.DataFrame":
    """Make all runs of a study that have no result yet, with a progress bar, then write its report.

    Folder, runs and resuming are those of `tunebench run`: each continues what the other began. Runs are made in
    processes of their own, so a script needs no `if __name__ == "__main__":`.

    Args:
        study: a `tunebench.Study`, a dict with a study's fields, a built-in name, or the path of a YAML file.
        out: output folder; default: runs/<study>.
        only: cells to run, FAMILY/TASK/TECHNIQUE with `*`.
        seeds: seeds 0 to N-1 instead of the study's.
        workers: runs at once, or "auto": one per GPU, or one per core without GPUs.
        data: "embedded": the small data sets that tunebench ships.
        data_root: folder of built-in tasks' data.
        models: local folder of each model by its name.

    Returns:
        A DataFrame of the study's runs, as `tunebench.results` gives it; failed runs are rows, too.

    Raises:
        UserError: the study or an option has a mistake, or the folder cannot be written.
        KeyboardInterrupt: Ctrl-C or the notebook's stop button; workers have ended, and finished runs and the report
            so far are kept.
    """
    from rich.console import Console

    from tunebench import report as reports
    from tunebench.run.folder import failed_runs, locked

    count = _worker_count(workers)
    opened = _opened(study, out, seeds, data, data_root, models)
    target = Path(out) if out is not None else Path("runs") / opened.study.name
    with locked(target):
        opened, interrupted = make_study(opened, target, only, here(count))
        page, leaderboards = reports.build_with_leaderboards(target)
    if not Console().is_jupyter:  # a notebook shows the result
        print_leaderboards(leaderboards)
    say(f"Report: {page}")
    for name, reason in failed_runs(target, opened.runs):
        say(f"failed: {name}: {reason}")
    if interrupted:
        raise KeyboardInterrupt("Finished runs are kept; the same call continues.")
    return reports.results(target)


def load_study(study: "Study | Mapping[str, Any] | str | os.PathLike[str]") -> "Study":
    """A study by built-in name, path of a YAML file, or from a dict with its fields. A notebook shows it as a table.

    Raises:
        UserError: no such study, or a mistake in it, named with its place, its value and the way out.
    """
    return _read(study)[0]


def _read(study: Any) -> "tuple[Study, str]":
    """A study with its text."""
    from tunebench.study import Study, read_study, study_of
    from tunebench.study.written import as_yaml

    if isinstance(study, str | os.PathLike):
        return read_study(os.fspath(study))
    if not isinstance(study, Study | Mapping):
        raise UserError(
            "a study is a tunebench.Study, a dict, a built-in name or the path of a YAML file, not "
            f"{type(study).__name__}."
        )
    text = as_yaml(study)
    return (study if isinstance(study, Study) else study_of(text)), text


def _opened(study: Any, out: Any, seeds: int | None, data: str | None, data_root: Any, models: Any) -> OpenedStudy:
    read, text = _read(study)
    if seeds is not None and not 1 <= seeds <= 10_000:
        raise UserError(f"seeds={seeds}: give a number from 1 to 10,000.")
    folders = {name: str(Path(path).expanduser().absolute()) for name, path in (models or {}).items()}
    opened = changed_study(read, text, folders, Path(data_root) if data_root is not None else None, data, seeds)
    named = os.fspath(study) if isinstance(study, str | os.PathLike) else "study.yaml"
    options = {
        "out": None if out is None else os.fspath(out),
        "seeds": seeds,
        "data": data,
        "data_root": None if data_root is None else os.fspath(data_root),
        "models": folders or None,
    }
    given = [repr(named), *(f"{name}={value!r}" for name, value in options.items() if value is not None)]
    return replace(opened, command=f"tunebench.run({', '.join(given)})")


def _worker_count(value: int | str) -> int | None:
    if value == "auto":
        return None
    if not isinstance(value, int) or value < 1:
        raise UserError(f'workers={value!r}: give a number from 1 up, or "auto".')
    return value
