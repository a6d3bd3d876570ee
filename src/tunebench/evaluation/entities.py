"""Entities in the tags of a sentence by the rules of the conlleval script, as seqeval finds them by default.

Tests hold them equal to seqeval's, whose import brings scikit-learn: two seconds, a fifth of a report over 1,000 runs.
"""

import functools
from collections.abc import Iterable

Span = tuple[str, int, int]
"""Type, first and last word."""


def spans(tags: Iterable[str]) -> list[Span]:
    """The entities of a sentence, in order; tags are those of IOB2, IOBES and their like, well-formed or not."""
    marked: list[Span] = []
    first, before, kind_before = 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        mark, kind = tag[0], tag[1:].split("-", maxsplit=1)[-1] or "_"
        other = kind != kind_before
        if before in "ES" or (before in "BI" and mark in "BSO") or (before not in "O." and other):
            marked.append((kind_before, first, place - 1))
        if mark in "BS" or (before in "ESO" and mark in "EI") or (mark not in "O." and other):
            first = place
        before, kind_before = mark, kind
    return marked


@functools.lru_cache(maxsize=1 << 15)  # sentences: most techniques tag most of them alike
def entities(tags: tuple[str, ...]) -> frozenset[Span]:
    """The same as a set."""
    return frozenset(spans(tags))
