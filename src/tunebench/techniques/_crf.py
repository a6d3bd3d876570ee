"""A linear-chain conditional random field over words (CRFsuite), saved as safetensors."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pycrfsuite
from safetensors.numpy import load_file, save_file

from tunebench.tasks.examples import Example
from tunebench.tasks.problems.token_classification import TokensExample
from tunebench.techniques._standalone import word_features
from tunebench.techniques.base import Predictor

_FILE = "crf.safetensors"


class Crf(Predictor):
    """CRFsuite's model as bytes; tags by Viterbi, scores are the marginal probabilities of the tags it chose."""

    def __init__(self, model: bytes):
        self._model = model
        self._tagger = pycrfsuite.Tagger()  # pyright: ignore[reportAttributeAccessIssue]
        self._tagger.open_inmemory(model)
        info = self._tagger.info()
        self.parameters = len(info.state_features) + len(info.transitions)

    def predict(self, examples: Sequence[Example]) -> tuple[list[Any], list[Any]]:
        """Tag names of all words, and each tag's probability."""
        predictions, scores = [], []
        for example in cast(Sequence[TokensExample], examples):
            self._tagger.set(word_features(example.tokens))
            tags = self._tagger.tag()
            predictions.append(tags)
            scores.append([self._tagger.marginal(tag, position) for position, tag in enumerate(tags)])
        return predictions, scores

    def save(self, folder: Path) -> list[Path]:
        """The model's bytes as a tensor: no format but safetensors and JSON is ever read back."""
        save_file({"crf": np.frombuffer(self._model, dtype=np.uint8)}, folder / _FILE)
        return [folder / _FILE]


def fit_crf(train: Sequence[TokensExample], labels: Sequence[str], iterations: int) -> Crf:
    """L-BFGS with L2 regularisation 1 (CRFsuite's default); every tag transition seen in training has a weight."""
    trainer = pycrfsuite.Trainer(verbose=False)  # pyright: ignore[reportAttributeAccessIssue]
    trainer.set_params({"c2": 1.0, "max_iterations": iterations, "feature.possible_transitions": True})
    for row in train:
        trainer.append(word_features(row.tokens), [labels[tag] for tag in row.label])
    with tempfile.TemporaryDirectory() as folder:  # CRFsuite writes to a path only
        path = Path(folder) / "crf"
        trainer.train(str(path))
        return Crf(path.read_bytes())


def load_crf(folder: Path, labels: Sequence[str]) -> Crf:
    """What `Crf.save` wrote."""
    return Crf(load_file(folder / _FILE)["crf"].tobytes())
