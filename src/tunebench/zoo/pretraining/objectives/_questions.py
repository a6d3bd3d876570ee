"""Questions made of a text's sentences by rules (noisy cloze; Lewis et al. 2019, arXiv:1906.04980, section 2.3)."""

from __future__ import annotations

import functools
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_LONGEST = 4  # words of an answer
_REACH = 14  # words on either side of the answer that a question is made of
_LEFT_OUT = 0.5  # of them, at most
_STRAY = 3  # places by which words are exchanged
_TRIES = 8
_COMMON = 150  # likeliest pieces, of which no answer is made: the, of, and, his, said
_AROUND = string.punctuation + "\u2018\u201c\u201d\u2013\u2014\u2026"
_ASKING = {
    "name": ("Who", "Who", "What", "Which", "Where"),
    "year": ("When", "In what year", "What year"),
    "number": ("How many", "How much", "What"),
    "other": ("What", "What", "What", "How", "Why"),
}


@dataclass(frozen=True, eq=False)
class Pieces:
    """What a vocabulary's pieces are: booleans, (vocabulary,) each, and the ids of the words that ask."""

    plain: list[str]  # without the sign of a word's beginning
    begins: np.ndarray  # a word
    capital: np.ndarray
    digit: np.ndarray
    closes: np.ndarray  # a sentence
    pauses: np.ndarray  # ends in punctuation
    sign: np.ndarray  # nothing but punctuation
    common: np.ndarray
    asking: dict[str, list[list[int]]]
    mark: list[int]  # ?

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def of(tokenizer: Any) -> Pieces:
        """The pieces of a SentencePiece vocabulary, whose likeliest pieces come first."""
        names: list[str] = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        plain = [name.removeprefix("▁") for name in names]

        def those(hold: Callable[[str], bool]) -> np.ndarray:
            return np.array([bool(name) and hold(name) for name in plain])

        return Pieces(
            plain=plain,
            begins=np.array([name.startswith("▁") for name in names]),
            capital=those(lambda name: name[0].isupper()),
            digit=those(lambda name: any(letter.isdigit() for letter in name)),
            closes=those(lambda name: name[-1] in ".!?"),
            pauses=those(lambda name: not name[-1].isalnum()),
            sign=those(lambda name: not any(letter.isalnum() for letter in name)),
            common=np.arange(len(names)) < _COMMON,
            asking={
                kind: [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
                for kind, words in _ASKING.items()
            },
            mark=[tokenizer.convert_tokens_to_ids("?")],
        )


class Words:
    """A text's words, and what each is; arrays of (words,)."""

    def __init__(self, tokens: np.ndarray, ends: np.ndarray, pieces: Pieces):
        begins = pieces.begins[tokens]
        begins[0] = True
        self.tokens, self.pieces = tokens, pieces
        self.starts = np.flatnonzero(begins)
        self.stops = np.append(self.starts[1:], len(tokens))
        first, last = tokens[self.starts], tokens[self.stops - 1]
        closes = pieces.closes[last] | np.isin(self.stops, ends)
        self.sentence = np.cumsum(closes) - closes
        self.pauses = pieces.pauses[last] | closes
        self.common = pieces.common[first] & (self.stops - self.starts == 1)
        opens = np.diff(self.sentence, prepend=-1) > 0
        self.number = np.logical_or.reduceat(pieces.digit[tokens], self.starts)
        self.name = pieces.capital[first] & ~opens & ~self.common & ~self.number
        self.other = ~(pieces.capital[first] | self.number | self.common | pieces.sign[first])

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def spelt(self) -> list[str]:
        """The words in lower case, without the punctuation around them."""
        plain = [self.pieces.plain[token] for token in self.tokens]
        words = ("".join(plain[a:b]) for a, b in zip(self.starts, self.stops, strict=True))
        return [word.lower().replace("\u2019", "'").strip(_AROUND) for word in words]

    def spoken(self, index: int) -> np.ndarray:
        """A word's tokens without its punctuation."""
        word = self.tokens[self.starts[index] : self.stops[index]]
        return word[~self.pieces.sign[word]]


def question(
    tokens: np.ndarray, ends: np.ndarray, rng: np.random.Generator, pieces: Pieces
) -> tuple[np.ndarray, np.ndarray]:
    """A question without its mark, and the answer's tokens, which stand in the text in this order.

    Args:
        tokens: of the text.
        ends: positions after which another document begins.
        rng: draws the answer and the noise.
        pieces: of the tokenizer.
    """
    words = Words(tokens, ends, pieces)
    kind, start, stop, left, right = _choose(words, rng)
    answer = tokens[words.starts[start] : words.stops[stop - 1]]
    while len(answer) > 1 and pieces.sign[answer[-1]]:
        answer = answer[:-1]
    written = "".join(pieces.plain[piece] for piece in answer)
    asking = pieces.asking["year" if len(written) == len("1066") and written.isdigit() else kind]
    halves = left + right if rng.random() < 0.5 else right + left
    chosen = np.array(halves, dtype=int)[rng.random(len(halves)) >= _LEFT_OUT * rng.random()]
    stray = rng.random(len(chosen)) * (_STRAY if rng.random() < 0.5 else 0)
    heard = [words.spoken(at) for at in chosen[np.argsort(np.arange(len(chosen)) + stray, kind="stable")]]
    return np.concatenate([asking[int(rng.integers(len(asking)))], *heard]), answer


def _choose(words: Words, rng: np.random.Generator, tries: int = _TRIES) -> tuple[str, int, int, list[int], list[int]]:
    """An answer's kind, its first word and the one after its last; its sentence's words before it and behind it."""
    kind, start, stop = _answer(words, rng)
    sentence = words.sentence == words.sentence[start]
    left = [at for at in range(max(0, start - _REACH), start) if sentence[at]]
    right = [at for at in range(stop, min(len(words), stop + _REACH)) if sentence[at]]
    if len(left) + len(right) < _LONGEST and tries > 1:  # a sentence of few words says too little
        return _choose(words, rng, tries - 1)
    return kind, start, stop, left, right


def _answer(words: Words, rng: np.random.Generator) -> tuple[str, int, int]:
    """Kind, first word and the word after the last of an answer within a sentence."""
    kind = str(rng.choice(["name", "number", "other"], p=[0.4, 0.25, 0.35]))
    if not getattr(words, kind).any():
        kind = "other"
    fit = getattr(words, kind)
    start = int(rng.choice(np.flatnonzero(fit) if fit.any() else len(words)))
    stop = start + 1

    def goes_on() -> bool:
        return stop < len(words) and not words.pauses[stop - 1] and stop - start < _LONGEST

    if kind == "name":
        while goes_on() and words.name[stop]:
            stop += 1
        while start and words.name[start - 1] and not words.pauses[start - 1] and stop - start < _LONGEST:
            start -= 1
    else:
        more = int(rng.integers(2 if kind == "number" else _LONGEST))
        while goes_on() and more:
            stop, more = stop + 1, more - 1
        while stop - start > 1 and words.common[stop - 1]:
            stop -= 1
    return kind, start, stop
