"""A study file: its parts, and the runs and places that they mean."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field, NonNegativeInt, ValidationError, model_validator

from tunebench._util import documents
from tunebench._util.base import Strict
from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.files import absolute
from tunebench._util.ranges import Range
from tunebench.study.experiment import Experiment, TechniqueChoice, labels_of
from tunebench.study.models import ModelChoice
from tunebench.study.notebook import html_of
from tunebench.study.run import OWN, Measure, Places, Run
from tunebench.study.search import FINAL_SEEDS, TRIAL_SEED, Search
from tunebench.study.training import AutoEpochs, StudyTraining
from tunebench.tasks.base import EMBEDDED, Task
from tunebench.tasks.origin import written
from tunebench.tasks.weighing import WeighingTask
from tunebench.techniques.base import Entry, Technique, Trained


@dataclass(frozen=True)
class Searched:
    """A technique whose settings are searched.

    Attributes:
        place: its experiment and its place there, counted from 0.
        run: its first trial.
        ranges: what the study lets the search draw settings from.
        fixed: settings to which the study gives one value.
    """

    place: tuple[int, int]
    run: Run
    ranges: Mapping[str, Range]
    fixed: frozenset[str]


@dataclass(frozen=True)
class Unsettled:
    """A technique whose epochs are auto.

    Attributes:
        place: its experiment and its place there, counted from 0.
        run: with the epochs of the reference.
        reference: whose seconds it may use: the first of its name in the experiment, else with its defaults.
        auto: how the number is settled.
    """

    place: tuple[int, int]
    run: Run
    reference: Run
    auto: AutoEpochs


class Study(Strict):
    """A whole comparison: experiments, and what they share.

    Attributes:
        name: of the study, and of its output folder unless `--out` names another.
        description: one sentence for readers.
        data: `embedded`: built-in tasks use the small data sets that tunebench ships.
        seeds: each technique of each experiment runs once per seed.
        training: the budget of all experiments.
        search: the settings of each technique are searched within an equal budget; null: the study gives them.
        measure: what each run measures besides its scores and ordinary costs. `forgetting`: how much worse the tuned
            model models general text than the untuned one. `energy`: what it consumes, by CodeCarbon
            (`pip install 'tunebench[energy]'`).
        price_per_hour: of the machine, in any currency: the report then shows what tuning costs.
        experiments: what is compared.
    """

    name: str = Field(pattern=r"^\w[\w.-]*$")
    description: str = ""
    data: Literal["embedded"] | None = None
    seeds: tuple[NonNegativeInt, ...] = Field((0,), min_length=1)
    training: StudyTraining = StudyTraining()
    search: Search | None = None
    measure: tuple[Measure, ...] = ()
    price_per_hour: float | None = Field(None, ge=0, allow_inf_nan=False)
    experiments: tuple[Experiment, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _trainings_merge(self) -> "Study":
        for index, experiment in enumerate(self.experiments):
            try:
                self.training_of(experiment)
            except ValidationError as error:
                problem = error.errors()[0]
                place = documents.place(("experiments", index, "training", *problem["loc"]))
                raise ValueError(f"{place}: {documents.sentence(problem, StudyTraining)}") from None
        return self

    @model_validator(mode="after")
    def _auto_has_something_to_measure(self) -> "Study":
        for index, experiment in enumerate(self.experiments):
            trains = any(isinstance(choice.entry, Trained) for choice in experiment.techniques)
            if self.training_of(experiment).auto_epochs is not None and not trains:
                place = documents.place(("experiments", index, "techniques"))
                raise ValueError(
                    f"{place}: training.epochs is auto, and none of these techniques trains, so there is nothing to "
                    "measure. Give a number of epochs, or a technique that trains."
                )
        return self

    @model_validator(mode="after")
    def _ranges_are_searched(self) -> "Study":
        for index, experiment in enumerate(self.experiments):
            for number, choice in enumerate(experiment.techniques):
                if choice.ranges and self.search is None:
                    place = documents.place(("experiments", index, "techniques", number, next(iter(choice.ranges))))
                    raise ValueError(
                        f"{place}: it is a range, and the study has no search. "
                        "Add search: {trials: 9}, or give one value."
                    )
        return self

    @property
    def final_seeds(self) -> tuple[int, ...]:
        """The seeds of the runs that are compared."""
        return FINAL_SEEDS if self.search and "seeds" not in self.model_fields_set else self.seeds

    def training_of(self, experiment: Experiment) -> StudyTraining:
        """The study's training with the experiment's changes."""
        return self.training.changed(experiment.training)

    @property
    def unsettled(self) -> "list[Unsettled]":
        """The techniques whose epochs are auto: those that train, in experiments that say so."""
        return [
            one
            for number, experiment in enumerate(self.experiments)
            if (auto := self.training_of(experiment).auto_epochs) is not None
            for one in self._unsettled_in(number, auto)
        ]

    def settled(self, epochs: Mapping[tuple[int, int], int]) -> "Study":
        """The study with numbers in place of `epochs: auto`.

        Args:
            epochs: experiment and technique, counted from 0 -> its own number; others have the reference's.
        """
        experiments = []
        for number, experiment in enumerate(self.experiments):
            training = self.training_of(experiment)
            if training.auto_epochs is None:
                experiments.append(experiment)
                continue
            choices = tuple(
                choice.model_copy(update={"epochs": epochs.get((number, place), choice.epochs)})
                for place, choice in enumerate(experiment.techniques)
            )
            changes = {**experiment.training, "epochs": training.auto_epochs.epochs, "auto_epochs": None}
            experiments.append(experiment.model_copy(update={"techniques": choices, "training": changes}))
        return self.model_copy(update={"experiments": tuple(experiments)})

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html_of(self)

    def with_seeds(self, count: int) -> "Study":
        """The same study with seeds 0 to count - 1."""
        return self.model_copy(update={"seeds": tuple(range(count))})

    def on_embedded_data(self) -> "Study":
        """The same study with built-in tasks on the data that tunebench ships."""
        return self.model_copy(update={"data": EMBEDDED})

    def on_data_root(self) -> "Study":
        """The same study with built-in tasks on the data of a data root, whatever its `data` says."""
        return self.model_copy(update={"data": None})

    def runs(self) -> list[Run]:
        """Every run, experiments first, then techniques, then seeds.

        Raises:
            UserError: two cells are the same, one name stands for two models or two data sets, or epochs are unsettled.
        """
        self._refuse_ambiguous_names()
        runs = [run for experiment in self.experiments for run in self._runs_of(experiment)]
        seen: set[str] = set()
        for run in runs:
            if run.id in seen:
                raise UserError(
                    f"study '{self.name}': {run.model} x {run.task.name} x {run.label} stands in it twice. Remove one."
                )
            seen.add(run.id)
        return runs

    def places(self, models: Mapping[str, str] | None = None, data_root: str | None = None) -> Places:
        """Where the study's models and data lie on this machine.

        Args:
            models: `--model`, a model's name (as the study writes it, or as its runs do) -> a local folder.
            data_root: `--data-root`.

        Raises:
            UserError: `models` names a model that the study does not have.
        """
        choices = [experiment.model for experiment in self.experiments]
        folders = {choice.called: choice.folder for choice in choices if choice.folder is not None}
        names = {name: choice.called for choice in choices for name in (choice.written, choice.called)}
        for name, folder in (models or {}).items():
            if name not in names:
                raise UserError(f"--model {name}: the study has no such model. {did_you_mean(name, names)}")
            folders[names[name]] = absolute(folder)
        files = {task.name: task.data for task in self._tasks() if task.data not in (None, EMBEDDED)}
        return Places(models=folders, data_root=data_root, files=files)

    def measuring(self, run: Run) -> Run:
        """A trial's run with what the study measures of its final runs."""
        return run.model_copy(update={"measure": self._measured(run.entry)})

    def searched(self) -> list[Searched]:
        """Each technique of each experiment, as its first trial."""
        return [
            Searched((index, number), self._trial(experiment, choice, label), choice.ranges, choice.fixed)
            for index, experiment in enumerate(self.experiments)
            for number, (choice, label) in enumerate(_labelled(experiment))
        ]

    def chosen(self, settings: Mapping[tuple[int, int], Mapping[str, Any]]) -> "Study":
        """The study of the final runs: with these settings in place of a search.

        Args:
            settings: experiment and technique, counted from 0 -> what the search chose.
        """
        experiments = []
        for index, experiment in enumerate(self.experiments):
            choices: list[TechniqueChoice] = []
            for number, choice in enumerate(experiment.techniques):
                chosen = settings.get((index, number), {})
                entry = type(choice.entry).model_validate({**choice.entry.model_dump(), **chosen})
                one = TechniqueChoice.model_construct(name=choice.name, entry=entry, epochs=choice.epochs)
                if one not in choices:  # two searches of one technique may end at the same settings
                    choices.append(one)
            experiments.append(experiment.model_copy(update={"techniques": tuple(choices)}))
        update = {"search": None, "seeds": self.final_seeds, "experiments": tuple(experiments)}
        return self.model_copy(update=update)

    def _unsettled_in(self, number: int, auto: AutoEpochs) -> "Iterator[Unsettled]":
        experiment = self.settled({}).experiments[number]
        trials = [(choice, self._trial(experiment, choice, label)) for choice, label in _labelled(experiment)]
        default = TechniqueChoice.model_validate(auto.reference)
        reference = next(
            (run for choice, run in trials if choice.name == auto.reference),
            self._trial(experiment, default, auto.reference),
        )
        for place, (_, run) in enumerate(trials):
            if isinstance(run.entry, Trained):
                yield Unsettled((number, place), run, reference, auto)

    def _runs_of(self, experiment: Experiment) -> Iterator[Run]:
        for choice, label in _labelled(experiment):
            for seed in self.final_seeds:
                yield self._run(experiment, choice, label, seed)

    def _run(self, experiment: Experiment, choice: TechniqueChoice, label: str, seed: int) -> Run:
        pooling, task = experiment.pooling if choice.entry.reads_model else "auto", experiment.task
        apart = {} if pooling == "auto" else {"pooling": pooling}
        apart |= task.changed_loss if isinstance(task, WeighingTask) else {}
        return Run(
            model=experiment.model.called,
            hub=experiment.model.hub,
            revision=experiment.revision,
            pooling=pooling,
            task=self._with_data(task),
            technique=choice.name,
            entry=choice.entry,
            label=" ".join([label, *(f"{name}={_in_label(value)}" for name, value in apart.items())]),
            seed=seed,
            training=self.training_of(experiment).of_run(choice.epochs),
            measure=self._measured(choice.entry),
        )

    def _trial(self, experiment: Experiment, choice: TechniqueChoice, label: str) -> Run:
        """It only validates, so it measures nothing else."""
        return self._run(experiment, choice, label, TRIAL_SEED).model_copy(update={"measure": ()})

    def _measured(self, entry: Entry) -> tuple[Measure, ...]:
        """What the study asks for and the technique has: only tuned weights forget."""
        tuned = isinstance(entry, Technique) and entry.reads_weights
        return tuple(sorted({one for one in self.measure if one != "forgetting" or tuned}))

    def _tasks(self) -> list[Task]:
        return [experiment.task for experiment in self.experiments]

    def _with_data(self, task: Task) -> Task:
        """The task with the kind of its data in place of their location."""
        if task.data is None:
            return task if self.data is None else task.model_copy(update={"data": self.data})
        return task if task.data == EMBEDDED else task.model_copy(update={"data": OWN})

    def _refuse_ambiguous_names(self) -> None:
        models: dict[str, ModelChoice] = {}
        for experiment in self.experiments:
            model = experiment.model
            other = models.setdefault(model.called, model)
            if other.located != model.located:
                raise UserError(
                    f"study '{self.name}': the models {other.written} and {model.written} are both named "
                    f"'{model.called}'. Give one of them another name: model: {{path: FOLDER, name: NAME}}."
                )
        files: dict[str, Any] = {}
        for task in self._tasks():
            if task.data not in (None, EMBEDDED) and files.setdefault(task.name, task.data) != task.data:
                raise UserError(
                    f"study '{self.name}': two tasks named '{task.name}' read different files "
                    f"({_listed(files[task.name])}; {_listed(task.data)}). Give one of them another name (name: NAME)."
                )


def _in_label(value: Any) -> str:
    if isinstance(value, dict):
        return "+".join(f"{name}:{number:g}" for name, number in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _labelled(experiment: Experiment) -> Iterator[tuple[TechniqueChoice, str]]:
    return zip(experiment.techniques, labels_of(experiment.techniques), strict=True)


def _listed(files: Any) -> str:
    return ", ".join(map(written, files.values())) if isinstance(files, dict) else written(files)


_INSIDE: Mapping[str, type[BaseModel]] = {
    "experiments": Experiment,
    "model": ModelChoice,
    "training": StudyTraining,
    "auto_epochs": AutoEpochs,
    "search": Search,
    "task": Task,
}
"""What the fields of a study hold, for messages about mistakes there."""


def built_in_studies() -> dict[str, str]:
    """Name -> YAML text of the studies that tunebench ships."""
    return documents.shipped("zoo/studies")


def read_study(name: str) -> tuple[Study, str]:
    """A study and its text, by built-in name or path of a YAML file.

    Raises:
        UserError: no such study, no YAML, or a mistake in it, named with its place, its value and the way out.
    """
    return documents.read(name, Study, _INSIDE, built_in_studies())


def study_of(text: str, source: str = "the study") -> Study:
    """The study that a YAML text is.

    Args:
        text: YAML.
        source: what messages call it.

    Raises:
        UserError: it is no YAML, or it has a mistake.
    """
    return documents.of_text(text, source, Study, _INSIDE, next(iter(built_in_studies())))
