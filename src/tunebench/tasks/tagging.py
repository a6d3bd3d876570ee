"""Schemes of entity tags: recognised from the tags of all splits, and brought to IOB2, which models learn here.

IOB2 marks each entity's first word B- and its others I- (Tjong Kim Sang and Veenstra 1999). IOB1 marks B- only where an
entity follows another of its type; IOBES and BILOU mark last words and entities of one word as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

_IOB2_MARK = {"B": "B", "I": "I", "M": "I", "E": "I", "L": "I", "S": "B", "U": "B"}
_NAMES = {  # marks -> the scheme's name, the smallest set that holds them all
    frozenset("BI"): "IOB2",
    frozenset("BIES"): "IOBES",
    frozenset("BILU"): "BILOU",
    frozenset("BMES"): "BMES",
}
PLAIN = "plain"


@dataclass(frozen=True)
class Scheme:
    """How entities are tagged.

    Attributes:
        name: IOB1, IOB2, IOBES, BILOU, BMES, or `plain`: tags are kinds of words, without marks.
        suffixed: whether the mark stands behind the kind (PER-B).
        lower: whether a mark, or the tag of words outside, is in lower case.
        underscores: whether an underscore stands between mark and kind (B_PER).
    """

    name: str
    suffixed: bool = False
    lower: bool = False
    underscores: bool = False

    @property
    def is_iob2(self) -> bool:
        """Whether tags stay as they are."""
        return self.name in ("IOB2", PLAIN) and not (self.suffixed or self.lower or self.underscores)

    def __str__(self) -> str:
        named = (("suffixes", self.suffixed), ("lower case", self.lower), ("underscores", self.underscores))
        extra = [text for text, holds in named if holds]
        return f"{self.name} with {' and '.join(extra)}" if extra else self.name


def scheme_of(sentences: Iterable[Sequence[str]], stated: Sequence[str] = ()) -> Scheme:
    """The scheme of these sentences' tags and of the labels that a task states."""
    sentences = [*sentences]
    tags = {tag for tags in sentences for tag in tags} | set(stated)
    outside = {tag for tag in tags if tag in ("O", "o")}
    marked = tags - outside
    for suffixed in (False, True):
        marks = {_mark(tag, suffixed) for tag in marked}
        name = next((name for known, name in _NAMES.items() if {mark.upper() for mark in marks} <= known), None)
        if marked and "" not in marks and name is not None:
            lower = "o" in outside or any(mark.islower() for mark in marks)
            scheme = Scheme(name, suffixed, lower, any(tag[-2 if suffixed else 1] == "_" for tag in marked))
            return replace(scheme, name="IOB1") if name == "IOB2" and _is_iob1(scheme, sentences) else scheme
    return Scheme(PLAIN)


def _mark(tag: str, suffixed: bool) -> str:
    """A tag's mark, or nothing where it has none."""
    match = re.fullmatch(r".+[-_]([A-Za-z])" if suffixed else r"([A-Za-z])[-_].+", tag, re.DOTALL)
    return match[1] if match else ""


def _split(tag: str, scheme: Scheme) -> tuple[str, str]:
    """Mark in upper case and kind; ("O", "") outside."""
    if tag in ("O", "o"):
        return "O", ""
    mark, kind = (tag[-1], tag[:-2]) if scheme.suffixed else (tag[0], tag[2:])
    return mark.upper(), kind


def _is_iob1(scheme: Scheme, sentences: Sequence[Sequence[str]]) -> bool:
    """Whether B- stands only behind an entity of its own kind, and somewhere does."""
    some = False
    for tags in sentences:
        before = ""
        for tag in tags:
            mark, kind = _split(tag, scheme)
            if mark == "B" and kind != before:
                return False
            some = some or mark == "B"
            before = kind
    return some


def to_iob2(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """A sentence's tags in IOB2."""
    if scheme.is_iob2:
        return list(tags)
    result, before = [], ""
    for tag in tags:
        mark, kind = _split(tag, scheme)
        starts = scheme.name == "IOB1" and kind != before
        result.append("O" if mark == "O" else f"{'B' if starts else _IOB2_MARK[mark]}-{kind}")
        before = kind
    return result


def labels_in_iob2(labels: Sequence[str], scheme: Scheme) -> tuple[str, ...]:
    """A stated list of labels in IOB2: O, and B- and I- of each kind, in the list's order of kinds."""
    if scheme.is_iob2:
        return tuple(labels)
    result: dict[str, None] = {}
    for label in labels:
        mark, kind = _split(label, scheme)
        result |= dict.fromkeys(["O"] if mark == "O" else [f"B-{kind}", f"I-{kind}"])
    return tuple(result)
