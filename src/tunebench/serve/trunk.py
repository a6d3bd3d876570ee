"""The frozen stages of a backbone, passed once by the rows of many tasks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from tunebench.families.base import Family
from tunebench.objectives.base import Objective
from tunebench.serve.adapters import Adapter, applied


class SharedTrunk:
    """A backbone without a technique, cut at each depth at which a task leaves it.

    Args:
        family: the backbone's.
        model: in evaluation mode, under a head that no task reads.

    Attributes:
        device: where it computes.
    """

    def __init__(self, family: Family, model: Any):
        self._family, self.model = family, model
        self._above: dict[int, Any] = {0: model}
        self._segments: dict[tuple[int, int], Callable[..., Tensor]] = {}
        self.device = next(model.parameters()).device

    def states(
        self, inputs: Mapping[str, Tensor], rows: Mapping[int, int], adapters: Sequence[Adapter]
    ) -> dict[int, Tensor]:
        """The states at each depth.

        Args:
            inputs: token ids with their mask, (rows, tokens), those that go deepest first.
            rows: depth -> how many rows go at least so deep.
            adapters: of the first rows, which go deepest.

        Returns:
            Depth -> states of these rows, (rows, tokens, hidden).
        """
        with applied(self.model, adapters):
            return self._states(inputs, rows)

    def _states(self, inputs: Mapping[str, Tensor], rows: Mapping[int, int]) -> dict[int, Tensor]:
        found: dict[int, Tensor] = {}
        at = 0
        for depth in sorted(rows):
            given = {name: values[: rows[depth]] for name, values in inputs.items()}
            if found:
                given = {"attention_mask": given["attention_mask"], "inputs_embeds": found[at][: rows[depth]]}
            found[depth] = self._segment(at, depth)(**given)
            at = depth
        return found

    def _segment(self, at: int, depth: int) -> Callable[..., Tensor]:
        """The stages from one depth to another: what lies above a cut is a model, whose lowest stage gives states."""
        if (at, depth) not in self._segments:
            split = self._family.split(self._above[at], depth - at + (at > 0), pooled=False)
            self._segments[at, depth] = split.trunk
            self._above.setdefault(depth, split.tail)
        return self._segments[at, depth]


def deepest(family: Family, model: Any) -> int:
    """The stages that tasks can share: the embeddings, and the layers of the stack that reads the text."""
    return 1 + len(family.stacks(model)[0])


def leaves_at(family: Family, model: Any, objective: Objective) -> int:
    """The depth up to which a task's model is the backbone itself; 0: the model must be asked as a whole.

    So must one whose cuts are proven on a task's texts before they are used: there are none here.
    """
    whole = objective.reads_prompts or not family.cuts_are_known
    return 0 if whole else min(family.frozen_depth(model), deepest(family, model))
