"""Two studies side by side: which row of one answers which row of the other."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tunebench.report.read.comparisons import Comparison, Row

T = TypeVar("T")


@dataclass(frozen=True)
class Match:
    """A technique on a model and a task in two studies, and the comparison that it belongs to in each."""

    before: Row
    after: Row
    was: Comparison
    now: Comparison

    @property
    def where(self) -> str:
        """Task and model; both models where they differ."""
        models = dict.fromkeys([self.was.model, self.now.model])
        return f"{self.now.task} with {' and '.join(models)}"

    @property
    def title(self) -> str:
        """The technique inside a sentence, as the second study has it."""
        return self.after.title


@dataclass(frozen=True)
class Lone:
    """A technique that only one of two studies has: whether it is the second one, and where it stands there."""

    second: bool
    where: str
    title: str


def matches(before: Sequence[Comparison], after: Sequence[Comparison]) -> tuple[list[Match], list[Lone]]:
    """The rows of two studies that belong together, and those that have no other.

    Comparisons are matched by model and task; if a task has one comparison left on each side, the model is what was
    changed. Their ranked rows are matched by label, then by technique if one row of it is left on each side.
    """
    found, lone, open_before, open_after = [], [], list(before), list(after)
    for keys in (lambda c: (c.model, c.task), lambda c: c.task):
        for was, now in _alike(open_before, open_after, keys):
            open_before.remove(was)
            open_after.remove(now)
            found += _matched(was, now, lone)
    for second, comparisons in ((False, open_before), (True, open_after)):
        lone += [_lone(second, comparison, row) for comparison in comparisons for row in comparison.candidates]
    return found, lone


def _matched(was: Comparison, now: Comparison, lone: list[Lone]) -> list[Match]:
    found, before, after = [], list(was.candidates), list(now.candidates)
    for key in (lambda row: row.label, _technique):
        for one, other in _alike(before, after, key):
            before.remove(one)
            after.remove(other)
            found.append(Match(one, other, was, now))
    lone += [*(_lone(False, was, row) for row in before), *(_lone(True, now, row) for row in after)]
    return found


def _lone(second: bool, comparison: Comparison, row: Row) -> Lone:
    return Lone(second, f"{comparison.task} with {comparison.model}", row.title)


def _technique(row: Row) -> str:
    return row.cell.technique if row.cell else row.runs[0].plan.technique


def _alike(before: Sequence[T], after: Sequence[T], key: Callable[[T], Hashable]) -> list[tuple[T, T]]:
    """Pairs with an equal key, each of which has it alone on its side; in the order of `after`."""
    sides = [[key(one) for one in side] for side in (before, after)]
    once = {k for k in sides[0] if sides[0].count(k) == sides[1].count(k) == 1}
    return [(before[sides[0].index(k)], after[place]) for place, k in enumerate(sides[1]) if k in once]
