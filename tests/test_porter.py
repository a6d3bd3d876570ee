"""Stems are those that NLTK finds, in real words and in made-up ones with every suffix."""

import random

import pytest
from nltk.stem.porter import PorterStemmer

from tunebench.evaluation import porter

NLTK = PorterStemmer()
SUFFIXES = [
    *("", "y", "e", "ed", "eed", "ied", "ies", "ing", "ll", "logi", "at", "bl", "iz"),
    *(suffix for rules in (porter._PLURALS, porter._DOUBLE_SUFFIXES, porter._ADJECTIVES) for suffix, _ in rules),
    *porter._ENDINGS,
]


def made_up(rng: random.Random) -> str:
    return "".join(rng.choices("abeioystlzwxn", k=rng.randint(0, 5))) + rng.choice(SUFFIXES) + rng.choice(SUFFIXES)


@pytest.mark.parametrize("seed", range(5))
def test_made_up_words_have_nltks_stems(seed: int) -> None:
    rng = random.Random(seed)
    words = sorted({made_up(rng) for _ in range(4000)})
    assert len(words) > 3000
    assert [porter.stem(word) for word in words] == [NLTK.stem(word) for word in words]


@pytest.mark.parametrize("word", [*NLTK.pool, "feed", "agreed", "sing", "hoping", "hopping", "falling", "geologi"])
def test_irregular_words_and_the_papers_examples_have_nltks_stem(word: str) -> None:
    assert porter.stem(word) == NLTK.stem(word)
