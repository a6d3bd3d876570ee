"""Stems are those that NLTK finds, in real words and in made-up ones with every suffix."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from tunebench.evaluation import porter

NLTK = PorterStemmer()
SUFFIXES = [
    *("", "y", "e", "ed", "eed", "ied", "ies", "ing", "ll", "logi", "at", "bl", "iz"),
    *(suffix for rules in (porter._PLURALS, porter._DOUBLE_SUFFIXES, porter._ADJECTIVES) for suffix, _ in rules),
    *porter._ENDINGS,
]
WORDS = st.tuples(st.text("abeioystlzwxn", max_size=5), st.sampled_from(SUFFIXES), st.sampled_from(SUFFIXES))


@given(WORDS.map("".join))
@settings(max_examples=3000, deadline=None)
def test_a_made_up_word_has_nltks_stem(word: str) -> None:
    assert porter.stem(word) == NLTK.stem(word)


@pytest.mark.parametrize("word", [*NLTK.pool, "feed", "agreed", "sing", "hoping", "hopping", "falling", "geologi"])
def test_irregular_words_and_the_papers_examples_have_nltks_stem(word: str) -> None:
    assert porter.stem(word) == NLTK.stem(word)
