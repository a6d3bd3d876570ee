"""What a finished run is for: the tuned model, its answers, and a folder that other libraries load."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from safetensors import SafetensorError

from tunebench._util.errors import UserError, brief, did_you_mean
from tunebench._util.files import differing
from tunebench.engine import weights
from tunebench.engine.evaluate import predict as run_network
from tunebench.engine.generate import generate
from tunebench.engine.precision import autocast_of, make_accelerator
from tunebench.engine.sources import TokenSource
from tunebench.families.base import pooled_otherwise
from tunebench.objectives.base import Objective
from tunebench.objectives.causal_lm import CausalLm
from tunebench.records import PREDICTIONS, Done, read_result
from tunebench.run.card import card, model_use
from tunebench.run.cell import Cell
from tunebench.serve import exported, exported_baseline
from tunebench.serve.backbones import Backbones
from tunebench.study import RUN_FILE, Places, Run, read_run
from tunebench.tasks.examples import Example
from tunebench.techniques.base import Baseline, Predictor, Question, Technique, Trained
from tunebench.zoo import checkpoints

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

_SAMPLE = 8
"""Texts on which an exported model is compared with the run's."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, read once; its model is loaded at its first use, and answers many times.

    Attributes:
        folder: the run's folder.
        run: its definition.
        places: the folder of its model.
        done: its record.
        backbones: what it shares with other runs; None: it stands alone.
    """

    folder: Path
    run: Run
    places: Places
    done: Done
    backbones: Backbones | None = None

    @classmethod
    def load(
        cls, folder: str | Path, models: Mapping[str, str] | None = None, backbones: Backbones | None = None
    ) -> "FinishedRun":
        """The finished run in a folder.

        Args:
            folder: OUT/runs/<run>.
            models: the model's name -> its folder now, if it was moved since the run.
            backbones: what it shares with other runs.

        Raises:
            UserError: the folder contains no finished run, or `models` names another model.
        """
        folder = Path(folder)
        result = read_result(folder)
        if result is None or not (folder / RUN_FILE).is_file():
            raise UserError(
                f"{folder}: this is not the folder of a finished run. Give OUT/runs/<run>, which contains result.json."
            )
        if not isinstance(result, Done):
            raise UserError(f"{folder}: this run is {result.status} ({result.reason}), so there is no model.")
        run, places = read_run(folder)
        for name in models or {}:
            if name != run.model:
                raise UserError(f"--model {name}: this run has no such model. {did_you_mean(name, [run.model])}")
        moved = {name: str(Path(place).expanduser().absolute()) for name, place in (models or {}).items()}
        return cls(folder, run, places.model_copy(update={"models": {**places.models, **moved}}), result, backbones)

    @cached_property
    def cell(self) -> Cell:
        """The run's cell; a baseline has none.

        Raises:
            UserError: the run is a baseline, or its model is unavailable.
        """
        if not isinstance(self.run.entry, Technique):
            raise UserError(
                f"{self.folder}: {self.run.technique} is a baseline without a tuned model. "
                "'tunebench predict' answers with it."
            )
        return self._cell

    @cached_property
    def _cell(self) -> Cell:
        return Cell.of(self.run, self.places)

    @cached_property
    def files(self) -> Path:
        """The folder of the backbone's files, which are those that the run read.

        Raises:
            UserError: they are unavailable, or others now.
        """
        local, backbone = checkpoints.fetch(self._cell.checkpoint, self.run.entry.reads_weights)
        assert self.done.backbone is not None
        was, now = self.done.backbone.fingerprint, backbone.fingerprint
        if now != was:
            raise UserError(
                f"{self.folder}: the files of '{self.run.model}' in {local} are not those that were tuned "
                f"(fingerprint {now[:12]}, not {was[:12]}). Give their folder with --model {self.run.model}=PATH."
            )
        return local

    @cached_property
    def objective(self) -> Objective:
        """How the task is posed to the model; holds the tokenizer.

        Raises:
            UserError: the model is unavailable, or not the one that was tuned.
        """
        objective = self.cell.objective(self.done.data.labels, self._tokenizer)
        objective.settled(self.done.summary)
        return objective

    @property
    def _tokenizer(self) -> Any:
        files, family = self.files, self.cell.family
        if self.backbones is None:
            return family.tokenizer(files)
        assert self.done.backbone is not None
        return self.backbones.tokenizer(family, files, self.done.backbone.fingerprint)

    @cached_property
    def model(self) -> Any:
        """The model with its best weights, in evaluation mode and float32.

        Raises:
            UserError: as `objective`, or the weights of the run are damaged.
        """
        model = self.cell.build(self.files, self.objective, max(1, self.done.cost.steps))
        if isinstance(self.run.entry, Trained):
            kept = weights.FOLDED if self.run.entry.fold(model) else weights.BEST
            self._check(kept)
            try:
                weights.load_weights(model, self.folder / kept)
            except ValueError as error:
                raise UserError(f"{error}. Remove the folder and run the study again.") from error
        model.eval()
        return model if self.backbones is None else self.backbones.placed(model)

    def ready(self) -> None:
        """Load what answers now, rather than with the first answer.

        Raises:
            UserError: as `model`.
        """
        _ = self._baseline if isinstance(self.run.entry, Baseline) else self.model

    def forget_model(self) -> None:
        """Free the model's memory; its next use loads it again."""
        self.__dict__.pop("model", None)

    def _check(self, *names: str) -> None:
        """Raise a UserError where one of these files is not as the run's result says."""
        digests = {name: self.done.files[name] for name in names if name in self.done.files}
        for name in differing(self.folder, digests):
            raise UserError(
                f"{self.folder / name}: it is damaged or missing (its digest is not that in result.json). "
                "Run the study again: 'tunebench run' makes this run anew."
            )

    def backbone(self) -> Any:
        """The model before its technique was applied, in evaluation mode and float32; loaded at each call."""
        return self.cell.backbone(self.files, self.objective).eval()

    @cached_property
    def _baseline(self) -> Predictor:
        assert isinstance(self.run.entry, Baseline)
        self._check(*(name for name in self.done.files if name != PREDICTIONS))
        try:
            return self.run.entry.load(self.folder, self._question)
        except (OSError, ValueError, SafetensorError) as error:
            raise UserError(
                f"{self.folder}: the fitted {self.run.technique} cannot be read ({error}). "
                "Remove the folder and run the study again."
            ) from error

    @property
    def _question(self) -> Question:
        """What a baseline answers, with the model that it asks."""
        if not self.run.entry.reads_model:
            return Question(self.run.task, self.done.data.labels)
        accelerator, _ = make_accelerator("float32", self.folder, None)
        model, _ = self._cell.pretrained(self.files, accelerator.device)
        return Question(self.run.task, self.done.data.labels, model)

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Answers to new texts, one dict per text; see `predict` of this module.

        Raises:
            UserError: as `model`, or there is nothing to answer.
        """
        _not_empty(texts, "predict")
        examples = examples_of(self.run, texts, pairs, "predict")
        answers, details = self.answers(examples)
        labels = self.done.data.labels
        rows = zip(texts, answers, details, strict=True)
        return [self.run.task.answered(text, answer, detail, labels) for text, answer, detail in rows]

    def as_written(self, texts: Sequence[str]) -> tuple[list[str], str]:
        """Raw texts as the run's data write theirs (words separated from punctuation), and a warning or nothing."""
        return self.run.task.as_written(texts, self._inputs)

    def answers(self, examples: Sequence[Example]) -> tuple[list[Any], list[Any]]:
        """Answers in task space, and the details of each from `Objective.decode`."""
        if isinstance(self.run.entry, Baseline):
            return self._baseline.predict(examples)
        objective = self.objective
        accelerator, precision = make_accelerator("float32", self.folder, None)
        autocast, model = autocast_of(accelerator.device, precision), self.model.to(accelerator.device)
        if isinstance(objective, CausalLm) and not objective.writes:
            answers = generate(model, objective, examples, autocast)
            return [text for text, _ in answers], [ended for _, ended in answers]
        source = TokenSource(objective, objective.encode(examples), accelerator.device)
        return run_network(model, source, objective, autocast, self.run.training.evaluation_batch_tokens)

    def export(self, target: str | Path) -> Path:
        """Write model and tokenizer as an ordinary transformers folder, adapters merged into the weights.

        Of a baseline: its numbers, the model that it asks, and a small file that answers without tunebench.

        Raises:
            UserError: as `model`, the target exists, the baseline has learned nothing, the technique cannot be merged,
                the head reads another vector of a text than the model's class in transformers, or what is exported
                answers otherwise than the run on a sample of its test texts.
        """
        folder = _free(target)
        if isinstance(self.run.entry, Baseline):
            self._export_baseline(folder, self.run.entry)
            return folder
        model, objective = self.model, self.objective
        if pooled_otherwise(model):
            raise UserError(
                f"{self.folder}: its head reads the mean of the tokens' vectors, and the model's class in transformers "
                "reads the first token, so an exported folder would give other answers. Answer with 'tunebench "
                "predict', or run the study with pooling: first."
            )
        self.forget_model()  # merging changes it
        text = card(self.run, self.done, model_use(self.cell, self.done), self.files)
        exported.write(folder, model, self.cell.technique, objective, objective.encode(self._sample()), text)
        return folder

    def _export_baseline(self, folder: Path, baseline: Baseline) -> None:
        try:
            settings = baseline.standalone(self.run.task)
        except UserError as error:
            raise UserError(f"{self.folder}: {error}") from None
        fitted = exported_baseline.Fitted(self.run, self.done, self.folder, settings)
        if baseline.reads_model:
            model, pooling = self._cell.pretrained(self.files, torch.device("cpu"))
            settings |= {"max_tokens": model.max_tokens, "pooling": pooling.way}
            fitted = replace(fitted, encoder=self.files, tokenizer=self._cell.family.tokenizer(self.files))
        texts = [text for text in self._inputs() if text.strip()][:_SAMPLE]
        pairs = [*texts[1:], texts[0]] if self.run.task.second_column is not None else None
        exported_baseline.write(folder, fitted, texts, pairs, self.predict(texts, pairs))

    def _sample(self) -> list[Example]:
        """The first of the run's test texts, as examples without answers; a pair is the text twice."""
        return [self.run.task.asked(text, text) for text in self._inputs()[:_SAMPLE] if text.strip()]

    def _inputs(self) -> list[str]:
        """The run's test texts.

        Raises:
            UserError: they cannot be read.
        """
        self._check(PREDICTIONS)
        try:
            lines = (self.folder / PREDICTIONS).read_text("utf-8").split("\n")
            return [str(json.loads(line)["input"]) for line in lines if line]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.folder}: its {PREDICTIONS} cannot be read ({brief(error)}). "
                "Remove the folder and run the study again."
            ) from error


def load_finetuned(
    run_dir: str | Path, models: Mapping[str, str] | None = None
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """The model of a finished run with its best weights, in evaluation mode and float32, and its tokenizer.

    `models` gives the model's folder, {name: folder}, if it was moved since the run.

    Raises:
        UserError: the folder contains no finished run, its backbone is unavailable or is not the one that was tuned,
            or the run is a baseline without a model.
    """
    finished = FinishedRun.load(run_dir, models)
    return finished.model, finished.objective.tokenizer


def predict(
    run_dir: str | Path,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    models: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """A finished run's answers to new texts, one dict per text.

    A class gives `label` and `scores` {label: probability}, any number of labels `labels` and `scores`; a score gives
    `score`; tagging splits a text at blanks and gives `tokens`, `tags` and `scores`; an instruction gives `response`,
    the likeliest token each time, and `ended`, whether it ended by itself; a text to be summarized, or a question with
    its context as the pair, gives `answer`.

    Raises:
        UserError: as `load_finetuned`, or there is nothing to answer.
    """
    _not_empty(texts, "predict")  # before anything is read
    return FinishedRun.load(run_dir, models).predict(texts, pairs)


def export(run_dir: str | Path, target: str | Path, models: Mapping[str, str] | None = None) -> Path:
    """Write a finished run as `FinishedRun.export` does.

    Raises:
        UserError: as `FinishedRun.export`.
    """
    _free(target)  # before anything is read
    return FinishedRun.load(run_dir, models).export(target)


def _free(target: str | Path) -> Path:
    folder = Path(target)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"export {folder}: it exists and is not an empty folder. Choose another one.")
    return folder


def _not_empty(texts: Sequence[str], command: str) -> None:
    if not texts or any(not text.strip() for text in texts):
        raise UserError(f"{command}: a text is empty. Give at least one word.")


def examples_of(run: Run, texts: Sequence[str], pairs: Sequence[str] | None, command: str) -> list[Example]:
    """New texts, or pairs of texts, as examples of the run's task; `command` begins the message of an error.

    Raises:
        UserError: a text is empty, or the task asks for another number of texts.
    """
    _not_empty(texts, command)
    task, second, takes_two = run.task, run.task.second, run.task.second_column is not None
    if pairs is None and takes_two and not task.second_is_optional:
        what = "the second one" if second == "pair" else f"the {second}"
        raise UserError(f"{command}: {task.name} takes two texts. Give {what} with --pair (in a file: after a tab).")
    if pairs is not None and not takes_two:
        raise UserError(f"{command}: {task.name} takes one text at a time. Omit --pair (in a file: the tabs).")
    if pairs is not None and not task.second_is_optional and any(not pair.strip() for pair in pairs):
        raise UserError(f"{command}: a {second} is empty. Give at least one word with each --pair.")
    return [task.asked(text, pair) for text, pair in zip(texts, pairs or [""] * len(texts), strict=True)]
