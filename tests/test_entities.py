"""Entities are those that seqeval finds, in tags well-formed or not."""

import random
import warnings

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from tunebench.evaluation.entities import entities, spans

IOB2, IOBES = "OBI", "OBIES"


@pytest.mark.parametrize("marks", [IOB2, IOBES, "OBIES."])
def test_entities_of_random_tags_are_seqevals(marks: str) -> None:
    draw, some = random.Random(0), 0
    for _ in range(3000):
        tags = [
            mark if mark in "O." else f"{mark}-{draw.choice(['PER', 'LOC', 'a-b'])}"
            for mark in draw.choices(marks, k=draw.randint(0, 9))
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = get_entities(tags)
        assert spans(tags) == expected, tags
        assert entities(tuple(tags)) == set(expected)
        some += bool(expected)
    assert some > 2000


def test_tags_without_a_type_have_one_of_their_own() -> None:
    assert spans(["B", "I", "O", "S"]) == get_entities(["B", "I", "O", "S"]) == [("_", 0, 1), ("_", 3, 3)]


def test_an_entity_that_begins_with_i_counts_as_in_conlleval() -> None:
    assert spans(["O", "I-PER", "I-LOC", "B-LOC", "I-LOC"]) == [("PER", 1, 1), ("LOC", 2, 2), ("LOC", 3, 4)]


def test_a_tag_without_a_mark_is_a_kind_of_its_own_whatever_letter_it_begins_with() -> None:
    """Where seqeval reads ORG as outside, and PER as an entity ER, each is an entity."""
    assert spans(["ORG", "ORG", "O", "PER", "LOC"]) == [("ORG", 0, 1), ("PER", 3, 3), ("LOC", 4, 4)]
    assert spans(["OTHER", "B", "1"]) == [("OTHER", 0, 0), ("_", 1, 1), ("1", 2, 2)]


def test_bilou_marks_first_last_and_single_words() -> None:
    tags = ["U-PER", "U-PER", "B-LOC", "I-LOC", "L-LOC", "L-LOC"]
    assert spans(tags) == [("PER", 0, 0), ("PER", 1, 1), ("LOC", 2, 4), ("LOC", 5, 5)]
