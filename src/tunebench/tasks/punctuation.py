"""Words of a raw text, separated from their punctuation as the tokens of a data set are."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_USUAL = frozenset('.,;:!?()[]{}"“”„«»…¿¡')
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+")


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(letter)[0] in "PS" for letter in word)


def has_attached(words: Iterable[str]) -> bool:
    """Whether a mark such as a comma is part of one of the words, or a full stop of the last one."""
    words = [*words]
    marks = [word[-1] in ",;:!?" for word in words if len(word) > 1 and not _is_punctuation(word)]
    last = words[-1] if words else ""
    return any(marks) or (len(last) > 1 and last[-1] == "." and not _INITIALS.fullmatch(last))


@dataclass(frozen=True)
class Punctuation:
    """How a data set writes punctuation.

    Attributes:
        alone: whether marks are tokens of their own; None where the data hold none.
        known: all tokens of the data.
    """

    alone: bool | None
    known: frozenset[str]

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> "Punctuation":
        """As these sentences' tokens show it."""
        sentences = [*sentences]
        alone = sum(any(map(_is_punctuation, words)) for words in sentences)
        attached = sum(map(has_attached, sentences))
        known = frozenset(word for words in sentences for word in words)
        return cls(alone > attached if alone or attached else None, known)

    def words(self, text: str) -> list[str]:
        """A raw text's words; marks and endings such as `'s` are words where they are tokens of the data."""
        return [word for chunk in text.split() for word in (self._split(chunk) if self.alone else [chunk])]

    def _split(self, chunk: str) -> list[str]:
        before: list[str] = []
        after: list[str] = []
        while len(chunk) > 1 and not self._is_word(chunk) and self._is_mark(chunk[0]):
            before.append(chunk[0])
            chunk = chunk[1:]
        while len(chunk) > 1 and not self._is_word(chunk) and self._is_mark(chunk[-1]):
            after.insert(0, chunk[-1])
            chunk = chunk[:-1]
        ending = next((end for end in self._endings() if chunk.endswith(end) and chunk != end), "")
        return [*before, *([chunk.removesuffix(ending), ending] if ending else [chunk]), *after]

    def _is_word(self, chunk: str) -> bool:
        return chunk in self.known or _INITIALS.fullmatch(chunk) is not None

    def _is_mark(self, letter: str) -> bool:
        return letter in _USUAL or (letter in self.known and _is_punctuation(letter))

    def _endings(self) -> list[str]:
        return sorted(word for word in self.known if re.fullmatch(r"['\u2019]\w+|n['\u2019]t", word))
