"""Whose turn it is: which waiting rows form the next batch.

Each question has a clock in tokens: a row's turn comes when as much was computed since the question's arrival as the
question has asked for up to this row. A question of one short text is therefore answered soon, however many long texts
another one asks, and these go on in between: turns are numbers that new questions cannot push back without end.
"""

import heapq
import itertools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

_SHORT = 16
"""Tokens: shorter rows cost about as much, so that they may be padded to this."""
_LOOK = 4096
"""Waiting rows that are looked at for one batch."""


@dataclass(frozen=True, order=True)
class RowTurn:
    """A waiting row.

    Attributes:
        at: on the clock of tokens.
        number: breaks ties, by arrival.
        group: rows of one group can be computed together.
        length: in tokens.
        row: what waits.
    """

    at: float
    number: int
    group: Hashable = field(compare=False)
    length: int = field(compare=False)
    row: Any = field(compare=False)


class Turns:
    """Waiting rows.

    Args:
        batch_tokens: of a batch, padding included; one row may have more.
    """

    def __init__(self, batch_tokens: int):
        self._batch_tokens = batch_tokens
        self._waiting: list[RowTurn] = []
        self._number = itertools.count()
        self._clock = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def tokens(self) -> int:
        """Of all waiting rows."""
        return sum(turn.length for turn in self._waiting)

    def add(self, group: Hashable, rows: Iterable[tuple[int, Any]]) -> None:
        """The rows of one question, each with its length in tokens."""
        at = self._clock
        for length, row in rows:
            at += length
            heapq.heappush(self._waiting, RowTurn(at, next(self._number), group, length, row))

    def next(self) -> list[Any]:
        """The rows of the next batch: the first in turn, and what can be computed with it at little padding."""
        waiting = sorted(self._waiting)
        first = waiting[0]
        shortest = longest = first.length
        taken = [first]
        for turn in waiting[1:_LOOK]:
            low, high = min(shortest, turn.length), max(longest, turn.length)
            fits = (len(taken) + 1) * high <= self._batch_tokens and high <= 2 * max(low, _SHORT)
            if turn.group == first.group and fits:
                taken.append(turn)
                shortest, longest = low, high
        numbers = {turn.number for turn in taken}
        self._waiting = [turn for turn in waiting if turn.number not in numbers]
        self._clock = first.at
        return [turn.row for turn in taken]
