"""The finished runs that are served, by name: loaded where they answer, exchanged without losing a question."""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError, did_you_mean, shown
from tunebench.records import Done, read_result
from tunebench.serve.backbones import Backbones
from tunebench.serve.finished import FinishedRun
from tunebench.serve.served import Served
from tunebench.study import RUN_FILE, read_run

_RESULT = "result.json"
_NAME = re.compile(r"[\w.+@-]{1,200}")
Stamp = tuple[int, int, int]
"""Of a result's file: another one shows that the run was made again."""


@dataclass(frozen=True)
class ServedModel:
    """A run under its name.

    Attributes:
        name: what a request calls it.
        served: the run in memory.
        stamp: of its result when it was loaded.
    """

    name: str
    served: Served
    stamp: Stamp

    def described(self) -> dict[str, Any]:
        """For `/v1/models`: no path of this machine."""
        finished = self.served.finished
        run, done = finished.run, finished.done
        metric = done.main_metric
        return {
            "id": self.name,
            "object": "model",
            "owned_by": "tunebench",
            "run": run.id,
            "task": run.task.name,
            "objective": run.task.objective,
            "technique": run.technique,
            "model": run.model if run.entry.reads_model else None,
            "labels": list(done.data.labels),
            "second_text": run.task.second if run.task.second_column is not None else None,
            "test": {"metric": metric.name, "value": metric.value},
        }


class Models:
    """Those that are served.

    Args:
        backbones: what they share.
        folders: a model's name -> its folder now.
        allowed: the folder whose runs may be added while the server runs; None: none may.
    """

    def __init__(self, backbones: Backbones, folders: Mapping[str, str], allowed: Path | None = None):
        self.folders = folders
        self._backbones, self._allowed = backbones, allowed
        self._models: dict[str, ServedModel] = {}

    def names(self) -> list[str]:
        """In the order in which they were added."""
        return list(self._models)

    def all(self) -> list[ServedModel]:
        """In this order, too."""
        return list(self._models.values())

    def named(self, name: str) -> ServedModel:
        """The model of this name.

        Raises:
            UserError: there is none.
        """
        model = self._models.get(name)
        if model is None:
            raise UserError(f"model '{shown(name)}': it is not served. {did_you_mean(name, self._models)}")
        return model

    def add(self, name: str, folder: Path) -> ServedModel:
        """Load the run in a folder under a name, which may be another run's until now.

        Raises:
            UserError: as `FinishedRun.load`, its model is unavailable, or the name is none.
        """
        if not _NAME.fullmatch(name):
            raise UserError(f"'{shown(name)}' is no name of a served run. Give letters, digits and any of . _ - + @")
        stamp = _stamp(folder)
        run = read_run(folder)[0] if (folder / RUN_FILE).is_file() else None
        moved = {key: place for key, place in self.folders.items() if run is not None and key == run.model}
        finished = FinishedRun.load(folder, moved, self._backbones)
        model = self._models[name] = ServedModel(name, Served(finished, self._backbones), stamp)
        return model

    def remove(self, name: str) -> None:
        """Serve it no more; questions that wait for it are answered.

        Raises:
            UserError: there is none of this name.
        """
        self.named(name)
        del self._models[name]

    def addable(self, run: str) -> Path:
        """The folder of a run under the allowed folder, by its place in there: no path of a request is ever opened.

        Raises:
            UserError: none may be added, or there is no such finished run.
        """
        if self._allowed is None:
            raise UserError("This server was started without --allow DIR, so no run can be added.")
        known = {str(path.parent.relative_to(self._allowed)): path.parent for path in _results(self._allowed)}
        if run not in known:
            raise UserError(f"run '{shown(run)}': there is no such finished run. {did_you_mean(run, known)}")
        return known[run]

    def reload_changed(self, call: Callable[[Callable[[], Any]], "Future[Any]"]) -> "list[tuple[str, Future[Any]]]":
        """Load again what was made again since; the old run answers until the new one is there."""
        changed = []
        for model in self.all():
            folder = model.served.finished.folder
            try:
                if _stamp(folder) == model.stamp or not isinstance(read_result(folder), Done):
                    continue
            except (OSError, UserError):
                continue  # it is being made again, or was removed: the loaded one answers
            changed.append((model.name, call(lambda name=model.name, folder=folder: self.add(name, folder))))
        return changed


def _results(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob(_RESULT)) if (path.parent / RUN_FILE).is_file()]


def _stamp(folder: Path) -> Stamp:
    try:
        status = (folder / _RESULT).stat()
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_mtime_ns, status.st_size
