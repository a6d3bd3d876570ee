"""Nouns and verbs agree with their counts."""

import pytest

from tunebench._util.words import counted, plural
from tunebench.run.remarks import on_blank, on_features


@pytest.mark.parametrize(
    ("number", "verb", "expected"),
    [
        (1, "were", "1 train prompt was"),
        (2, "were", "2 train prompts were"),
        (1200, "have", "1,200 train prompts have"),
        (1, "have", "1 train prompt has"),
        (1, "leave", "1 train prompt leaves"),
        (0, "are", "0 train prompts are"),
        (1, "", "1 train prompt"),
        (3, "", "3 train prompts"),
    ],
)
def test_a_count_agrees_with_its_noun_and_verb(number: int, verb: str, expected: str) -> None:
    assert counted(number, "train prompts", verb) == expected


def test_a_count_of_one_is_singular_in_notices() -> None:
    assert plural(1, "run") == "1 run"
    (notice,) = on_features({"train prompts": 1}, 1)
    assert notice.message == "1 train prompt was truncated to 1 token."
    (notice,) = on_features({"test texts": 2}, 16)
    assert notice.message == "2 test texts were truncated to 16 tokens."
    (blank,) = on_blank({"train": [4]}, 1)
    assert blank.message.endswith("1 of the training inputs has no label that the loss can use, so it was left out.")
