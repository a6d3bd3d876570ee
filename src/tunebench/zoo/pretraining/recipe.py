"""A recipe: which backbone to make from which texts. Pure: no torch, no text is read."""

import math
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tunebench._util import documents
from tunebench._util.base import Strict
from tunebench._util.errors import did_you_mean
from tunebench.zoo.pretraining.objectives import objectives
from tunebench.zoo.pretraining.objectives.base import PretrainingObjective, Shape


class TextSource(Strict):
    """Texts of one origin."""

    train: str = Field(min_length=1, description="parquet, jsonl or txt file, relative to --data-root")
    held_out: str | None = Field(None, description="texts of the same kind that are never trained on")
    column: str = Field("text", description="where the text stands in parquet and jsonl files; a row is a document")
    title: str = Field(description="what the texts are, for the model card")
    licence: str
    url: str | None = None


class Sequences(Strict):
    """Sequences of one length.

    Short ones cost less attention a token; steps of the different lengths alternate, as their shares have it. (Devlin
    et al. 2019, A.2, train on the long ones last: then a falling learning rate leaves them little to learn by.)
    """

    share: float = Field(gt=0, le=1, description="of all tokens")
    length: int = Field(ge=1, description="tokens a sequence")


class Pretraining(Strict):
    """How long and how fast."""

    tokens: int = Field(ge=1, description="tokens seen in all, repeats included")
    batch_tokens: int = Field(8192, ge=8, description="tokens an optimizer step")
    sequences: tuple[Sequences, ...] = Field((Sequences(share=1.0, length=512),), min_length=1)
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: orthogonalised momentum for the layers' matrices, AdamW for the rest"
    )
    learning_rate: float = Field(1e-3, gt=0, description="AdamW's peak, and Muon's by its match to AdamW's updates")
    schedule: Literal["cosine", "inverse_square_root"] = "cosine"
    cycles: int = Field(1, ge=1, description="how often the schedule runs (Loshchilov and Hutter 2017)")
    warmup_fraction: float = Field(0.02, ge=0, lt=1, description="of a cycle")
    weight_decay: float = Field(0.1, ge=0, description="on matrices only")
    max_gradient_norm: float = Field(1.0, gt=0)
    precision: Literal["auto", "bf16", "float32"] = "auto"
    evaluate_tokens: int = Field(1_000_000, ge=1, description="tokens between two readings of the held-out loss")
    held_out_tokens: int = Field(200_000, ge=1, description="tokens of a reading, the same ones each time")
    checkpoint_seconds: float = Field(300.0, ge=0, description="time between states to resume from")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _sequences_are_all(self) -> "Pretraining":
        shares = sum(some.share for some in self.sequences)
        if abs(shares - 1) > 1e-9:
            raise ValueError(f"the sequences' shares sum to {shares:g}, not to 1.")
        for some in self.sequences:
            if some.length > self.batch_tokens:
                raise ValueError(f"a sequence of {some.length} tokens is longer than batch_tokens.")
        return self

    def rows(self, sequences: Sequences) -> int:
        """Sequences of this length per step."""
        return self.batch_tokens // sequences.length

    def plan(self) -> list[tuple[int, int]]:
        """For every step, which of `sequences`, and how many of theirs went before; mixed evenly in each cycle."""
        places = []
        for which, some in enumerate(self.sequences):
            tokens = self.tokens * some.share / self.cycles
            steps = max(1, math.ceil(tokens / (self.rows(some) * some.length)))
            places += [
                (cycle, (number + 0.5) / steps, which, cycle * steps + number)
                for cycle in range(self.cycles)
                for number in range(steps)
            ]
        return [(which, number) for _, _, which, number in sorted(places)]


class Recipe(Strict):
    """A backbone to make."""

    name: str = Field(pattern=r"^\w[\w.-]*$")
    description: str = ""
    objective: str
    texts: tuple[TextSource, ...] = Field(min_length=1)
    shape: Shape | None = Field(None, description="of a backbone that begins with random weights")
    start_from: str | None = Field(None, description="a backbone to go on from, with its tokenizer: hub id or folder")
    training: Pretraining

    @field_validator("objective")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in objectives():
            raise ValueError(f"there is no pretraining objective '{name}'. {did_you_mean(name, objectives())}")
        return name

    @model_validator(mode="after")
    def _texts_fit(self) -> "Recipe":
        if (self.shape is None) == (self.start_from is None):
            raise ValueError(
                "give either shape, to begin with random weights, or start_from, to continue from a backbone."
            )
        if self.shape and self.longest > self.shape.positions:
            raise ValueError(f"sequences of {self.longest} tokens do not fit {self.shape.positions} positions.")
        least = self.pretraining.shortest
        for some in self.training.sequences:
            if some.length < least:
                raise ValueError(f"sequences of {some.length} tokens are too short for {self.objective}: {least}.")
        if not any(source.held_out for source in self.texts):
            raise ValueError(
                "no source has held_out texts, without which the loss on unseen texts is unknown. Name some."
            )
        return self

    @property
    def longest(self) -> int:
        """Tokens of the longest sequences."""
        return max(some.length for some in self.training.sequences)

    @property
    def pretraining(self) -> PretrainingObjective:
        """The objective's own code."""
        return objectives()[self.objective]


def built_in_recipes() -> dict[str, str]:
    """Name -> YAML text of the recipes that tunebench ships."""
    return documents.shipped("zoo/recipes")


def read_recipe(name: str) -> tuple[Recipe, str]:
    """A recipe and its text, by built-in name or path of a YAML file.

    Raises:
        UserError: no such recipe, no YAML, or a mistake in it, named with its place, its value and the way out.
    """
    inside: dict[str, Any] = {"texts": TextSource, "shape": Shape, "training": Pretraining, "sequences": Sequences}
    return documents.read(name, Recipe, inside, built_in_recipes())
