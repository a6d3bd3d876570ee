"""A finished run that answers rows of a mixed batch: the trunk's states go in, answers come out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tunebench._util.errors import RunError, UserError, brief
from tunebench.engine.sources import Batch, TokenSource
from tunebench.families.base import Pooling, mean_of, pooled_otherwise, pooling_of
from tunebench.objectives.base import Features, Objective
from tunebench.objectives.causal_lm import CausalLm
from tunebench.serve.adapters import Adapter, adapter_of
from tunebench.serve.backbones import Backbones
from tunebench.serve.finished import FinishedRun, examples_of
from tunebench.serve.trunk import SharedTrunk, deepest, leaves_at
from tunebench.tasks.examples import Example
from tunebench.techniques.base import Baseline


class Served:
    """A finished run in memory.

    Args:
        finished: it keeps no model of its own where the run's tail suffices.
        backbones: what it shares with other runs.

    Attributes:
        objective: None where the run answers by its texts: a baseline, or a language model that continues prompts.
        trunk: what it shares; None where it is asked as a whole.
        depth: where it leaves the trunk.
        adapter: with which its rows pass the trunk, or None.
        group: equal for runs whose rows can be answered together.
    """

    def __init__(self, finished: FinishedRun, backbones: Backbones):
        self.finished = finished
        self.trunk: SharedTrunk | None = None
        self.depth = 0
        self.adapter: Adapter | None = None
        self.objective: Objective | None = None
        self._device = backbones.device
        if isinstance(finished.run.entry, Baseline):
            return
        objective, model = finished.objective, finished.model
        if isinstance(objective, CausalLm) and not objective.writes:
            return
        family = finished.cell.family
        self.objective, self.depth = objective, leaves_at(family, model, objective)
        self._network: Any = model
        self._pooling: Pooling | None = None
        if self.depth:
            assert finished.done.backbone is not None, "a technique has a backbone"
            self.trunk = backbones.trunk(family, finished.files, finished.done.backbone.fingerprint)
            end = deepest(family, model)
            self.adapter = adapter_of(finished.cell.technique, family, model, end, self.trunk.model)
            self.depth = self.depth if self.adapter is None else end
            # above the cut the tail would look for a text's vector where the trunk of this pooling puts it
            if pooled_otherwise(model) and self.depth == end:
                self._pooling = pooling_of(model)
            self._network = family.split(model, self.depth, pooled=False).tail
            finished.forget_model()

    @property
    def group(self) -> object:
        """The trunk that rows share, or the run itself."""
        return self if self.trunk is None else self.trunk

    def whole(self, features: Features) -> tuple[list[Any], list[Any]]:
        """Predictions and details of rows that no trunk was computed for."""
        assert self.objective is not None, "texts are answered by the run itself"
        rows = range(len(features))
        batch = TokenSource(self.objective, features, self._device).batch(rows)
        del batch["labels"]
        return self._decoded(batch, features)

    def above(self, states: Tensor, mask: Tensor, features: Features) -> tuple[list[Any], list[Any]]:
        """Predictions and details of rows from the trunk's states, (rows, tokens, hidden), and their mask."""
        width = max(features.lengths)
        states, mask = states[:, :width], mask[:, :width]
        if self._pooling is not None:
            vector = mean_of(states, mask)[:, None] if self._pooling == "mean" else states[:, :1]
            states = vector.expand_as(states)
        return self._decoded({"inputs_embeds": states, "attention_mask": mask}, features)

    def _decoded(self, batch: Batch, features: Features) -> tuple[list[Any], list[Any]]:
        assert self.objective is not None
        rows = range(len(features))
        outputs = self.objective.outputs(self._network, batch, features, rows)
        if not bool(torch.isfinite(outputs).all()):
            raise RunError("the model's outputs are not finite")
        return self.objective.decode(outputs.cpu(), features, rows)


class Inquiry:
    """Texts asked of a served run, and the answers to them so far.

    Args:
        served: the run.
        texts: one or more.
        pairs: the second texts, where the task has some.

    Attributes:
        lengths: of its rows, in tokens: a row is a text, a window of one, or what a baseline reads.

    Raises:
        UserError: a text is empty, or the task asks for another number of texts.
        RunError: the texts cannot be encoded.
    """

    def __init__(self, served: Served, texts: Sequence[str], pairs: Sequence[str] | None = None):
        self.served, self._texts = served, texts
        self.examples: list[Example] = examples_of(served.finished.run, texts, pairs, "predict")
        self.features = None if served.objective is None else _encoded(served.objective, self.examples)
        self.lengths = [_words(text) for text in texts] if self.features is None else self.features.lengths
        self._answers: list[Any] = [None] * len(self.lengths)
        self._details: list[Any] = [None] * len(self.lengths)
        self._left = len(self.lengths)

    def take(self, row: int, answer: Any, details: Any) -> None:
        """The answer to one row."""
        self._answers[row], self._details[row] = answer, details
        self._left -= 1

    @property
    def complete(self) -> bool:
        """Whether all rows have their answers."""
        return not self._left

    def answers(self) -> list[dict[str, Any]]:
        """One dict per text, as `FinishedRun.predict` gives them."""
        answers, details = self._answers, self._details
        if self.features is not None:
            assert self.served.objective is not None
            answers, details = self.served.objective.joined(answers, details, self.features)
        run, labels = self.served.finished.run, self.served.finished.done.data.labels
        rows = zip(self._texts, answers, details, strict=True)
        return [run.task.answered(text, answer, detail, labels) for text, answer, detail in rows]


def _encoded(objective: Objective, examples: Sequence[Example]) -> Features:
    try:
        return objective.encode(examples)
    except UserError:
        raise
    except Exception as error:  # tokenizers, written in Rust, raises Exception itself
        raise RunError(f"the tokenizer fails ({brief(error)})") from error


def _words(text: str) -> int:
    return 1 + text.count(" ")
