"""Which label's words a language model finds the likeliest, without tuning and without a new head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from tunebench._util.errors import UserError
from tunebench.families.base import Family
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example, TextExample
from tunebench.tasks.problems import problems
from tunebench.tasks.problems.sequence_classification import SequenceClassificationTask
from tunebench.tasks.written import BLANK
from tunebench.techniques.base import STAY, Baseline, Predictor, PretrainedModel, Question


class ZeroShot(Baseline):
    """Reads the task's prompt and takes the label whose words are the likeliest to follow.

    The words are the labels' names, or those of the task's `verbalizer`. No example is learned from.
    """

    name = "zero_shot"
    title = "Zero-shot ranking"
    paper = "Brown et al. 2020, section 2.4, https://arxiv.org/abs/2005.14165"
    reads_model = reads_weights = True

    cue: str = Field(
        "\nlabel:", description="stands between the prompt and a label's words; an encoder-decoder needs none"
    )
    calibrated: bool = Field(
        False,
        description="subtract each label's log-likelihood after an empty text, as frequent words are likely after any "
        "(Holtzman et al. 2021)",
    )

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """It ranks labels with a language-modelling head."""
        if problems()[objective].form != "class":
            return f"{objective} has no list of labels of which one is the answer"
        if {"causal_lm", "text_to_text"} & set(family.auto_classes):
            return None
        return f"the family {family.name} has no language-modelling head that writes"

    def fit(self, train: Sequence[Example], validation: Sequence[Example], question: Question, seed: int) -> Predictor:
        """There is nothing to fit."""
        return self._predictor(question)

    def load(self, folder: Path, question: Question) -> Predictor:
        """There was nothing to save."""
        return self._predictor(question)

    def standalone(self, task: Task) -> dict[str, Any]:
        """There is nothing to write: it is the checkpoint, asked with the task's prompt."""
        raise UserError(f"zero_shot has learned nothing: it is the pretrained model as it comes. {STAY}")

    def _predictor(self, question: Question) -> Predictor:
        assert question.model is not None, "a baseline that reads a model is given one"
        task = cast(SequenceClassificationTask, question.task)
        return _Ranking(question.model, task, question.labels, self.cue, self.calibrated)


class _Ranking(Predictor):
    def __init__(
        self,
        model: PretrainedModel,
        task: SequenceClassificationTask,
        labels: Sequence[str],
        cue: str,
        calibrated: bool,
    ):
        self._model, self._task, self._labels, self._cue, self._calibrated = model, task, labels, cue, calibrated
        self.parameters = 0

    def predict(self, examples: Sequence[Example]) -> tuple[list[Any], list[Any]]:
        """The likeliest label, and the probabilities of all among them."""
        from scipy.special import softmax

        prompts = [self._task.prompt_of(cast(TextExample, example)) for example in examples]
        words = [f"{BLANK} {word}" if BLANK in self._task.prompt else word for word in self._task.ranked(self._labels)]
        scores = self._model.likelihoods(prompts, words, self._cue).astype(float)
        if self._calibrated:
            empty = self._task.prompt_of(cast(TextExample, self._task.asked("", "")))
            scores = scores - self._model.likelihoods([empty], words, self._cue)
        return [self._labels[best] for best in scores.argmax(1)], softmax(scores, axis=1).tolist()

    def save(self, folder: Path) -> list[Path]:
        """Nothing: the settings stand in the run."""
        return []
