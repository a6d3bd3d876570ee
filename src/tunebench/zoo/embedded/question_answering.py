"""Questions on short texts about invented voyages, bridges, cheeses and trials: scenarios written for this project.

A scenario is a story with gaps for people, places, years and details, each sentence in several wordings, and questions
in other words than the sentences'. A seeded generator draws the facts, so it knows where each answer stands. A text
holds several people, places and numbers, so that the kind of the answer alone does not find it.

Validation and test take 70 % of their texts from scenarios that training never sees, the rest from training's
scenarios with question wordings that training never sees; four of five of their names are new too. Training has one
answer a question, validation and test up to two acceptable spans. 2 % of the questions, in every split, have a wrong
answer, as an annotator's slip: another person, or a word too many.

The columns are SQuAD's. Licence: Apache-2.0, texts and questions, written for this project.
"""

import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_MATERIAL = Path(__file__).parent / "material" / "question_answering.yaml"
_SEED = 20161
_SIZES = {"train": 1500, "validation": 300, "test": 400}  # questions

_COMMON_SCENARIO = 0.3
_COMMON_NAME = 0.2
_OPTIONAL = 0.6
_NOISE = 0.02

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_NUMBER = re.compile(r"\{(\d+)-(\d+)\}")
_PART = re.compile(
    r"\[(?P<key>[a-z_]+):(?P<inside>[^\]]*)\]|\{(?P<fact>[a-z_]+)(?:\.(?P<form>\w+))?(?P<mark>!)?\}|[^\[\]{}]+"
)
_PRONOUNS = {"woman": ("she", "her", "her"), "man": ("he", "his", "him")}
_MOVABLE, _MAY_MISS = "*", "?"


@dataclass(frozen=True)
class _Person:
    given: str
    surname: str
    kind: str

    def form(self, form: str | None) -> str:
        """The whole name, the surname (`last`) or a pronoun (`he`, `His`, ...), in the person's gender."""
        if form in (None, "last"):
            return self.surname if form else f"{self.given} {self.surname}"
        pronoun = _PRONOUNS[self.kind][("he", "his", "him").index(form.lower())]
        return pronoun.capitalize() if form[0].isupper() else pronoun


_Facts = dict[str, _Person | str]


@dataclass(frozen=True)
class _Mention:
    key: str
    start: int
    end: int
    rank: int  # the mention of the lowest rank is the answer: marked, told in full, told by surname


@dataclass
class _Text:
    """A text under construction, and where its facts are mentioned."""

    text: str = ""
    mentions: list[_Mention] = field(default_factory=list)


def rows() -> dict[str, list[dict[str, Any]]]:
    """Rows by split, one a question: `id`, `title`, `context`, `question` and `answers` (`text`, `answer_start`)."""
    rng = random.Random(_SEED)
    material = yaml.safe_load(_MATERIAL.read_text("utf-8"))
    seen: set[str] = set()
    return {split: _split(material, split, size, rng, seen) for split, size in _SIZES.items()}


def _split(material: dict[str, Any], split: str, size: int, rng: random.Random, seen: set[str]) -> list[dict[str, Any]]:
    writer = _PassageWriter(material, "train" if split == "train" else "heldout", rng)
    made: list[dict[str, Any]] = []
    while len(made) < size:
        for row in writer.text(seen):
            made.append({"id": f"{split}-{len(made):04}", **row})
    return made[:size]


class _PassageWriter:
    """Writes texts with their questions from one part of the material."""

    def __init__(self, material: dict[str, Any], part: str, rng: random.Random):
        self._rng = rng
        self._part = part
        self._names = {name: _lists(value) for name, value in material["names"].items()}
        self._scenarios: dict[str, list[dict[str, str]]] = material["scenarios"]
        self._decks: dict[str, list[dict[str, str]]] = {}

    def text(self, seen: set[str]) -> list[dict[str, Any]]:
        """The rows of one text that is not among those seen."""
        common = self._part != "train" and self._rng.random() < _COMMON_SCENARIO
        scenario = self._scenario("train" if common else self._part)
        facts = self._facts(scenario["facts"])
        context = self._context(_lines(scenario["context"]), facts)
        if context.text in seen:
            return []
        seen.add(context.text)
        title = _capital(self._fill(scenario["title"], facts).text)
        made = []
        for key, wordings in self._questions(scenario["ask"], context):
            reserved = len(wordings) > 2
            if common:
                wordings = wordings[-1:]
            elif reserved and self._part == "train":
                wordings = wordings[:-1]
            question = _capital(self._fill(self._rng.choice(wordings), facts).text)
            answers = self._answers(context, key, facts, question)
            made.append({"title": title, "context": context.text, "question": question, "answers": answers})
        return made

    def _scenario(self, part: str) -> dict[str, str]:
        """The next of a shuffled deck: all are used equally often."""
        deck = self._decks.setdefault(part, [])
        if not deck:
            deck.extend(self._scenarios[part])
            self._rng.shuffle(deck)
        return deck.pop()

    def _facts(self, declared: str) -> _Facts:
        """People, names and years; no two of a text are alike."""
        facts: _Facts = {}
        used: set[str] = set()
        for key, kind, *how in (words.split() for words in declared.split(",")):
            if kind == "person":
                gender = how[0] if how else self._rng.choice(("woman", "man"))
                facts[key] = _Person(self._name(gender, used), self._name("surname", used), gender)
            elif kind in ("year", "after"):
                low, high = map(int, how[-1].split("-"))
                since = int(str(facts[how[0]])) if kind == "after" else 0
                facts[key] = str(since + self._rng.randint(low, high))
            else:
                facts[key] = self._name(kind, used)
        return facts

    def _name(self, kind: str, used: set[str]) -> str:
        shared, own = self._names[kind].get("shared", []), self._names[kind].get(self._part, [])
        while True:
            common = not own or self._rng.random() < _COMMON_NAME
            name = self._rng.choice(shared if common else own)
            if name not in used:
                used.add(name)
                return name

    def _context(self, lines: list[str], facts: _Facts) -> _Text:
        """The sentences in order, but for those that may change places or be left out."""
        told: list[str] = []
        movable: list[str] = []
        for line in [*lines, ""]:
            marks, _, sentence = line.partition(" ") if line[:1] in (_MOVABLE, _MAY_MISS) else ("", "", line)
            if _MOVABLE not in marks:
                self._rng.shuffle(movable)
                told += movable
                movable = []
            if _MAY_MISS in marks and self._rng.random() > _OPTIONAL:
                continue
            wording = self._rng.choice(sentence.split(" // "))
            (movable if _MOVABLE in marks else told).append(wording)
        context = _Text()
        for sentence in told[:-1]:  # the last is the empty line that ends the movable ones
            context.text += " " if context.text else ""
            start = len(context.text)
            self._fill(sentence, facts, context)
            context.text = context.text[:start] + _capital(context.text[start:])
        return context

    def _fill(self, text: str, facts: _Facts, into: _Text | None = None) -> _Text:
        """Append the text with its gaps filled."""
        into = into or _Text()
        for part in _PART.finditer(self._decide(text)):
            start = len(into.text)
            if part["key"]:
                self._fill(part["inside"], facts, into)
                into.mentions.append(_Mention(part["key"], start, len(into.text), 0))
            elif part["fact"]:
                into.text += self._fact(part["fact"], part["form"], facts)
                if part["form"] in (None, "last"):
                    rank = 0 if part["mark"] else 2 if part["form"] else 1
                    into.mentions.append(_Mention(part["fact"], start, len(into.text), rank))
            else:
                into.text += part[0]
        return into

    def _fact(self, key: str, form: str | None, facts: _Facts) -> str:
        fact = facts.get(key)
        if fact is None:  # a weekday, a month: a detail that no question asks for
            return self._name(key, set())
        return fact.form(form) if isinstance(fact, _Person) else fact

    def _decide(self, text: str) -> str:
        while choice := _CHOICE.search(text):
            text = text[: choice.start()] + self._rng.choice(choice[1].split("|")).strip() + text[choice.end() :]
        return _NUMBER.sub(lambda found: _number(self._rng.randint(int(found[1]), int(found[2]))), text)

    def _questions(self, asked: str, context: _Text) -> list[tuple[str, list[str]]]:
        """Three or four of the questions that this text answers."""
        answered = {mention.key for mention in context.mentions}
        pairs = [line.split(": ", 1) for line in _lines(asked)]
        open_ones = [(key, wordings.split(" // ")) for key, wordings in pairs if key in answered]
        return self._rng.sample(open_ones, self._rng.choice((3, 4)))

    def _answers(self, context: _Text, key: str, facts: _Facts, question: str) -> dict[str, list[Any]]:
        answer = _answer(context, key)
        spans = [(answer.start, answer.end)]
        if self._rng.random() < _NOISE:
            spans = [self._slip(context, answer, facts)]
        elif self._part != "train":
            spans += _also(context, answer, facts.get(key), question)
        return {
            "text": [context.text[start:end] for start, end in spans],
            "answer_start": [start for start, _ in spans],
        }

    def _slip(self, context: _Text, answer: _Mention, facts: _Facts) -> tuple[int, int]:
        """Another person instead of the right one, or the next word taken in."""
        others = [mention for mention in context.mentions if mention.key != answer.key and mention.rank == 1]
        people = [mention for mention in others if isinstance(facts.get(mention.key), _Person)]
        if people and isinstance(facts.get(answer.key), _Person):
            other = self._rng.choice(people)
            return other.start, other.end
        end = context.text.find(" ", answer.end + 1)
        return answer.start, len(context.text) if end < 0 else end


def _answer(context: _Text, key: str) -> _Mention:
    return min((mention for mention in context.mentions if mention.key == key), key=lambda mention: mention.rank)


def _also(context: _Text, answer: _Mention, fact: _Person | str | None, question: str) -> list[tuple[int, int]]:
    """What is acceptable too: another form of a name, a phrase without its article, a number without its noun."""
    text = context.text[answer.start : answer.end]
    first, _, rest = text.partition(" ")
    if isinstance(fact, _Person) and text == fact.surname:
        return [(other.start, other.end) for other in context.mentions if other.key == answer.key and other.rank == 1][
            :1
        ]
    if isinstance(fact, _Person):
        return [(answer.end - len(fact.surname), answer.end)]
    if rest and first.lower() in ("a", "an", "the"):
        return [(answer.start + len(first) + 1, answer.end)]
    if rest and question.startswith("How many") and first[0].isdigit():
        return [(answer.start, answer.start + len(first))]
    return []


# Reading the material -------------------------------------------------------------------------------------------------


def _lists(value: str | dict[str, str]) -> dict[str, list[str]]:
    parts = value if isinstance(value, dict) else {"shared": value}
    return {part: [" ".join(name.split()) for name in text.split(",") if name.strip()] for part, text in parts.items()}


def _lines(text: str) -> list[str]:
    """A line that begins with a blank goes on with the one before."""
    return text.strip().replace("\n ", " ").splitlines()


def _number(value: int) -> str:
    return str(value) if value < 200 else f"{value // 10 * 10}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
