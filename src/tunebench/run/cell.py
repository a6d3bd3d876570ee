"""A run's model: its checkpoint, family and objective, why its technique does not apply, and how it is built."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from tunebench._util.errors import UserError
from tunebench.engine.measure import count_parameters
from tunebench.engine.seeds import HEAD, seed_of
from tunebench.families.base import Family
from tunebench.objectives import objectives
from tunebench.objectives.base import Objective
from tunebench.records import Parameters
from tunebench.study import Places, Run
from tunebench.techniques.base import Baseline, Technique
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
            UserError: nothing on this machine says what the model is, or no family loads it.
        """
        checkpoint = checkpoints.find(run.model, run.revision, places.models.get(run.model))
        posed = run.task.objective_of(checkpoint.family.auto_classes)
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
            UserError: the tokenizer is not the model's, or virtual tokens leave no position for a text.
        """
        run, family, config = self.run, self.family, self.checkpoint.config
        known = family.config(config).vocab_size
        if len(tokenizer) > known:
            raise UserError(
                f"model '{run.model}': its tokenizer has {len(tokenizer)} tokens, but its embeddings {known}. "
                "Give a model and a tokenizer that were saved together."
            )
        taken = self.technique.positions_taken(family)
        room = min(family.positions(config), tokenizer.model_max_length) - taken
        if room < 1:
            raise UserError(f"{run.technique}: {taken} virtual tokens leave no position of '{run.model}' for a text.")
        posed = self._applicable()
        limit = min(run.task.max_tokens, room)
        return objectives()[posed](run.task, labels, tokenizer, max_tokens=limit)

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
        model.name_or_path = str(self.checkpoint.folder or self.run.model)  # which PEFT records as the adapter's base
        return model

    def build(self, folder: Path, objective: Objective, steps: int) -> Any:
        """The backbone with the technique applied; `steps` are the optimizer steps of the whole run."""
        return self.technique.apply(self.backbone(folder, objective), self.family, steps)

    def count(self, labels: Sequence[str]) -> Parameters:
        """The parameters of the model with the technique applied, counted on the meta device.

        Raises:
            UserError: a setting of the technique does not fit the model.
        """
        posed, run = self._applicable(), self.run
        local = self.checkpoint.folder if self.technique.reads_weights else None
        model = self.family.skeleton(self.checkpoint.config, posed, objectives()[posed].head(labels), local)
        try:
            model = self.technique.apply(model, self.family, total_steps=1000)
        except UserError as error:
            raise UserError(f"{run.model} x {run.task.name}: {error}") from None
        return count_parameters(model, self.family)

    def _applicable(self) -> str:
        assert self.posed is not None, self.reason
        return self.posed


def _reason(run: Run, checkpoint: checkpoints.Checkpoint, posed: str | None) -> str | None:
    family, entry = checkpoint.family, run.entry
    if posed is None:
        return f"the family {family.name} has no head for {run.task.objective}"
    if not checkpoint.pretrained and isinstance(entry, Technique) and entry.reads_weights:
        return f"{run.model} has no pretrained weights to begin with: from_scratch draws its own"
    return entry.not_applicable(family, run.task.objective if isinstance(entry, Baseline) else posed)
