"""Six emotions in short first-person messages, written and generated for this project (Apache-2.0).

The columns are those of dair-ai/emotion: `text`, and `label` 0 sadness, 1 joy, 2 love, 3 anger, 4 fear, 5 surprise.
The label is what the narrator feels, now and in truth. Most messages name other feelings as well: somebody else's, a
former, an expected, a denied or a pretended one; others describe a scene and name none. So word order decides.

The frames and scenes of validation and test never occur in train, nor does a quarter of their words; topics, names and
closing remarks are shared. In each split 3 % of the labels are wrong on purpose, often with a feeling that the
message names but does not mean.
"""

import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_SEED = 20240611
_SIZES = {"train": 1800, "validation": 300, "test": 400}
_NOISE = 0.03
_LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
_SHARES = (0.27, 0.29, 0.12, 0.14, 0.12, 0.06)
_KINDS = {"plain": 0.4, "contrast": 0.5, "scene": 0.1}
_ECHOED = 0.5  # share of the contrasts after which the feeling is said once more
_RESERVED = 4  # of frames, scenes and words each fourth is for validation and test
_PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her")}
# "So over the moon" and "made me in a rage" read badly: after these words an adjective of one word is drawn.
_BEFORE_SHORT = re.compile(r"\b(?:so|this|how|more|less|too|ma[dk]es? me) \{(\w+)\}")


@cache
def _material() -> dict[str, Any]:
    path = Path(__file__).parent / "material" / "emotion.yaml"
    return yaml.safe_load(path.read_text("utf-8"))


def rows() -> dict[str, list[dict[str, Any]]]:
    """The three splits, the same on every machine; no text occurs twice."""
    rng = random.Random(_SEED)
    seen: set[str] = set()
    return {split: _split(rng, split == "train", size, seen) for split, size in _SIZES.items()}


def _split(rng: random.Random, training: bool, size: int, seen: set[str]) -> list[dict[str, Any]]:
    labels = [label for label, share in enumerate(_SHARES) for _ in range(round(share * size))]
    drawn = [_new_message(rng, training, label, seen) for label in labels]
    for row in rng.sample(drawn, round(_NOISE * size)):
        row["label"] = row["mistaken"]
    rng.shuffle(drawn)
    return [{"text": row["text"], "label": row["label"]} for row in drawn]


def _new_message(rng: random.Random, training: bool, label: int, seen: set[str]) -> dict[str, Any]:
    while True:
        message = _Message(rng, training, label)
        text = message.text()
        key = re.sub(r"\W", "", text).lower()
        if key not in seen:
            seen.add(key)
            return {"text": text, "label": label, "mistaken": message.mistaken}


class _Message:
    """One message: its feelings, its people, its topic."""

    def __init__(self, rng: random.Random, training: bool, label: int) -> None:
        self.rng = rng
        self.training = training
        self.feeling = _LABELS[label]
        self.kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        # Love needs somebody, and no topic is a person.
        self.about_person = label == _LABELS.index("love") or rng.random() < 0.35
        self.other, self.third = rng.sample([name for name in _LABELS if name != self.feeling], 2)
        self.name, gender = self._any("names").split("|")
        self.pronouns = _PRONOUNS[gender]
        self.who = self._somebody(gender)
        self.topic = self._any("topics")

    @property
    def mistaken(self) -> int:
        """The label that a hasty reader would give."""
        return _LABELS.index(self.other)

    def text(self) -> str:
        """The finished message."""
        sentences = self._scene() if self.kind == "scene" else self._framed()
        if self.rng.random() < 0.25:
            sentences.append(self._any("codas"))
        return self._styled(" ".join(sentences))

    def _any(self, name: str) -> Any:
        return self.rng.choice(_material()[name])

    def _own(self, items: Sequence[Any]) -> Any:
        """One of the split's own items."""
        return self.rng.choice([item for n, item in enumerate(items) if (n % _RESERVED == 3) != self.training])

    def _somebody(self, gender: str) -> list[str]:
        """Somebody whose pronoun cannot be taken for that of the person the message is about."""
        people = [person.split("|") for person in _material()["who"]]
        return self.rng.choice([person for person in people if person[1] != gender])

    # Frames and scenes ------------------------------------------------------------------------------------------------

    def _framed(self) -> list[str]:
        subject = "person" if self.about_person else "event"
        frame = self._own(_material()[f"{self.kind}_{subject}"])
        named = any(slot in frame for slot in ("{name}", "{since}", "{it}"))
        lead = []
        if not named or self.rng.random() < 0.4:
            lead = [self._any("person_leads") if self.about_person else self.rng.choice(self.topic["leads"])]
        if not self.about_person or "{n_adj}" in frame or "{x_they_did}" in frame:
            self._no_other_love()
        it = self.rng.choice(["it", "it", "all of it", "the whole thing"]) if lead else self.topic["it"]
        echo = []
        if self.kind == "contrast" and self.rng.random() < _ECHOED:
            echo = [self._filled(self._own(_material()["echoes"]), it)]
        return [self._with_person(" ".join([*lead, self._introduced(self._filled(frame, it)), *echo]))]

    def _introduced(self, sentence: str) -> str:
        if not sentence.startswith(("I ", "I'm ")) or self.rng.random() > 0.3:
            return sentence
        return f"{self._any('asides')}, {sentence}"

    def _scene(self) -> list[str]:
        self._no_other_love()
        sentences = [self._own(_material()["words"][self.feeling]["scene"])]
        place = self.rng.random()
        if place < 0.4:
            sentences.insert(0, self._filled(self._own(_material()["scene_before"]), "it"))
        elif place < 0.7:
            sentences.append(self._filled(self._own(_material()["scene_after"]), "it"))
        return sentences

    def _no_other_love(self) -> None:
        others = [name for name in _LABELS if name not in (self.feeling, "love")]
        self.other, self.third = self.rng.sample(others, 2)

    # Slots ------------------------------------------------------------------------------------------------------------

    def _filled(self, frame: str, it: str) -> str:
        short = set(_BEFORE_SHORT.findall(frame))
        who, they, their, them = self.who
        values = {"who": who, "they": they, "them": them, "it": it, "grade": self._any("grades")}
        values["since"] = self._any("since") if "{since}" in frame else ""
        for prefix, feeling in (("", self.feeling), ("x_", self.other), ("n_", self.other), ("y_", self.third)):
            values[f"{prefix}adj"] = self._word(feeling, "adj", f"{prefix}adj" in short)
            values[f"{prefix}noun"] = self._word(feeling, "noun")
            values[f"{prefix}did"] = self._word(feeling, "did").replace("{my}", "my")
        values["x_they_did"] = self._word(self.other, "did").replace("{my}", their)
        return re.sub(r"\{(\w+)\}", lambda slot: values.get(slot[1], slot[0]), frame)

    def _word(self, feeling: str, form: str, short: bool = False) -> str:
        words = _material()["words"][feeling][form]
        # Validation and test draw from all words: most of a vocabulary is known from training, some of it is new.
        own = [word for n, word in enumerate(words) if not self.training or n % _RESERVED != 3]
        fitting = [word for word in own if not short or " " not in word]
        # As in real text, the words at the top of the list are common and those at its end are rare.
        return self.rng.choices(fitting, [1 / (rank + 4) for rank in range(len(fitting))])[0]

    def _with_person(self, text: str) -> str:
        """The name at the first mention, a pronoun at each later one that does not ask for the name."""
        he, him, his = self.pronouns
        first = {"name": self.name, "he": self.name, "him": self.name, "his": f"{self.name}'s"}
        later = {"name": self.name, "he": he, "him": him, "his": his}
        mentions = 0

        def resolve(slot: re.Match[str]) -> str:
            nonlocal mentions
            mentions += 1
            return (first if mentions == 1 else later)[slot[1]]

        return re.sub(r"\{(name|he|him|his)\}", resolve, text)

    # Style ------------------------------------------------------------------------------------------------------------

    def _styled(self, text: str) -> str:
        """Sentence case, or as people type: lower case, some without apostrophes or the last full stop."""
        text = re.sub(r"(^|[.!?] )([a-z])", lambda start: start[1] + start[2].upper(), text)
        style = self.rng.random()
        if style < 0.25:
            return re.sub(r"(^|[.!?;] )I am ", r"\1I'm ", text)
        if style < 0.5:
            return text
        text = text.lower()
        if style > 0.85:
            text = text.replace("'", "")
        return text.removesuffix(".") if style > 0.7 else text
