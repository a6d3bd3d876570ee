"""Span corruption, cloze questions and verdicts in one batch (Raffel et al. 2020, section 3.5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebench.zoo.pretraining.objectives.base import Part, Passage
from tunebench.zoo.pretraining.objectives.cloze_questions import ClozeQuestions
from tunebench.zoo.pretraining.objectives.verdicts import Verdicts

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

JUDGED = 0.5  # of the texts
_VERDICTS = Verdicts()
_PREFIX = "judged_"


class Mixture(ClozeQuestions):
    """T5: half of the texts are judged, the others as in cloze questions: what was learned separately is retained.

    A text takes most of its time in span corruption and cloze questions; of one that is judged, about one piece in four
    is read.
    """

    name = "mixture"
    title = "Span corruption, cloze questions and verdicts"
    paper = "Raffel et al. 2020, arXiv:1910.10683; after Lewis et al. 2019, arXiv:1906.04980, and Turney 2002"
    shortest = max(ClozeQuestions.shortest, Verdicts.shortest)

    def batch(
        self, texts: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """What both have; the names of the verdicts' tensors begin with judged_."""
        judged = int(JUDGED * len(texts))
        batch = super().batch(texts[judged:], tokenizer, rng)
        verdicts = _VERDICTS.batch(texts[:judged], tokenizer, rng) if judged else {}
        return batch | {_PREFIX + name: tensor for name, tensor in verdicts.items()}

    def loss(self, model: Any, batch: dict[str, Tensor]) -> dict[str, Part]:
        """Spans to guess, answers to find, verdicts to give."""
        verdicts = {name.removeprefix(_PREFIX): tensor for name, tensor in batch.items() if name.startswith(_PREFIX)}
        return super().loss(model, batch) | (_VERDICTS.loss(model, verdicts) if verdicts else {})
