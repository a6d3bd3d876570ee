"""Letters for techniques that do not differ significantly (Piepho 2004)."""

from collections.abc import Sequence
from typing import Protocol


class _Tested(Protocol):
    @property
    def first(self) -> str: ...
    @property
    def second(self) -> str: ...
    @property
    def significant(self) -> bool: ...


def letters(labels: Sequence[str], differences: Sequence[_Tested]) -> dict[str, str]:
    """Letters shared by techniques that do not differ significantly, of all their pairs; "a" is the best group's."""
    groups = [set(labels)]
    for difference in differences:
        if not difference.significant:
            continue
        split = []
        for group in groups:
            if {difference.first, difference.second} <= group:
                split += [group - {difference.first}, group - {difference.second}]
            else:
                split.append(group)
        groups = [g for n, g in enumerate(split) if not any(g < o or (g == o and m < n) for m, o in enumerate(split))]
    groups.sort(key=lambda group: sorted(labels.index(label) for label in group))
    names = "abcdefghijklmnopqrstuvwxyz"
    return {
        label: "".join(names[n % 26] * (n // 26 + 1) for n, group in enumerate(groups) if label in group)
        for label in labels
    }
