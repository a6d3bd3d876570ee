"""A run: its identity, where its model and data lie, and the `run.json` that keeps both."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import SerializeAsAny, TypeAdapter, ValidationError, model_validator

from tunebench._util.base import Strict
from tunebench._util.errors import UserError
from tunebench._util.files import read_json, write_json
from tunebench.families import families
from tunebench.records import SCHEMA, Notice, PlannedRun, RunInfo
from tunebench.study.training import Training
from tunebench.tasks.base import Files, Split, Splitting, Task
from tunebench.tasks.weighing import WeighingTask
from tunebench.techniques import techniques
from tunebench.techniques.base import Entry

OWN = "own"
"""`data` of a run's task that reads the user's own files; where they lie is a matter of `Places`."""


class Places(Strict):
    """Where models and data lie on one machine. No figure depends on it, so no run's id covers it.

    Attributes:
        models: a model's name -> its folder, absolute; a model that is left out is looked for on the hub.
        data_root: folder of the built-in tasks' data, `<data set>/<split>.parquet`.
        files: a task's name -> the user's own file, or a file per split, as the study writes them.
    """

    models: dict[str, str] = {}
    data_root: str | None = None
    files: dict[str, Files | dict[Split, Files]] = {}

    def of(self, run: "Run") -> "Places":
        """Those that a run needs."""
        return Places(
            models={name: folder for name, folder in self.models.items() if name == run.model},
            data_root=self.data_root,
            files={name: files for name, files in self.files.items() if name == run.task.name},
        )

    def located(self, task: Task) -> Task:
        """A run's task with the location of the user's own files.

        Raises:
            UserError: nothing says where they lie.
        """
        if task.data != OWN:
            return task
        if task.name not in self.files:
            raise UserError(f"task '{task.name}': nothing says where its files lie. Run the study again.")
        return task.model_copy(update={"data": self.files[task.name]})


PoolingChoice = Literal["auto", "first", "mean"]
"""How the vector of a text is made; auto: as the checkpoint says."""


Measure = Literal["forgetting", "energy"]
"""What is measured only where a study asks for it."""


class Run(Strict):
    """One technique on one model and task with one seed: the unit that is executed, recorded and resumed.

    It holds what can change a figure, and no path: where things lie is in `Places`.

    Attributes:
        model: the model's name: a hub id, a folder's name, or the name that the study gives it.
        hub: the hub id of a model to which the study gives another name.
        measure: what else is measured; no other figure depends on it.
    """

    model: str
    hub: str | None = None
    revision: str | None
    pooling: PoolingChoice = "auto"
    task: SerializeAsAny[Task]
    technique: str
    entry: SerializeAsAny[Entry]
    label: str
    seed: int
    training: Training
    measure: tuple[Measure, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _entry_by_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("entry"), dict):
            return {**values, "entry": techniques()[values["technique"]].model_validate(values["entry"])}
        return values

    @property
    def id(self) -> str:
        """The name of its folder; the hash covers everything that can change its figures."""
        content = {"schema": SCHEMA, **self.model_dump(mode="json", exclude={"label"})}
        for field in ("title", "caveats", "licence", "citation"):
            content["task"].pop(field, None)
        # Younger than schema 2: where they say nothing, ids stay as they were.
        if self.hub is None:
            del content["hub"]
        if self.task.split == Splitting():
            del content["task"]["split"]
        elif self.task.split.column is None:
            del content["task"]["split"]["column"], content["task"]["split"]["values"]
        if self.task.hub is not None and self.task.hub.config is None:
            del content["task"]["hub"]["config"]
        for field in _silent(self.task):
            del content["task"][field]
        unsaid = ("checkpoint_seconds", "cache_gigabytes")  # when to save and how much to keep
        for field in (*unsaid, *self.training.silent):
            del content["training"][field]
        if self.entry.version > 1:
            content["version"] = self.entry.version
        if not self.measure:
            del content["measure"]
        if self.pooling == "auto":  # what the checkpoint's files say is covered by its fingerprint
            del content["pooling"]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
        model, task = (re.sub(r"[^\w.-]+", "_", name)[-60:].strip("_.-") for name in (self.model, self.task.name))
        return f"{model}--{task}--{self.technique}--s{self.seed}--{digest}"

    @property
    def source(self) -> str:
        """What finds its model where no folder is known: the hub id, or the name of a shipped model."""
        return self.hub or self.model

    def planned(self, family: str) -> PlannedRun:
        """The run as the plan lists it."""
        return PlannedRun(
            id=self.id,
            model=self.model,
            family=family,
            task=self.task.name,
            technique=self.technique,
            label=self.label,
            seed=self.seed,
        )

    def info(self, family: str) -> RunInfo:
        """The run as its record names it."""
        posed = self.task.objective_of(families()[family].auto_classes) or self.task.objective
        return RunInfo(
            id=self.id,
            model=self.model,
            revision=self.revision,
            pooling=self.pooling,
            family=family,
            task=self.task.name,
            task_version=self.task.version,
            task_settings={"objective": posed}
            | self.task.model_dump(mode="json", include={"max_tokens", "rows"})
            | {name: value for name, value in self.task.particular(posed).items() if name not in _silent(self.task)},
            technique=self.technique,
            label=self.label,
            settings=self.entry.model_dump(mode="json"),
            seed=self.seed,
            training=self.training.model_dump(exclude={*self.training.silent}),
        )


def _silent(task: Task) -> list[str]:
    """Fields that leave the loss as it is; runs that are older than they have none."""
    return [name for name in task.weighing if name not in task.changed_loss] if isinstance(task, WeighingTask) else []


RUN_FILE = "run.json"


_NOTICES = TypeAdapter(tuple[Notice, ...])


def write_run(folder: Path, run: Run, places: Places, notices: Sequence[Notice] = ()) -> None:
    """Write `run.json`: the run, where its model and data lay when it was made, and why it is made again.

    Raises:
        OSError: the folder cannot be written.
    """
    content = {"schema": SCHEMA, "run": run.model_dump(mode="json"), "places": places.of(run).model_dump(mode="json")}
    write_json(folder / RUN_FILE, {**content, "notices": [notice.model_dump(mode="json") for notice in notices]})


def earlier_notices(folder: Path) -> tuple[Notice, ...]:
    """Why the run that was begun here is made again; empty if it is not, or nothing readable was begun."""
    stored = read_json(folder / RUN_FILE) or {}
    try:
        return _NOTICES.validate_python(stored.get("notices", []))
    except ValidationError:
        return ()


def read_run(folder: Path) -> tuple[Run, Places]:
    """The run of a folder, and where its model and data lay when it was made.

    Raises:
        UserError: there is no `run.json`, it is damaged, or another version wrote it.
    """
    stored = read_json(folder / RUN_FILE)
    if stored is None:
        raise UserError(f"{folder}: this is no folder of a run ({RUN_FILE} cannot be read). Give OUT/runs/<run>.")
    if "run" not in stored and "technique" in stored:
        raise UserError(
            f"{folder}: schema 1 of tunebench wrote its {RUN_FILE}; this version reads schema {SCHEMA}. "
            "Run the study again."
        )
    try:
        return Run.model_validate(stored["run"]), Places.model_validate(stored["places"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{folder}: its {RUN_FILE} is damaged, or another version wrote it. Run the study again."
        ) from error
