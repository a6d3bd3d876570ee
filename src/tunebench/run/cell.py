"""A run's model: its checkpoint, family and objective, why its technique does not apply, and how it is built."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from tunebench._util.errors import UserError
from tunebench._util.words import counted, plural
from tunebench.engine.measure import count_parameters
from tunebench.engine.pretrained import Pretrained
from tunebench.engine.recompute import attend, recompute
from tunebench.engine.seeds import HEAD, seed_of
from tunebench.families.base import Family, base_of
from tunebench.objectives import objectives
from tunebench.objectives.base import Objective
from tunebench.records import Parameters
from tunebench.run.pooling import ChosenPooling, choose
from tunebench.study import Places, Run
from tunebench.techniques.base import Baseline, Technique, Trained
from tunebench.zoo import checkpoints

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@dataclass(frozen=True)
class Cell:
    """A run with its checkpoint.

    Attributes:
        run: with its seed.
        checkpoint: the model's shape; its weights are not read yet.
        posed: the objective that the task is posed as to this family, or None.
        reason: why the technique does not apply, or None.
    """

    run: Run
    checkpoint: checkpoints.Checkpoint
    posed: str | None
    reason: str | None

    @classmethod
    def of(cls, run: Run, places: Places) -> "Cell":
        """The run's cell, without a network.

        Raises:
            UserError: nothing on this machine says what the model is, no family loads it, or its head reads no text's
                vector of the kind that the study asks for.
        """
        checkpoint = checkpoints.find(run.source, run.revision, places.models.get(run.model))
        checkpoint.family.examine()
        posed = run.task.objective_of(checkpoint.family.auto_classes)
        _refuse_pooling(run, checkpoint, posed)
        return cls(run, checkpoint, posed, _reason(run, checkpoint, posed))

    @property
    def family(self) -> Family:
        """The checkpoint's family."""
        return self.checkpoint.family

    @property
    def technique(self) -> Technique:
        """The run's technique, which must not be a baseline."""
        assert isinstance(self.run.entry, Technique), "a baseline has no model"
        return self.run.entry

    def objective(self, labels: Sequence[str], tokenizer: Any) -> Objective:
        """The task's objective for this model, which may have fewer positions than the task allows tokens.

        Raises:
            UserError: the tokenizer is not the model's, or nothing is left for a text, also by virtual tokens.
        """
        task, posed = self.run.task, self._applicable()
        return objectives()[posed](task, labels, tokenizer, max_tokens=min(task.max_tokens, self.room(tokenizer)))

    def room(self, tokenizer: Any) -> int:
        """How many tokens of a text the model can take beside the technique's virtual ones.

        Raises:
            UserError: none, or the tokenizer is not the model's.
        """
        taken = self.technique.positions_taken(self.family)
        room = self._positions(tokenizer) - taken
        if room < 1:
            tokens = counted(taken, "virtual tokens", "leave")
            raise UserError(f"{self.run.technique}: {tokens} no position of '{self.run.model}' for a text.")
        return room

    def _positions(self, tokenizer: Any) -> int:
        """How many tokens the model can take."""
        known = self.family.config(self.checkpoint.config).vocab_size
        if len(tokenizer) > known:
            raise UserError(
                f"model '{self.run.model}': its tokenizer has {plural(len(tokenizer), 'token')}, but its embeddings "
                f"{known}. Give a model and a tokenizer that were saved together."
            )
        if tokenizer.model_max_length < 1:
            raise UserError(
                f"model '{self.run.model}': its tokenizer leaves no position for a text (model_max_length: "
                f"{tokenizer.model_max_length}). Correct its tokenizer_config.json."
            )
        return min(self.family.positions(self.checkpoint.config), tokenizer.model_max_length)

    def pooling(self, folder: Path | None) -> ChosenPooling | None:
        """How the vector of a text is made that the head reads, by the files in `folder`; None: it reads none."""
        possible = self.family.poolings(self._applicable(), self.checkpoint.config)
        together = self.run.task.columns.get("pair") is not None
        return choose(self.run.pooling, folder, possible, together=together) if possible else None

    def pretrained(self, folder: Path, device: torch.device) -> tuple[Pretrained, ChosenPooling]:
        """The model as a baseline asks it, and how it makes the vector of a text: the mean unless anything says else.

        `folder` holds the checkpoint's files.
        """
        pooling = choose(self.run.pooling, folder, ("mean", "first", "last"))
        tokens = min(self.run.task.max_tokens, self._positions(self.family.tokenizer(folder)))
        batch_tokens = self.run.training.evaluation_batch_tokens
        return Pretrained(self.family, folder, pooling.way, tokens, batch_tokens, device), pooling

    def backbone(self, folder: Path, objective: Objective) -> Any:
        """The pretrained model with a head drawn from the run's seed, or all of it drawn; float32, on the CPU.

        `folder` holds the checkpoint's files.
        """
        torch.manual_seed(seed_of(self.run.seed, HEAD))
        head = objective.head(objective.labels)
        if self.technique.reads_weights:
            model = self.family.load(folder, objective.name, head)
        else:
            model = self.family.draw(self.checkpoint.config, objective.name, head)
        self._pool(model, folder)
        model.name_or_path = str(self.checkpoint.folder or self.run.source)  # which PEFT records as the adapter's base
        return model

    def build(self, folder: Path, objective: Objective, steps: int) -> Any:
        """The backbone with the technique applied; `steps` are the optimizer steps of the whole run.

        Raises:
            UserError: it cannot be trained as the study asks.
        """
        return self._applied(self.backbone(folder, objective), steps)

    def count(self, labels: Sequence[str]) -> Parameters:
        """The parameters of the model with the technique applied, counted on the meta device.

        Raises:
            UserError: as `shape`.
        """
        return count_parameters(self.shape(labels), self.family)

    def shape(self, labels: Sequence[str]) -> Any:
        """The model with the technique applied, without weights, on the meta device.

        Raises:
            UserError: a setting of the technique does not fit the model.
        """
        posed, run = self._applicable(), self.run
        local = self.checkpoint.folder if self.technique.reads_weights else None
        model = self.family.skeleton(self.checkpoint.config, posed, objectives()[posed].head(labels), local)
        model = self.family.prepared(model, posed)
        self._pool(model, self.checkpoint.folder)
        try:
            return self._applied(model, steps=1000)
        except UserError as error:
            raise UserError(f"{run.model} x {run.task.name}: {error}") from None

    def _applied(self, model: Any, steps: int) -> Any:
        """The model with its technique, and with attention and activations computed as the study asks."""
        training = self.run.training
        if training.attention != "auto":
            attend(model, training.attention)
        model = self.technique.apply(model, self.family, steps)
        if training.attention != "auto" and base_of(model).config._attn_implementation != training.attention:
            raise UserError(
                f"training.attention: {training.attention} is unavailable with {self.run.technique}, which computes "
                "attention in its own way. Leave it out."
            )
        if training.gradient_checkpointing and isinstance(self.technique, Trained):
            recompute(model)
        return model

    def _pool(self, model: Any, folder: Path | None) -> None:
        pooling = self.pooling(folder)
        if pooling is not None:
            self.family.pool(model, pooling.way)

    def _applicable(self) -> str:
        assert self.posed is not None, self.reason
        return self.posed


def _reason(run: Run, checkpoint: checkpoints.Checkpoint, posed: str | None) -> str | None:
    family, entry = checkpoint.family, run.entry
    if posed is None:
        return family.no_head(run.task.objective)
    if not checkpoint.pretrained and entry.reads_weights:
        return f"{run.model} has no pretrained weights to begin with: from_scratch draws its own"
    if isinstance(entry, Baseline):
        return entry.not_applicable(family, run.task.objective) or entry.not_answerable(run.task)
    return entry.not_applicable(family, posed)


def _refuse_pooling(run: Run, checkpoint: checkpoints.Checkpoint, posed: str | None) -> None:
    """A pooling that a study asks for must be one that the head knows."""
    if run.pooling == "auto" or posed is None or not isinstance(run.entry, Technique):
        return
    family = checkpoint.family
    possible = family.poolings(posed, checkpoint.config)
    if run.pooling not in possible:
        reads = f"reads {' or '.join(possible)}" if possible else "reads no vector of a text"
        raise UserError(
            f"{run.model} x {run.task.name}: pooling: {run.pooling} is unavailable, because a {family.title} model for "
            f"{posed} {reads}. Leave pooling out."
        )
