"""A batch of rows of many tasks: each different text passes the trunk once, then each task's tail answers its rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tunebench._util.errors import RunError, UserError
from tunebench.objectives.base import Features
from tunebench.serve.adapters import Adapter
from tunebench.serve.served import Inquiry, Served
from tunebench.serve.trunk import SharedTrunk

Row = tuple[Inquiry, int]
"""Texts that were asked, and the number of one of their rows."""
_Inputs = dict[str, list[int]]
FAILURES = (UserError, RunError, OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError)
"""What a model, a tokenizer or a file may raise: it is told to who asked, and the others are answered."""


@dataclass(frozen=True)
class AnsweredBatch:
    """What became of a batch.

    Attributes:
        failed: rows without an answer, with the reason.
        texts: different ones that passed a shared trunk; 0 where none was shared.
    """

    failed: list[tuple[Row, Exception]]
    texts: int


def answer(rows: Sequence[Row]) -> AnsweredBatch:
    """Answer rows of one group; each takes its answer.

    Tokens in the order of their lengths, as `predict` answers: a row's last bits depend on its place in a batch.
    """
    rows = sorted(rows, key=lambda row: row[0].features.lengths[row[1]] if row[0].features else 0)
    failed: list[tuple[Row, Exception]] = []
    by_run: dict[Served, list[Row]] = {}
    for row in rows:
        by_run.setdefault(row[0].served, []).append(row)
    with torch.inference_mode():
        trunk = rows[0][0].served.trunk
        passed = None if trunk is None else _Passed(trunk, rows)
        for served, own in by_run.items():
            try:
                answers, details = _answers(served, own, passed)
            except FAILURES as error:
                failed += [(row, error) for row in own]
                continue
            for (asked, number), one, detail in zip(own, answers, details, strict=True):
                asked.take(number, one, detail)
    return AnsweredBatch(failed, 0 if passed is None else len(passed))


def _answers(served: Served, rows: Sequence[Row], passed: "_Passed | None") -> tuple[list[Any], list[Any]]:
    if served.objective is None:
        return served.finished.answers([asked.examples[number] for asked, number in rows])
    features = _features(rows)
    if passed is None:
        return served.whole(features)
    return served.above(*passed.states(served, features.inputs), features)


def _features(rows: Iterable[Row]) -> Features:
    """The features of rows, which may be parts of different questions."""
    return Features.of_rows([(asked.features, number) for asked, number in rows if asked.features is not None])


class _Passed:
    """Different texts that have passed the trunk, each as deep as a task asks and with its adapter."""

    def __init__(self, trunk: SharedTrunk, rows: Sequence[Row]):
        depths: dict[_Key, int] = {}
        inputs: dict[_Key, _Inputs] = {}
        adapters: dict[_Key, Adapter] = {}
        for asked, number in rows:
            assert asked.features is not None, "a run above a trunk reads tokens"
            one, served = asked.features.inputs[number], asked.served
            key = _key(served, one)
            depths[key] = max(depths.get(key, 0), served.depth)
            inputs.setdefault(key, one)
            if served.adapter is not None:
                adapters[key] = served.adapter
        order = sorted(inputs, key=lambda key: (-depths[key], key not in adapters))
        self._place = {key: number for number, key in enumerate(order)}
        reached = {depth: sum(depths[key] >= depth for key in order) for depth in {row[0].served.depth for row in rows}}
        objective = rows[0][0].served.objective
        assert objective is not None
        batch = objective.padded([inputs[key] for key in order])
        self._mask = batch["attention_mask"].to(trunk.device)
        given = {name: values.to(trunk.device) for name, values in batch.items()}
        self._states = trunk.states(given, reached, [adapters[key] for key in order if key in adapters])

    def __len__(self) -> int:
        return len(self._place)

    def states(self, served: Served, inputs: Sequence[_Inputs]) -> tuple[Tensor, Tensor]:
        """The states of these texts where a run leaves the trunk, (texts, tokens, hidden), and their mask."""
        states = self._states[served.depth]
        places = [self._place[_key(served, one)] for one in inputs]
        if places == list(range(len(states))):
            return states, self._mask[: len(places)]
        chosen = torch.tensor(places, device=self._mask.device)
        return states.index_select(0, chosen), self._mask.index_select(0, chosen)


_Key = tuple[Any, ...]


def _key(served: Served, inputs: _Inputs) -> _Key:
    return (id(served.adapter), *(tuple(values) for values in inputs.values()))
