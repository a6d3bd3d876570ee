"""A fitted baseline without tunebench: `load(FOLDER).predict(texts)`, or `predict(texts, pairs)`.

`tunebench export` writes this file beside what the baseline learned. It needs numpy and safetensors; for tags
python-crfsuite instead of both, and for vectors torch and transformers as well.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log, sqrt
from pathlib import Path
from typing import Any


class Answering:
    """What it answers, one dict for each text: `label`, `labels` or `tags` with `scores` (probabilities), or `score`.

    Args:
        folder: of its files.
        settings: those of `baseline.json`.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        from safetensors.numpy import load_file

        self.settings, self.labels = settings, settings["labels"]
        numbers = load_file(folder / settings["numbers"])
        self.weights, self.bias, self.numbers = numbers["weights"], numbers["bias"], numbers

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Answers to texts, or to texts with the second text of each."""
        return [self._answer(scores + self.bias) for scores in self.scores(texts, pairs)]

    def scores(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Iterator[Any]:
        """Features x weights of each text."""
        raise NotImplementedError

    def _answer(self, scores: Any) -> dict[str, Any]:
        import numpy as np

        if self.settings["form"] == "score":
            return {"score": float(scores[0])}
        if self.settings["form"] == "classes":
            each = dict(zip(self.labels, (0.5 * (1 + np.tanh(0.5 * scores))).tolist(), strict=True))
            return {"labels": sorted(label for label, value in each.items() if value >= 0.5), "scores": each}
        powers = np.exp(scores - scores.max())
        each = dict(zip(self.labels, (powers / powers.sum()).tolist(), strict=True))
        return {"label": self.labels[int(scores.argmax())], "scores": each}


class Terms(Answering):
    """Words and pairs of words with TF-IDF; of two texts the cosine, the absolute difference and the product."""

    def __init__(self, folder: Path, settings: dict[str, Any]):
        super().__init__(folder, settings)
        self._word, self._idf = re.compile(settings["word"]), self.numbers["idf"]
        self._places = {term: at for at, term in enumerate(json.loads((folder / "terms.json").read_text("utf-8")))}

    def scores(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Iterator[Any]:
        """Only the terms that a text has are multiplied."""
        for number, text in enumerate(texts):
            u = self._vector(text)
            if pairs is None:
                yield sum((self.weights[:, at] * value for at, value in u.items()), 0 * self.bias)
                continue
            v, count = self._vector(pairs[number]), len(self._places)
            scores = self.weights[:, 0] * sum(u[at] * v[at] for at in u.keys() & v.keys())
            for at in u.keys() | v.keys():
                one, other = u.get(at, 0.0), v.get(at, 0.0)
                scores = scores + self.weights[:, 1 + at] * abs(one - other)
                scores = scores + self.weights[:, 1 + count + at] * one * other
            yield scores

    def _vector(self, text: str) -> dict[int, float]:
        """Place of each term -> its weight; of length 1."""
        words = self._word.findall(text.lower())
        counts: dict[int, int] = {}
        for term in (*words, *(f"{one} {other}" for one, other in pairwise(words))):
            if term in self._places:
                counts[self._places[term]] = counts.get(self._places[term], 0) + 1
        values = {at: (1 + log(count)) * float(self._idf[at]) for at, count in counts.items()}
        length = sqrt(sum(value * value for value in values.values())) or 1.0
        return {at: value / length for at, value in values.items()}


class Vectors(Answering):
    """The vectors of the model in `encoder`, of length 1; of two texts their cosine and what `features` says."""

    def __init__(self, folder: Path, settings: dict[str, Any]):
        from transformers import AutoModel, AutoTokenizer

        super().__init__(folder, settings)
        self._tokenizer = AutoTokenizer.from_pretrained(folder / "encoder")
        model = AutoModel.from_pretrained(folder / "encoder", dtype="float32").eval()
        self._model = model.get_encoder() if model.config.is_encoder_decoder else model

    def scores(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Iterator[Any]:
        """One text, or pair, after another."""
        import numpy as np

        for number, text in enumerate(texts):
            features = u = self._vector(text)
            if pairs is not None:
                v = self._vector(pairs[number])
                more = {"cosine": [], "symmetric": [abs(u - v), u * v], "all": [abs(u - v), u * v, u, v]}
                features = np.hstack([[(u * v).sum()], *more[self.settings["features"]]])
            yield self.weights @ features

    def _vector(self, text: str) -> Any:
        import torch

        options = {"truncation": True, "max_length": self.settings["max_tokens"], "return_tensors": "pt"}
        batch = self._tokenizer(text, **options)
        if not batch["input_ids"].numel():
            return torch.zeros(self._model.config.hidden_size).double().numpy()
        with torch.inference_mode():
            states = self._model(**batch).last_hidden_state[0]
        pooled = {"mean": states.mean(0), "first": states[0], "last": states[-1]}[self.settings["pooling"]]
        return torch.nn.functional.normalize(pooled, dim=0).double().numpy()


class Tags(Answering):
    """A conditional random field; a text is split at blanks into words."""

    def __init__(self, folder: Path, settings: dict[str, Any]):
        import pycrfsuite

        content = (folder / settings["numbers"]).read_bytes()
        begin = 8 + int.from_bytes(content[:8], "little")  # a safetensors file with one tensor, the model's bytes
        self._tagger = pycrfsuite.Tagger()  # pyright: ignore[reportAttributeAccessIssue]
        self._tagger.open_inmemory(content[begin:])

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The likeliest tags, and the probability of each."""
        answers = []
        for text in texts:
            self._tagger.set(word_features(text.split()))
            tags = self._tagger.tag()
            answers.append({"tags": tags, "scores": [self._tagger.marginal(tag, at) for at, tag in enumerate(tags)]})
        return answers


def word_features(tokens: Sequence[str]) -> list[list[str]]:
    """The usual features of a tagger (Ratnaparkhi 1996): the word, its neighbours, affixes and shape."""
    padded = ["<s>", *tokens, "</s>"]
    rows = []
    for position, word in enumerate(tokens, start=1):
        lower, before, after = word.lower(), padded[position - 1], padded[position + 1]
        rows.append(
            [
                "bias",
                f"word={lower}",
                f"exact={word}",
                f"prefix={lower[:3]}",
                f"suffix3={lower[-3:]}",
                f"suffix2={lower[-2:]}",
                f"shape={_shape(word)}",
                f"before={before.lower()}",
                f"after={after.lower()}",
                f"shape_before={_shape(before)}",
                f"shape_after={_shape(after)}",
                f"pair={before.lower()} {lower}",
            ]
        )
    return rows


def _shape(word: str) -> str:
    """`Xx` for Paris, `X` for NATO, `d-d` for 6-3: runs of one kind count once."""
    kinds = ("X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else c for c in word)
    shape = ""
    for kind in kinds:
        if not shape.endswith(kind):
            shape += kind
    return shape


def load(folder: str | Path) -> Answering:
    """The baseline that was exported to a folder."""
    folder = Path(folder)
    settings = json.loads((folder / "baseline.json").read_text("utf-8"))
    return {"terms": Terms, "vectors": Vectors, "tags": Tags}[settings["kind"]](folder, settings)
