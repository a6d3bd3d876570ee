"""Sentence pairs with a score of likeness, 0 to 5, in the manner of STS-B; written for this project, Apache-2.0.

A pair is made from events ("the mechanic repaired a watch"), each with several ways to say it, to deny it and to say
something contrary, over nouns, places and times with synonyms, or from hand-written free statements. The score follows
from what differs: 5 for the same meaning, less for every role, place, time or number that differs, about 2 for a
denial, a contrary event or exchanged roles, about 1 for the same topic, and near 0 otherwise.

Noise: every score is jittered (normal, standard deviation 0.25) as an average of a few annotators would be, and 3 % of
the pairs are misjudged by a point and a half.

Validation and test use material that training never sees: every sentence there has a reserved event, noun, place, time,
number or ending, or comes from a reserved statement, and no sentence occurs in two splits.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

_MATERIAL = Path(__file__).parent / "material" / "similarity.yaml"
_SEED = 20_250
_SIZES = {"train": 1800, "validation": 300, "test": 400}
_JITTER = 0.25
_MISJUDGED = 0.03
_STATEMENT_SHARE = 0.09  # statements are few: more of them would only repeat

_VOWEL_SOUND = re.compile(r"(?!uni|eu|one\b)[aeiou]|hour|honest", re.IGNORECASE)
_PLURAL_VERBS = {"is": "are", "was": "were", "has": "have"}
# How much a difference of one role costs; who does something weighs less than to whom it is done.
_ROLE_COST = {"a": 1.2, "b": 1.3, "o": 1.6, "d": 1.3}


@dataclass(frozen=True)
class _Scene:
    """One event with its roles filled; two scenes with equal fields mean the same.

    Attributes:
        roles: role letter -> noun with its synonyms.
        place: forms, empty for none.
        time: forms, empty for none.
        tail: forms of what is added at the end, empty for none.
    """

    event: dict[str, Any]
    roles: dict[str, str]
    number: str
    place: str
    time: str
    tail: str


@dataclass(frozen=True)
class _Side:
    """How one sentence of a pair puts its scene into words.

    Attributes:
        manner: "say", "deny" or "opposite".
        avoid: words to leave to the other sentence where a synonym exists.
        keep: words of the other sentence to take where possible.
    """

    manner: str = "say"
    avoid: frozenset[str] = frozenset()
    keep: frozenset[str] = frozenset()


class _ScenePool:
    """The material one split may use."""

    def __init__(self, material: dict[str, Any], held_out: bool):
        self._material, self.holds_out = material, held_out
        self.events: list[dict[str, Any]] = list(material["events"])
        self.statements: list[dict[str, Any]] = material["statements_reserved" if held_out else "statements"]

    def event(self, rng: random.Random) -> dict[str, Any]:
        reserved = self.holds_out and rng.random() < 0.4
        return rng.choice(self._material["events_reserved"] if reserved else self.events)

    def noun(self, rng: random.Random, group: str) -> str:
        return self._choice(rng, self._material["groups"][group])

    def place(self, rng: random.Random, kind: str) -> str:
        return self._choice(rng, self._material["places"][kind])

    def time(self, rng: random.Random) -> str:
        return self._choice(rng, self._material["times"])

    def number(self, rng: random.Random, kind: str) -> str:
        return self._choice(rng, self._material["numbers"][kind])

    def tail(self, rng: random.Random, kind: str) -> str:
        return self._choice(rng, self._material["tails"][kind])

    def _choice(self, rng: random.Random, source: dict[str, list[str]]) -> str:
        reserved = self.holds_out and rng.random() < 0.6
        return rng.choice(source["reserved" if reserved else "shared"])

    def is_held_out(self, scene: _Scene) -> bool:
        """Whether the scene has something that training never sees."""
        if scene.event in self._material["events_reserved"]:
            return True
        sources = [self._material["groups"][group] for group in scene.event["slots"].values()]
        if scene.place:
            sources.append(self._material["places"][scene.event["place"]])
        if scene.time:
            sources.append(self._material["times"])
        if scene.number:
            sources.append(self._material["numbers"][scene.event["number"]])
        if scene.tail:
            sources.append(self._material["tails"][_tense(scene.event)])
        drawn = {*scene.roles.values(), scene.place, scene.time, scene.number, scene.tail}
        return any(drawn & set(source["reserved"]) for source in sources)


def rows() -> dict[str, list[dict[str, Any]]]:
    """The three splits; a row has `sentence1`, `sentence2`, `label` (0 to 5 in steps of 0.2) and `idx`."""
    material = yaml.safe_load(_MATERIAL.read_text("utf-8"))
    seen: set[str] = set()
    splits: dict[str, list[dict[str, Any]]] = {}
    for split, size in _SIZES.items():
        rng = random.Random(f"{_SEED} {split}")
        splits[split] = _split(_ScenePool(material, split != "train"), split, size, rng, seen)
    return splits


def _split(pool: _ScenePool, split: str, size: int, rng: random.Random, seen: set[str]) -> list[dict[str, Any]]:
    pairs = _statement_pairs(pool.statements, split, rng)[: round(size * _STATEMENT_SHARE)]
    seen.update(sentence for first, second, _ in pairs for sentence in (first, second))
    names, weights = list(_RECIPES), [weight for _, weight in _RECIPES.values()]
    while len(pairs) < size:
        recipe = _RECIPES[rng.choices(names, weights)[0]][0]
        made = recipe(pool, rng)
        # A sentence serves once in the whole set: neither a split nor a pair shares a text with another.
        if made is None or made[0] == made[1] or {made[0], made[1]} & seen:
            continue
        seen.update(made[:2])
        pairs.append(made)
    rng.shuffle(pairs)
    return [
        {"sentence1": first, "sentence2": second, "label": _judged(score, rng), "idx": number}
        for number, (first, second, score) in enumerate(pairs)
    ]


def _judged(score: float, rng: random.Random) -> float:
    """What annotators make of a score."""
    if rng.random() < _MISJUDGED:
        score += 1.5 if score < 2.5 else -1.5
    return round(min(5.0, max(0.0, round((score + rng.gauss(0, _JITTER)) * 5) / 5)), 1)


# Recipes: how a pair comes about --------------------------------------------------------------------------------------

_Pair = tuple[str, str, float]


def _paraphrase(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    scene = _scene(pool, rng)
    first = _sentence(scene, _Side(), rng)
    second = _sentence(scene, _side(first, rng, 0.3), rng)
    return _in_any_order(first, second, 4.8, rng)


def _less_said(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    scene = _scene(pool, rng)
    dropped = sum(bool(part) for part in (scene.place, scene.time, scene.tail))
    if not dropped:
        return None
    shorter = replace(scene, place="", time="", tail="")
    if not _comparable(pool, scene, shorter):
        return None
    first = _sentence(scene, _Side(), rng)
    second = _sentence(shorter, _side(first, rng, 0.6), rng)
    return _in_any_order(first, second, 4.6 - 0.5 * dropped, rng)


def _one_detail(pool: _ScenePool, rng: random.Random, count: int = 1) -> _Pair | None:
    """The same event with another role, number, place or time."""
    scene = _scene(pool, rng)
    parts = [*scene.roles, *(part for part in ("number", "place", "time", "tail") if getattr(scene, part))]
    if len(parts) < count:
        return None
    other, score = scene, 4.8
    for part in rng.sample(parts, count):
        other, cost = _changed(other, part, pool, rng)
        score -= cost
    first = _sentence(scene, _Side(), rng)
    second = _sentence(other, _side(first, rng, 0.4), rng)
    if other == scene or len(set(other.roles.values())) < len(other.roles) or not _comparable(pool, scene, other):
        return None
    return _in_any_order(first, second, max(score, 0.8), rng)


def _two_details(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    return _one_detail(pool, rng, count=2)


def _denied(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    scene = _scene(pool, rng)
    first = _sentence(scene, _Side(), rng)
    return _in_any_order(first, _sentence(scene, _side(first, rng, 0.7, "deny"), rng), 2.0, rng)


def _both_denied(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    """Two denials mean the same: a negation alone says nothing about the score."""
    scene = _scene(pool, rng)
    first = _sentence(scene, _Side("deny"), rng)
    return _in_any_order(first, _sentence(scene, _side(first, rng, 0.5, "deny"), rng), 4.5, rng)


def _opposed(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    scene = _scene(pool, rng)
    first = _sentence(scene, _Side(), rng)
    return _in_any_order(first, _sentence(scene, _side(first, rng, 0.7, "opposite"), rng), 2.2, rng)


def _exchanged(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    """Who does it to whom is turned round."""
    scene = _scene(pool, rng)
    if not scene.event.get("mirror"):
        return None
    if scene.event["slots"]["a"] != scene.event["slots"]["b"]:
        return None
    other = replace(scene, roles={"a": scene.roles["b"], "b": scene.roles["a"]})
    first = _sentence(scene, _Side(), rng)
    return _in_any_order(first, _sentence(other, _side(first, rng, 0.5), rng), 2.6, rng)


def _same_topic(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    """Another event of the topic, at times with the same people or things."""
    scene, other = _scene(pool, rng), _scene(pool, rng)
    if scene.event["id"] == other.event["id"] or scene.event["topic"] != other.event["topic"]:
        return None
    shared = [
        role
        for role in other.roles
        if scene.event["slots"].get(role) == other.event["slots"][role] and rng.random() < 0.6
    ]
    other = replace(other, roles={**other.roles, **{role: scene.roles[role] for role in shared}})
    if len(set(other.roles.values())) < len(other.roles) or not _comparable(pool, scene, other):
        return None
    first = _sentence(scene, _Side(), rng)
    return _in_any_order(first, _sentence(other, _side(first, rng, 0.5), rng), 1.1 + 0.5 * len(shared), rng)


def _unrelated(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    scene, other = _scene(pool, rng), _scene(pool, rng)
    if scene.event["topic"] == other.event["topic"] or not _comparable(pool, scene, other):
        return None
    return _sentence(scene, _Side(), rng), _sentence(other, _Side(), rng), 0.15


def _unrelated_alike(pool: _ScenePool, rng: random.Random) -> _Pair | None:
    """Another topic, but the same person or thing, place and time: many words in common."""
    scene, other = _scene(pool, rng), _scene(pool, rng)
    if scene.event["topic"] == other.event["topic"]:
        return None
    slots, others = scene.event["slots"], other.event["slots"]
    shared = {role: scene.roles[role] for role in others if slots.get(role) == others[role]}
    same_kind = scene.event.get("place") == other.event.get("place")
    time = scene.time if other.event.get("time") else ""
    other = replace(other, roles={**other.roles, **shared}, time=time, place=scene.place if same_kind else other.place)
    if not shared or len(set(other.roles.values())) < len(other.roles) or not _comparable(pool, scene, other):
        return None
    first = _sentence(scene, _Side(), rng)
    return first, _sentence(other, _Side(keep=_words(first)), rng), 0.7


# Weight of each recipe; together they fill the whole range of scores.
_RECIPES: dict[str, tuple[Callable[[_ScenePool, random.Random], _Pair | None], float]] = {
    "paraphrase": (_paraphrase, 21),
    "both_denied": (_both_denied, 5),
    "less_said": (_less_said, 8),
    "one_detail": (_one_detail, 15),
    "two_details": (_two_details, 8),
    "denied": (_denied, 7),
    "opposed": (_opposed, 8),
    "exchanged": (_exchanged, 36),
    "same_topic": (_same_topic, 200),
    "unrelated": (_unrelated, 26),
    "unrelated_alike": (_unrelated_alike, 28),
}


def _statement_pairs(statements: Sequence[dict[str, Any]], split: str, rng: random.Random) -> list[_Pair]:
    """Pairs of hand-written statements; validation and test get half of the reserved ones each."""
    if split != "train":
        statements = statements[split == "test" :: 2]
    pairs: list[_Pair] = []
    for statement in statements:
        one, two = statement["same"]
        pairs += [(one, two, 4.7), (statement["detail"], one, 3.2)]
        pairs += [(one, statement["contrary"], 2.0), (statement["topic"], two, 1.0)]
    for statement, other in zip(statements[::2], statements[1::2], strict=False):
        pairs.append((statement["topic"], other["detail"], 0.1))
    rng.shuffle(pairs)
    return pairs


def _comparable(pool: _ScenePool, scene: _Scene, other: _Scene) -> bool:
    """Whether both may stand in the split: neither of a test pair may be one that training could have."""
    return pool.is_held_out(scene) == pool.is_held_out(other)


def _in_any_order(first: str, second: str, score: float, rng: random.Random) -> _Pair:
    return (first, second, score) if rng.random() < 0.5 else (second, first, score)


def _side(first: str, rng: random.Random, reworded: float, manner: str = "say") -> _Side:
    """The second sentence: with the share `reworded` in other words, else in the same."""
    words = _words(first)
    return _Side(manner, avoid=words) if rng.random() < reworded else _Side(manner, keep=words)


# Scenes ---------------------------------------------------------------------------------------------------------------


def _scene(pool: _ScenePool, rng: random.Random) -> _Scene:
    """A filled event; for validation and test one that training cannot have."""
    while True:
        event = pool.event(rng)
        roles = {role: pool.noun(rng, group) for role, group in event["slots"].items()}
        scene = _Scene(
            event,
            roles,
            pool.number(rng, event["number"]) if event.get("number") else "",
            pool.place(rng, event["place"]) if event.get("place") and rng.random() < 0.4 else "",
            pool.time(rng) if event.get("time") and rng.random() < 0.4 else "",
            pool.tail(rng, _tense(event)) if _tense(event) and rng.random() < 0.25 else "",
        )
        if len(set(roles.values())) == len(roles) and pool.is_held_out(scene) == pool.holds_out:
            return scene


def _tense(event: dict[str, Any]) -> str:
    """Which kind of tail an event takes: what is going on, what has happened, or none."""
    if event.get("time"):
        return "past"
    return "now" if ":is}" in event["say"][0] else ""


def _changed(scene: _Scene, part: str, pool: _ScenePool, rng: random.Random) -> tuple[_Scene, float]:
    """The scene with another role, number, place or time, and what that costs."""
    if part == "number":
        return replace(scene, number=pool.number(rng, scene.event["number"])), 1.0
    if part == "tail":
        return replace(scene, tail=pool.tail(rng, _tense(scene.event))), 0.7
    if part == "place":
        return replace(scene, place=pool.place(rng, scene.event["place"])), 1.0
    if part == "time":
        return replace(scene, time=pool.time(rng)), 0.9
    noun = pool.noun(rng, scene.event["slots"][part])
    return replace(scene, roles={**scene.roles, part: noun}), _ROLE_COST[part]


# Sentences ------------------------------------------------------------------------------------------------------------


def _sentence(scene: _Scene, side: _Side, rng: random.Random) -> str:
    text = _pick(scene.event[side.manner], side, rng)
    filled = {
        role: _noun_phrase(forms, _article(scene.event, role, rng), side, rng) for role, forms in scene.roles.items()
    }
    plural = {role: is_plural for role, (_, is_plural) in filled.items()}

    def put(match: re.Match[str]) -> str:
        role, verb = match.group(1), match.group(2)
        if verb:
            return _PLURAL_VERBS[verb] if plural.get(role, False) else verb
        return scene.number if role == "n" else filled[role][0]

    text = re.sub(r"\{(\w)(?::(\w+))?\}", put, text)
    place = _pick(scene.place.split("|"), side, rng)
    time = _pick(scene.time.split("|"), side, rng)
    if time and rng.random() < 0.35:
        text, time = f"{time}, {text}", ""
    tail = _pick(scene.tail.split("|"), side, rng)
    text = " ".join(part for part in (text, place, time, tail) if part).replace(" ,", ",")
    return text[0].upper() + text[1:] + "."


def _article(event: dict[str, Any], role: str, rng: random.Random) -> str:
    """Which article a role's noun gets: "", "the" or "a"."""
    if role in event.get("bare", ""):
        return ""
    # There is one town council, and one plays "the piano" and "the drums", whichever they are.
    return "the" if event["slots"][role] in ("bodies", "instruments") or rng.random() < 0.5 else "a"


def _noun_phrase(forms: str, article: str, side: _Side, rng: random.Random) -> tuple[str, bool]:
    """With its article, and whether it is plural."""
    noun = _pick(forms.split("|"), side, rng)
    plural, mass = noun.endswith("+"), noun.endswith("~")
    noun = noun.rstrip("+~")
    if not article or noun.startswith("one of "):
        return noun, plural
    if article == "a" and (plural or mass):
        article = "some"
    elif article == "a" and _VOWEL_SOUND.match(noun):
        article = "an"
    return f"{article} {noun}", plural


def _pick(forms: Sequence[str], side: _Side, rng: random.Random) -> str:
    """One of the forms; least or most like the other sentence where the side asks for it."""
    if side.avoid:
        fewest = min(_overlap(form, side.avoid) for form in forms)
        forms = [form for form in forms if _overlap(form, side.avoid) == fewest]
    elif side.keep:
        most = max(_overlap(form, side.keep) for form in forms)
        forms = [form for form in forms if _overlap(form, side.keep) == most]
    return rng.choice(forms)


def _overlap(form: str, words: frozenset[str]) -> float:
    own = _words(form)
    return len(own & words) / max(1, len(own))


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", re.sub(r"\{[^}]*\}", "", text).lower()))
