"""Reviews of films that do not exist, written and generated for this project (Apache-2.0).

The columns are those of IMDB: `text`, and `label` 0 negative, 1 positive. The label is the reviewer's overall verdict.
The aspects (acting, plot, music, ...) point both ways, and so do the opinions of others and the expectations that a
review names; a verdict is often given by contrast, negation or comparison. So the words alone say little, their order
decides.

No verdict and no link of validation and test occurs in train, and neither do a quarter of the patterns that they are
made from, of the aspects and of the adjectives; titles, names, openers and closers are shared. In each split 3 % of the
labels are wrong on purpose.
"""

import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_SEED = 20240612
_SIZES = {"train": 1800, "validation": 300, "test": 400}
_NOISE = 0.03
_RESERVED = 4  # of verdicts, links, aspects and adjectives each fourth is for validation and test
_WORDS = (25, 180)
_KINDS = {"plain_verdicts": 0.4, "verdicts": 0.52, "pairs": 0.08}
_AGREEING = 0.85  # share of the aspects without a link that agree with the verdict


@cache
def _material() -> dict[str, Any]:
    path = Path(__file__).parent / "material" / "sentiment.yaml"
    return yaml.safe_load(path.read_text("utf-8"))


def rows() -> dict[str, list[dict[str, Any]]]:
    """The three splits, the same on every machine; no text occurs twice."""
    rng = random.Random(_SEED)
    seen: set[str] = set()
    said: set[str] = set()
    return {split: _split(rng, split == "train", size, seen, said) for split, size in _SIZES.items()}


def _split(rng: random.Random, training: bool, size: int, seen: set[str], said: set[str]) -> list[dict[str, Any]]:
    drawn = [
        {"text": _new_review(rng, training, label % 2 == 1, seen, said), "label": label % 2} for label in range(size)
    ]
    for row in rng.sample(drawn, round(_NOISE * size)):
        row["label"] = 1 - row["label"]
    rng.shuffle(drawn)
    return drawn


def _new_review(rng: random.Random, training: bool, positive: bool, seen: set[str], said: set[str]) -> str:
    low, high = _WORDS
    while True:
        text = _Review(rng, training, positive, said).text()
        if low <= len(text.split()) <= high and text not in seen:
            seen.add(text)
            return text


class _Review:
    """One review: its verdict, its film, its aspects.

    Args:
        said: the verdicts and links of train: written to by its reviews, avoided by the others.
    """

    def __init__(self, rng: random.Random, training: bool, positive: bool, said: set[str]) -> None:
        self.rng = rng
        self.training = training
        self.said = said
        self.sides = ("good", "bad") if positive else ("bad", "good")  # what agrees with the verdict, what does not
        self.used: set[str] = set()  # no template occurs twice in a review
        title, title2 = rng.sample(_material()["titles"], 2)
        self.film = {
            "title": title,
            "title2": title2,
            "genre": self._any("genres"),
            "director": self._any("directors"),
            "hero": self._any("heroes"),
        }
        self.film["actor"], self.film["actor2"] = rng.sample(_material()["actors"], 2)
        self.aspects = rng.sample(list(_material()["aspects"]), 9)  # each once: no aspect is praised and blamed

    def text(self) -> str:
        """The finished review."""
        body = [self._link() for _ in range(self.rng.choice([0, 0, 0, 1]))]
        body += [self._bare() for _ in range(self.rng.choice([0, 1, 1, 2, 3]))]
        self.rng.shuffle(body)
        verdicts = [self._verdict() for _ in range(self.rng.choice([2, 3, 3, 4]))]
        place = self.rng.choices([len(body), 0, len(body) // 2], [0.65, 0.2, 0.15])[0]
        body[place:place] = verdicts
        text = " ".join([*self._beginning(), *body, *self._some("closers", [0, 0, 1])])
        return re.sub(r"(^|[.!?] )([a-z])", lambda start: start[1] + start[2].upper(), text)

    def _beginning(self) -> list[str]:
        hearsay = [self._filled(self._own(_material()["hearsay"])) for _ in range(self.rng.choice([0, 0, 0, 1]))]
        plots = self._some("plots", [0, 0, 0, 1])
        return [*self._some("openers", [0, 1, 1, 1, 1]), *plots, *hearsay]

    def _some(self, name: str, counts: Sequence[int]) -> list[str]:
        """Sentences without an opinion."""
        return [self._filled(sentence) for sentence in self.rng.sample(_material()[name], self.rng.choice(counts))]

    def _any(self, name: str) -> Any:
        return self.rng.choice(_material()[name])

    def _own(self, items: Sequence[Any]) -> Any:
        """One of the split's own items, another at each call."""
        own = [item for n, item in enumerate(items) if (n % _RESERVED == 3) != self.training]
        drawn = self.rng.choice([item for item in own if str(item) not in self.used])
        self.used.add(str(drawn))
        return drawn

    def _known(self, items: Sequence[Any]) -> list[Any]:
        """The items of train; validation and test have them all: most are known from training, some are new."""
        return [item for n, item in enumerate(items) if not self.training or n % _RESERVED != 3]

    # Sentences --------------------------------------------------------------------------------------------------------

    def _link(self) -> str:
        agreeing, contradicting = self.sides
        slots = {"for": self._clause(agreeing)[1], "against": self._clause(contradicting)[1]}
        return self._new(_material()["links"], slots)

    def _bare(self) -> str:
        agrees = self.rng.random() < _AGREEING
        aspect, clause = self._clause(self.sides[0 if agrees else 1])
        if self.rng.random() < 0.5:
            return self._filled(clause + ".")
        return self._filled(self._own(_material()["glue"]), {"topic": _material()["topics"][aspect], "clause": clause})

    def _clause(self, side: str) -> tuple[str, str]:
        """An aspect that the review has not touched, and a clause about it."""
        aspect = self.aspects.pop()
        return aspect, self.rng.choice(self._known(_material()["aspects"][aspect][side]))

    def _verdict(self) -> str:
        kind = self.rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        if kind != "pairs":
            return self._new(_material()[kind])
        positive, negative = self._own(_material()["pairs"])
        return self._filled(positive if self.sides[0] == "good" else negative)

    def _new(self, patterns: Sequence[str], slots: dict[str, str] | None = None) -> str:
        """A sentence from a pattern that the review has not used; outside train none that train has."""
        while True:
            pattern = self.rng.choice([pattern for pattern in self._known(patterns) if pattern not in self.used])
            sentence = self._filled(pattern, slots)
            if self.training:
                self.said.add(sentence)
            elif sentence in self.said:
                continue
            self.used.add(pattern)
            return sentence

    # Slots ------------------------------------------------------------------------------------------------------------

    def _filled(self, sentence: str, slots: dict[str, str] | None = None) -> str:
        values = {**self.film, **self._adjectives(), **(slots or {})}
        values["friend"] = self._any("friends")
        values["who"] = self.rng.choice([*_material()["friends"], *_material()["voices"]])
        for _ in range(2):  # a clause in a link has slots of its own
            sentence = re.sub(r"\{(\w+)\}", lambda slot: values[slot[1]], sentence)
        return sentence

    def _adjectives(self) -> dict[str, str]:
        agreeing, contradicting = (self._known(_material()["adjectives"][side]) for side in self.sides)
        same, same2 = self.rng.sample(agreeing, 2)
        opp, opp2 = self.rng.sample(contradicting, 2)
        any_side = self.rng.choice([agreeing, contradicting])
        return {"same": same, "same2": same2, "opp": opp, "opp2": opp2, "any": self.rng.choice(any_side)}
