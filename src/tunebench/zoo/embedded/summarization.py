"""News stories with highlights, in the manner of CNN/DailyMail; all invented, written for this project, Apache-2.0.

A story has facts (each in several wordings, with a highlight), quotes, background and an opening scene. The article
puts them in one of seven orders, so that the main fact stands at the start in some articles and in the middle of
others. The highlights are two or three lines, one for each of the most important facts that the article tells, mostly
in its words, shorter or reworded.

Noise: in 4 % of the articles one highlight tells a lesser fact instead, as editors' tastes differ.

Validation and test: about half of their stories are of kinds that training never sees; the others have people and
towns of their own, and may use wordings that training does not have. No article and no set of highlights occurs twice.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_MATERIAL = Path(__file__).parent / "material" / "summarization.yaml"
_SEED = 4_711
_SIZES = {"train": 700, "validation": 150, "test": 200}
_RESERVED_STORIES = 0.5
_OTHER_TASTE = 0.04
_WORDS = (80, 220)

_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_ORDINALS = ["zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
_IN_FIGURES = ("year", "votes", "against")
_PRONOUNS = {
    "woman": {"he": "she", "his": "her", "him": "her", "himself": "herself"},
    "man": {"he": "he", "his": "his", "him": "him", "himself": "himself"},
}
# O opening, B background, Q quote, A aside, and facts by importance; what a story lacks is left out.
_ORDERS = (
    "01BQ2QB34AQBA",
    "01QB2BA3QA4BQ",
    "0QB12QB34ABQA",
    "0B1Q2BAQ3QBA",
    "O01BQ2QBA34QBA",
    "OB0Q1B2AQ34BQA",
    "OQ1B20QB3ABQA",
)
_LONG = 0.35


@dataclass(frozen=True)
class _Character:
    """Introduced in full, then called by surname.

    Attributes:
        intro: as in "mayor Anna Holt" or "Anna Holt, who leads the club".
        short: the introduction without a relative clause.
    """

    intro: str
    short: str
    surname: str
    pronouns: dict[str, str]


def rows() -> dict[str, list[dict[str, Any]]]:
    """The three splits; a row has `article`, `highlights` (lines separated by a newline) and `id`."""
    material = yaml.safe_load(_MATERIAL.read_text("utf-8"))
    seen: set[str] = set()
    return {split: _split(material, split, size, seen) for split, size in _SIZES.items()}


def _split(material: dict[str, Any], split: str, size: int, seen: set[str]) -> list[dict[str, Any]]:
    rng = random.Random(f"{_SEED} {split}")
    held_out = split != "train"
    found: list[dict[str, Any]] = []
    while len(found) < size:
        reserved = held_out and rng.random() < _RESERVED_STORIES
        story = rng.choice(material["reserved" if reserved else "stories"])
        details = _details(story, material, held_out, rng)
        article, highlights = _report(story, material["asides"], details, held_out, rng)
        if not _WORDS[0] <= len(article.split()) <= _WORDS[1] or {article, highlights} & seen:
            continue
        seen.update((article, highlights))
        found.append({"article": article, "highlights": highlights, "id": f"{split}-{len(found):04d}"})
    return found


# Details: people, places and numbers ----------------------------------------------------------------------------------


def _details(story: dict[str, Any], material: dict[str, Any], held_out: bool, rng: random.Random) -> dict[str, Any]:
    """What the braces of the wordings stand for."""
    town, other_town = rng.sample(_names(material["towns"], held_out), 2)
    day, other_day = rng.sample(material["days"], 2)
    details: dict[str, Any] = {"town": town, "town2": other_town, "day": day, "day2": other_day}
    details["month"] = rng.choice(material["months"])
    for name, (low, high, step) in story["numbers"].items():
        details[name] = rng.randrange(low, high + 1, step)
    for name, choices in story.get("choices", {}).items():
        details[name] = rng.choice(choices)
    surnames = rng.sample(_names(material["surnames"], held_out), 2)
    for letter, surname in zip("PQ", surnames, strict=True):
        sex = rng.choice(("woman", "man"))
        full = f"{rng.choice(_names(material['women' if sex == 'woman' else 'men'], held_out))} {surname}"
        intro = _numbered(story["people"][letter].replace("{name}", full), details)
        short = full if intro.startswith(full) else intro
        details[letter] = _Character(intro, short, surname, _PRONOUNS[sex])
    return details


def _names(source: dict[str, list[str]], held_out: bool) -> list[str]:
    return source["reserved" if held_out else "shared"]


# Articles -------------------------------------------------------------------------------------------------------------


def _report(
    story: dict[str, Any], asides: list[str], details: dict[str, Any], held_out: bool, rng: random.Random
) -> tuple[str, str]:
    """The article and its highlights."""
    order = rng.choice(_ORDERS)
    facts = story["facts"]
    kept = [int(mark) for mark in order if mark.isdigit() and int(mark) < len(facts)]
    # A long article has all that the order has room for.
    counts = {"O": (1,), "Q": (3,), "B": (3,), "A": (2,)}
    if rng.random() >= _LONG:
        counts = {"O": (1,), "Q": (1, 2), "B": (1, 2), "A": (0, 1)}
    sources = {"O": story["open"], "Q": story["quotes"], "B": story["background"], "A": asides}
    drawn = {}
    for mark, source in sources.items():
        allowed = _allowed(source, held_out)
        drawn[mark] = iter(rng.sample(allowed, min(len(allowed), rng.choice(counts[mark]))))
    wordings = []
    for mark in order:
        if mark in drawn:
            wordings.append(next(drawn[mark], ""))
        elif int(mark) in kept:
            wordings.append(rng.choice(facts[int(mark)]["art"]))
    mentioned: set[str] = set()
    article = " ".join(_rendered(wording, details, mentioned, in_full=True) for wording in wordings if wording)
    return article, _highlights(facts, sorted(kept), details, rng)


def _allowed(wordings: Sequence[str], held_out: bool) -> Sequence[str]:
    """Of three or more wordings the last one is kept for validation and test."""
    return wordings if held_out or len(wordings) < 3 else wordings[:-1]


def _highlights(facts: list[dict[str, Any]], told: list[int], details: dict[str, Any], rng: random.Random) -> str:
    with_highlight = [index for index in told if "high" in facts[index]]
    chosen = with_highlight[: rng.choice((2, 3, 3))]
    if rng.random() < _OTHER_TASTE and len(told) > len(with_highlight):
        chosen[-1] = told[-1]
    mentioned: set[str] = set()
    lines = []
    for index in chosen:
        fact = facts[index]
        lines.append(_rendered(rng.choice(fact.get("high", fact["art"])), details, mentioned, in_full=False))
    return "\n".join(lines)


# Sentences ------------------------------------------------------------------------------------------------------------


def _rendered(wording: str, details: dict[str, Any], mentioned: set[str], in_full: bool) -> str:
    text = re.sub(r"\{([PQ])\}(.?)", lambda match: _named(match, details, mentioned, in_full), wording)
    for prefix, letter in (("", "P"), ("q", "Q")):
        for pronoun, word in details[letter].pronouns.items():
            text = text.replace(f"{{{prefix}{pronoun}}}", word)
    text = _numbered(text, details)
    text = re.sub(r"\b([Aa]) (?=(?!uni|eu|one|use)[aeio]|8\d?\b|u(?!n))", r"\1n ", text)
    start = 1 if text.startswith('"') else 0
    return text[:start] + text[start].upper() + text[start + 1 :]


def _named(match: re.Match[str], details: dict[str, Any], mentioned: set[str], in_full: bool) -> str:
    letter, following = match.groups()
    person: _Character = details[letter]
    if letter in mentioned:
        return person.surname + following
    mentioned.add(letter)
    if not in_full:
        return person.short + following
    # A relative clause inside a sentence is closed with a comma.
    comma = "," if ", " in person.intro and following == " " else ""
    return person.intro + comma + following


def _numbered(text: str, details: dict[str, Any]) -> str:
    """Everything but people filled in; small numbers in words, except in scores and amounts such as "6-2"."""

    def put(match: re.Match[str]) -> str:
        name, following = match.group(1), match.group(2)
        value = details.get(name, match.group(0))
        if not isinstance(value, int):
            return f"{value}{following}" if name in details else match.group(0)
        if name in _IN_FIGURES:
            return f"{value}{following}"
        if following == "th":
            return _ordinal(value)
        if value < len(_DIGITS) and following not in ("-", ","):
            return _DIGITS[value] + following
        return f"{value:,}{following}"

    return re.sub(r"\{(\w+)\}(th|[-,](?=\d)|)", put, text)


def _ordinal(value: int) -> str:
    if value < len(_ORDINALS):
        return _ORDINALS[value]
    suffix = "th" if 10 < value % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{suffix}"
