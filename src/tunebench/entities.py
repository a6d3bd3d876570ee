"""Entities in the tags of a sentence, as seqeval finds them by default: by the rules of the conlleval script."""

import functools
from collections.abc import Iterable

Span = tuple[str, int, int]
"""Type, first and last word."""


def spans(tags: Iterable[str]) -> list[Span]:
    """The entities of a sentence, in order; tags are those of IOB2, IOBES and their like, well-formed or not."""
    from seqeval.metrics.sequence_labeling import get_entities

    return get_entities(list(tags))


@functools.lru_cache(maxsize=1 << 15)  # sentences: most techniques tag most of them alike
def entities(tags: tuple[str, ...]) -> frozenset[Span]:
    """The same as a set."""
    return frozenset(spans(tags))
