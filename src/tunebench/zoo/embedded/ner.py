"""Named entities in invented news: frames and names written for this project, put together by a seeded generator.

A frame names its entities, so the labels come about with the text: `{firm} sued {sur}` yields an organisation and a
person. The same names are towns, surnames, companies, clubs and ships, so that the context decides and not the word.
Validation and test take 70 % of their rows from frames that training never sees (the rest from training's frames),
and three of four of their names from lists that training never sees. 2 % of the rows, in every split, carry one wrong
entity, as an annotator's slip: another class, a lost last word or no entity at all.

The tags are those of CoNLL-2003 in IOB2. Licence: Apache-2.0, text and names, written for this project.
"""

import random
import re
from pathlib import Path
from typing import Any

import yaml

_MATERIAL = Path(__file__).parent / "material" / "ner.yaml"
_SEED = 20031
_SIZES = {"train": 1700, "validation": 300, "test": 400}
_TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
_OTHER_CLASS = {"PER": "ORG", "ORG": "LOC", "LOC": "ORG", "MISC": "ORG"}

# How often a row, or a name in it, takes the rarer form.
_HEADLINE = 0.1
_COMMON_FRAME = 0.3
_COMMON_NAME = 0.25
_TAIL = 0.15
_DATELINE = 0.1
_NOISE = 0.02
_AMBIGUOUS_SURNAME = 0.6

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_NUMBER = re.compile(r"\{(\d+)-(\d+)\}")
_PART = re.compile(r"\[(?P<label>[A-Z]+) (?P<inside>[^\]]*)\]|\{(?P<name>[a-z_]+)(?:\.(?P<key>\w))?\}|[^\[\]{}]+")
_WORD = re.compile(r"St\.|(?:[A-Z]\.)+|'s\b|[^\W_]+(?:[-.,:'](?!s\b)[^\W_]+)*|[^\w\s]")
_VOWEL_SOUND = re.compile(r"(?:[aei]|o(?!nc?e\b)|u(?!k|ni|s[aeiu])|hour|honest)", re.IGNORECASE)
_SMALL_WORDS = {
    "a",
    "an",
    "the",
    "of",
    "in",
    "on",
    "off",
    "to",
    "for",
    "and",
    "over",
    "at",
    "by",
    "near",
    "with",
    "-",
    "v",
}

_Word = tuple[str, str]  # the word and its class: PER, ORG, LOC, MISC, or O; an entity begins where `_BEGINS` ends it
_BEGINS = "!"


def rows() -> dict[str, list[dict[str, Any]]]:
    """Rows by split: `id`, `tokens` and `ner_tags`, indices into O, B-PER, I-PER, B-ORG, ..., I-MISC."""
    rng = random.Random(_SEED)
    material = yaml.safe_load(_MATERIAL.read_text("utf-8"))
    seen: set[str] = set()
    return {split: _split(material, split, size, rng, seen) for split, size in _SIZES.items()}


def _split(material: dict[str, Any], split: str, size: int, rng: random.Random, seen: set[str]) -> list[dict[str, Any]]:
    part = "train" if split == "train" else "heldout"
    writer = _SentenceWriter(material, part, rng)
    made: list[dict[str, Any]] = []
    while len(made) < size:
        words = writer.row()
        text = " ".join(word for word, _ in words).lower()
        if text in seen:
            continue
        seen.add(text)
        if rng.random() < _NOISE:
            words = _slip(words, rng)
        tokens = [word for word, _ in words]
        made.append({"id": f"{split}-{len(made):04}", "tokens": tokens, "ner_tags": _tags(words)})
    return made


class _SentenceWriter:
    """Writes the rows of one part of the material."""

    def __init__(self, material: dict[str, Any], part: str, rng: random.Random):
        self._rng = rng
        self._part = part
        self._names = {name: _lists(value) for name, value in material["names"].items()}
        self._entities = {name: _productions(value, part) for name, value in material["entities"].items()}
        self._frames = {
            kind: {split: _lines(text) for split, text in material[kind].items()} for kind in ("frames", "headlines")
        }
        self._decks: dict[tuple[str, str], list[str]] = {}
        self._bound: dict[str, Any] = {}
        self._used: set[str] = set()

    def row(self) -> list[_Word]:
        """One row's words."""
        self._bound, self._used = {}, set()
        if self._rng.random() < _HEADLINE:
            return self._headline(self._expand(self._frame("headlines")))
        frame = self._frame("frames")
        with_source = frame.endswith("~")
        dateline = with_source and self._rng.random() < _DATELINE
        if with_source:
            frame = frame[:-1] + (self._produce("tail") if self._rng.random() < _TAIL else ".")
        words = _articles(self._expand(frame))
        if frame[0].islower():  # chat: no capitals at all
            return [(word.lower(), label) for word, label in words]
        words = _sentence_starts(words)
        return self._dateline() + words if dateline else words

    def _frame(self, kind: str) -> str:
        """The next frame of a shuffled deck: all are used equally often."""
        common = self._part != "train" and self._rng.random() < _COMMON_FRAME
        deck = self._decks.setdefault((kind, "train" if common else self._part), [])
        if not deck:
            deck.extend(self._frames[kind]["train" if common else self._part])
            self._rng.shuffle(deck)
        return deck.pop()

    def _headline(self, words: list[_Word]) -> list[_Word]:
        style = self._rng.random()
        if style < 0.45:
            return [(word.upper(), label) for word, label in words]
        if style < 0.85:
            return [
                (word if n and word in _SMALL_WORDS else _capital(word), label) for n, (word, label) in enumerate(words)
            ]
        return _sentence_starts(words)

    def _dateline(self) -> list[_Word]:
        place = [(word.upper(), label) for word, label in self._expand("{town}")]
        return place + self._expand(", {month} {2-28} -")

    def _expand(self, text: str) -> list[_Word]:
        words: list[_Word] = []
        for part in _PART.finditer(self._decide(text)):
            if part["label"]:
                words += _entity(self._plain(part["inside"]), part["label"])
            elif part["name"]:
                words += self._slot(part["name"], part["key"])
            else:
                words += [(word, "O") for word in _WORD.findall(part[0])]
        return words

    def _slot(self, name: str, key: str | None) -> list[_Word]:
        if name in ("per", "sur", "given"):
            return _entity(self._person(name, key), "PER")
        if name not in self._entities:
            return [(word, "O") for word in self._name(name).split()]
        if key is None:
            return self._expand(self._produce(name))
        if key not in self._bound:
            self._bound[key] = self._expand(self._produce(name))
        return self._bound[key]

    def _person(self, name: str, key: str | None) -> str:
        """A whole name, a surname or a given name; the same key is the same person."""
        ambiguous = self._rng.random() < _AMBIGUOUS_SURNAME
        given, surname = self._bound.get(key or "") or (
            self._name("given"),
            self._name("stem" if ambiguous else "surname"),
        )
        if key:
            self._bound[key] = (given, surname)
        if name != "per":
            return surname if name == "sur" else given
        style = self._rng.random()
        if style < 0.08:
            return f"{given[0]}. {surname}"
        return f"{given} {self._rng.choice('ABCDEHJKLMR')}. {surname}" if style < 0.13 else f"{given} {surname}"

    def _plain(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda name: self._name(name[1]), text)

    def _decide(self, text: str) -> str:
        """The text without choices and number ranges."""
        while choice := _CHOICE.search(text):
            text = text[: choice.start()] + self._rng.choice(choice[1].split("|")) + text[choice.end() :]
        text = re.sub(r" +(?=[ .])", "", text)
        return _NUMBER.sub(lambda found: _number(self._rng.randint(int(found[1]), int(found[2])), found), text)

    def _produce(self, name: str) -> str:
        texts, weights = self._entities[name]
        return self._rng.choices(texts, weights)[0]

    def _name(self, name: str) -> str:
        """A name that this row does not have yet, one of four from what training knows too."""
        shared, own = self._names[name].get("shared", []), self._names[name].get(self._part, [])
        names = shared if not own or (shared and self._rng.random() < _COMMON_NAME) else own
        name = self._rng.choice([name for name in names if name not in self._used] or names)
        self._used.add(name)
        return name


# Reading the material -------------------------------------------------------------------------------------------------


def _lists(value: str | dict[str, str]) -> dict[str, list[str]]:
    parts = value if isinstance(value, dict) else {"shared": value}
    return {part: [" ".join(name.split()) for name in text.split(",") if name.strip()] for part, text in parts.items()}


def _lines(text: str) -> list[str]:
    return text.strip().replace("\n ", " ").splitlines()


def _productions(parts: dict[str, str], part: str) -> tuple[list[str], list[int]]:
    """What an entity may be written as, and how often each."""
    lines = _lines(parts["shared"]) + _lines(parts.get(part, ""))
    matches = [re.fullmatch(r"(?:(\d+): )?(.*)", line) for line in lines]
    return [line[2] for line in matches if line], [int(line[1] or 1) for line in matches if line]


# Words ----------------------------------------------------------------------------------------------------------------


def _entity(text: str, label: str) -> list[_Word]:
    words = _WORD.findall(text)
    if words[0] == "the":  # "the United States": the article is outside, as in CoNLL
        return [("the", "O"), *_entity(text.removeprefix("the "), label)]
    return [(word, label + (_BEGINS if n == 0 else "")) for n, word in enumerate(words)]


def _number(value: int, bounds: re.Match[str]) -> str:
    year = int(bounds[1]) > 1500 and int(bounds[2]) < 2100
    return str(value) if year or value < 200 else f"{value // 10 * 10:,}"


def _articles(words: list[_Word]) -> list[_Word]:
    """A before consonants, an before vowels."""
    fixed = list(words)
    for n, (word, label) in enumerate(words[:-1]):
        if word.lower() in ("a", "an") and label == "O":
            fixed[n] = (word[0] + ("n" if _VOWEL_SOUND.match(words[n + 1][0]) else ""), label)
    return fixed


def _sentence_starts(words: list[_Word]) -> list[_Word]:
    return [
        (_capital(word) if n == 0 or words[n - 1] in ((".", "O"), ("?", "O")) else word, label)
        for n, (word, label) in enumerate(words)
    ]


def _capital(word: str) -> str:
    return word[0].upper() + word[1:]


def _tags(words: list[_Word]) -> list[int]:
    names = ["O" if label == "O" else ("B-" if _BEGINS in label else "I-") + label.strip(_BEGINS) for _, label in words]
    return [_TAGS.index(name) for name in names]


def _slip(words: list[_Word], rng: random.Random) -> list[_Word]:
    """One entity mislabelled."""
    starts = [n for n, (_, label) in enumerate(words) if _BEGINS in label]
    if not starts:
        return words
    start = rng.choice(starts)
    end = start + 1
    while end < len(words) and words[end][1] != "O" and _BEGINS not in words[end][1]:
        end += 1
    kind = rng.choice(("class", "class", "end", "missed"))
    fixed = list(words)
    if kind == "class":
        label = words[start][1].strip(_BEGINS)
        text = " ".join(word for word, _ in words[start:end])
        fixed[start:end] = _entity(text, _OTHER_CLASS[label])
    else:
        first = end - 1 if kind == "end" else start
        fixed[first:end] = [(word, "O") for word, _ in words[first:end]]
    return fixed
