"""A study: what to compare. Parsing, expansion to runs, identity, places. No torch, no network, no data is read."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tunebench._util import documents
from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.files import read_json, write_json
from tunebench.engine.schedule import Schedule
from tunebench.families import families
from tunebench.records import SCHEMA, RunInfo
from tunebench.tasks import tasks
from tunebench.tasks.base import EMBEDDED, Split, Task, problem_of
from tunebench.techniques import techniques
from tunebench.techniques.base import Entry


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Training(_Part):
    """The budget, the same for every technique of an experiment; the learning rate is the technique's own."""

    epochs: int = Field(default=5, ge=1, description="at most so many passes over the training split")
    batch_size: int = Field(default=16, ge=1, description="examples an optimizer step")
    micro_batch_size: int | None = Field(
        default=None, ge=1, description="examples at once in memory; gradients accumulate"
    )
    patience: int = Field(default=3, ge=1, description="stop after so many epochs without a better validation score")
    warmup_fraction: float = Field(
        default=0.06, ge=0, lt=1, description="share of all steps with a rising learning rate"
    )
    schedule: Schedule = Field(
        default="linear", description="what follows: down to zero at the end, or Vaswani et al. 2017, 5.3"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW, on matrices only")
    max_gradient_norm: float = Field(default=1.0, gt=0, description="gradients are clipped to this norm")
    precision: Literal["auto", "bf16", "float32"] = Field(
        default="auto", description="auto: bf16 where the hardware is fast at it"
    )
    evaluation_batch_tokens: int = Field(default=4096, ge=1, description="padded tokens a batch where nothing trains")
    validation_rows: int | None = Field(
        default=None, ge=1, description="epochs are compared on so many validation examples, drawn with seed 0"
    )
    validation_beams: int | None = Field(
        default=1, ge=1, description="epochs are compared by answers of so many beams; null: the task's"
    )
    cache_gigabytes: float = Field(
        default=4.0, ge=0, description="budget for kept outputs of frozen stages; 0 keeps none"
    )
    checkpoint_seconds: float = Field(default=60.0, ge=0, description="time between checkpoints to resume from")


class TechniqueChoice(_Part):
    """A technique with its settings, as one item of an experiment's list."""

    name: str
    entry: SerializeAsAny[Entry]

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, item: Any) -> Any:
        return _choice(item)


class Experiment(_Part):
    """One model on one task with several techniques."""

    model: str = Field(min_length=1, description="hub id, or a local folder")
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    task: SerializeAsAny[Task]
    techniques: tuple[TechniqueChoice, ...] = Field(min_length=1)
    training: dict[str, Any] = {}

    @field_validator("task", mode="before")
    @classmethod
    def _task_by_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _built_in(value)
        if isinstance(value, dict) and value.get("data") in (None, EMBEDDED):
            base = _built_in(value.get("name"))
            kept = base.model_dump(exclude={"metrics"} if "objective" in value else set())
            known = problem_of(value.get("objective", base.objective)).model_fields
            return {**{name: field for name, field in kept.items() if name in known}, **value}
        if isinstance(value, dict) and "name" not in value:
            data = value["data"]
            if isinstance(data, dict) and not isinstance(data.get("train"), str):
                raise ValueError("data names no train file. Give data: FILE, or data: {train: FILE, ...}.")
            return {**value, "name": Path(data["train"] if isinstance(data, dict) else str(data)).stem}
        return value


def _built_in(name: Any) -> Task:
    if not isinstance(name, str) or name not in tasks():
        raise ValueError(
            f"there is no task '{name}'. {did_you_mean(str(name), tasks())} "
            "Own files: task: {objective: ..., data: FILE, columns: {...}}."
        )
    return tasks()[name]


def _choice(item: Any) -> Any:
    """A list item, `lora` or `{name: lora, rank: 8}`, as a TechniqueChoice's fields."""
    settings = {"name": item} if isinstance(item, str) else item
    if not isinstance(settings, dict) or not isinstance(settings.get("name"), str):
        raise ValueError(f"{item!r} is no technique. Write a name, or {{name: lora, rank: 8}}.")
    name = settings["name"]
    if name not in techniques():
        raise ValueError(f"there is no technique '{name}'. {did_you_mean(name, techniques())}")
    cls = techniques()[name]
    for field in settings:
        if field != "name" and field not in cls.model_fields and cls.model_config.get("extra") != "allow":
            ways_out = did_you_mean(field, cls.model_fields) if cls.model_fields else "It has no settings."
            text = f"{name} has no field '{field}'. {ways_out}"
            problem = PydanticCustomError("unknown_setting", "{text}", {"text": text})
            raise ValidationError.from_exception_data(name, [{"type": problem, "loc": (field,), "input": item}])
    return {"name": name, "entry": cls.model_validate({k: v for k, v in settings.items() if k != "name"})}


class Study(_Part):
    """A whole comparison."""

    name: str = Field(pattern=r"^\w[\w.-]*$")
    description: str = ""
    data: Literal["embedded"] | None = Field(
        None, description="embedded: the small data sets that tunebench ships, for built-in tasks"
    )
    seeds: tuple[NonNegativeInt, ...] = Field((0,), min_length=1)
    training: Training = Training()
    experiments: tuple[Experiment, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _trainings_merge(self) -> "Study":
        for index, experiment in enumerate(self.experiments):
            try:
                self.training_of(experiment)
            except ValidationError as error:
                problem = error.errors()[0]
                place = documents.place(("experiments", index, "training", *problem["loc"]))
                raise ValueError(f"{place}: {documents.sentence(problem, Training)}") from None
        return self

    def training_of(self, experiment: Experiment) -> Training:
        """The study's training with the experiment's changes."""
        return Training.model_validate({**self.training.model_dump(), **experiment.training})

    def with_seeds(self, count: int) -> "Study":
        """The same study with seeds 0 to count - 1."""
        return self.model_copy(update={"seeds": tuple(range(count))})

    def on_embedded_data(self) -> "Study":
        """The same study with built-in tasks on the data that tunebench ships."""
        return self.model_copy(update={"data": EMBEDDED})

    def on_data_root(self) -> "Study":
        """The same study with built-in tasks on the data of a data root, whatever its `data` says."""
        return self.model_copy(update={"data": None})

    def runs(self) -> list["Run"]:
        """Every run, experiments first, then techniques, then seeds.

        Raises:
            UserError: two cells are the same, or one name stands for two models or two data sets.
        """
        self._refuse_ambiguous_names()
        runs = [
            Run(
                model=model_name(experiment.model),
                revision=experiment.revision,
                task=self._with_data(experiment.task),
                technique=choice.name,
                entry=choice.entry,
                label=label,
                seed=seed,
                training=self.training_of(experiment),
            )
            for experiment in self.experiments
            for choice, label in zip(experiment.techniques, _labels(experiment.techniques), strict=True)
            for seed in self.seeds
        ]
        seen: set[str] = set()
        for run in runs:
            if run.id in seen:
                raise UserError(
                    f"study '{self.name}': {run.model} x {run.task.name} x {run.label} stands in it twice. Remove one."
                )
            seen.add(run.id)
        return runs

    def places(self, models: Mapping[str, str] | None = None, data_root: str | None = None) -> "Places":
        """Where the study's models and data lie on this machine.

        Args:
            models: `--model`, a model's name (as the study writes it, or as its runs do) -> a local folder.
            data_root: `--data-root`.

        Raises:
            UserError: `models` names a model that the study does not have.
        """
        written = {experiment.model for experiment in self.experiments}
        found = {model_name(model): _absolute(model) for model in written if _is_path(model) or Path(model).is_dir()}
        names = written | {model_name(model) for model in written}
        for name, folder in (models or {}).items():
            if name not in names:
                raise UserError(f"--model {name}: the study has no such model. {did_you_mean(name, names)}")
            found[model_name(name)] = _absolute(folder)
        files = {task.name: task.data for task in self._tasks() if task.data not in (None, EMBEDDED)}
        return Places(models=found, data_root=data_root, files=files)

    def _tasks(self) -> list[Task]:
        return [experiment.task for experiment in self.experiments]

    def _with_data(self, task: Task) -> Task:
        """The task with the kind of its data in place of their location."""
        if task.data is None:
            return task if self.data is None else task.model_copy(update={"data": self.data})
        return task if task.data == EMBEDDED else task.model_copy(update={"data": OWN})

    def _refuse_ambiguous_names(self) -> None:
        models: dict[str, str] = {}
        for experiment in self.experiments:
            model = experiment.model
            other = models.setdefault(model_name(model), model)
            if _located(other) != _located(model):
                raise UserError(
                    f"study '{self.name}': the models {other} and {model} are both named '{model_name(model)}'. "
                    "Name one of them differently (model: NAME), and say where it lies with --model NAME=PATH."
                )
        files: dict[str, Any] = {}
        for task in self._tasks():
            if task.data not in (None, EMBEDDED) and files.setdefault(task.name, task.data) != task.data:
                raise UserError(
                    f"study '{self.name}': two tasks named '{task.name}' read different files "
                    f"({_listed(files[task.name])}; {_listed(task.data)}). Give one of them another name (name: NAME)."
                )


def model_name(model: str) -> str:
    """What a study's model is called: its name as written, or the folder's name where that is a path.

    A path begins with `/`, `~`, `./` or `../`. A name such as `models/bert` stays as it is, whether or not there is
    such a folder here: the name must be the same on every machine.
    """
    return Path(_absolute(model)).name or model if _is_path(model) else model


def _is_path(model: str) -> bool:
    return model in (".", "..", "~") or model.startswith(("./", "../", "~/")) or Path(model).is_absolute()


def _absolute(path: str) -> str:
    return os.path.normpath(Path(path).expanduser().absolute())  # links are not followed: a link's own name counts


def _located(model: str) -> str:
    return _absolute(model) if _is_path(model) else model


def _listed(files: Any) -> str:
    return ", ".join(files.values()) if isinstance(files, dict) else str(files)


OWN = "own"
"""`data` of a run's task that reads the user's own files; where they lie is a matter of `Places`."""


class Places(_Part):
    """Where models and data lie on one machine. No figure depends on it, so no run's id covers it.

    Attributes:
        models: a model's name -> its folder, absolute; a model that is left out is looked for on the hub.
        data_root: folder of the built-in tasks' data, `<data set>/<split>.parquet`.
        files: a task's name -> the user's own file, or a file per split, as the study writes them.
    """

    models: dict[str, str] = {}
    data_root: str | None = None
    files: dict[str, str | dict[Split, str]] = {}

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


class Run(_Part):
    """One technique on one model and task with one seed: the unit that is executed, recorded and resumed.

    It holds what can change a figure, and no path: where things lie is in `Places`.
    """

    model: str
    revision: str | None
    task: SerializeAsAny[Task]
    technique: str
    entry: SerializeAsAny[Entry]
    label: str
    seed: int
    training: Training

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
        for field in ("checkpoint_seconds", "cache_gigabytes"):  # when to save and how much to keep
            del content["training"][field]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
        model, task = (re.sub(r"[^\w.-]+", "_", name)[-60:].strip("_.-") for name in (self.model, self.task.name))
        return f"{model}--{task}--{self.technique}--s{self.seed}--{digest}"

    def info(self, family: str) -> RunInfo:
        """The run as its record names it."""
        posed = self.task.objective_of(families()[family].auto_classes) or self.task.objective
        return RunInfo(
            id=self.id,
            model=self.model,
            revision=self.revision,
            family=family,
            task=self.task.name,
            task_version=self.task.version,
            task_settings={"objective": posed}
            | self.task.model_dump(mode="json", include={"max_tokens", "rows"})
            | self.task.particular(posed),
            technique=self.technique,
            label=self.label,
            settings=self.entry.model_dump(mode="json"),
            seed=self.seed,
            training=self.training.model_dump(),
        )


RUN_FILE = "run.json"


def write_run(folder: Path, run: Run, places: Places) -> None:
    """Write `run.json`: the run, and where its model and data lay when it was made.

    Raises:
        OSError: the folder cannot be written.
    """
    content = {"schema": SCHEMA, "run": run.model_dump(mode="json"), "places": places.of(run).model_dump(mode="json")}
    write_json(folder / RUN_FILE, content)


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
    except (KeyError, ValidationError) as error:
        raise UserError(
            f"{folder}: its {RUN_FILE} is damaged, or another version wrote it. Run the study again."
        ) from error


def _labels(choices: Sequence[TechniqueChoice]) -> list[str]:
    """Names for tables: the technique's, with the settings that tell it from others of its name."""
    labels = []
    for choice in choices:
        siblings = [other.entry.model_dump() for other in choices if other.name == choice.name]
        settings = choice.entry.model_dump()
        differing = [key for key in settings if any(other[key] != settings[key] for other in siblings)]
        labels.append(" ".join([choice.name, *(f"{key}={_shown(settings[key])}" for key in differing)]))
    return labels


def _shown(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# Reading --------------------------------------------------------------------------------------------------------------


def built_in_studies() -> dict[str, str]:
    """Name -> YAML text of the studies that tunebench ships."""
    return documents.shipped("zoo/studies")


def read_study(name: str) -> tuple[Study, str]:
    """A study and its text, by built-in name or path of a YAML file.

    Raises:
        UserError: no such study, no YAML, or a mistake in it, named with its place, its value and the way out.
    """
    inside = {"experiments": Experiment, "training": Training, "task": Task}
    return documents.read(name, Study, inside, built_in_studies())
