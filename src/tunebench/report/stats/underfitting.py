"""Runs that could have learned more from their training examples.

At the end of a linear decay the learning rate is near zero, so that a flat last epoch shows nothing. What counts is how
far the training loss fell in the last third of the epochs, measured against the share of all movement that the
learning rate left for it: its sum over these steps, divided by that over all steps.
"""

import itertools
import math

from tunebench.records import Done

_PACE = 0.02
"""Share of the training loss by which as much training again would lower it, at the pace of the last third."""
_HARDLY = 0.9
"""Share of the first epoch's loss above which nothing is learned yet that could be past its best."""
_LEFT = 1 / 3
"""Share of the first epoch's training loss that is left where examples are not fitted."""


def underfitted(result: Done) -> str | None:
    """What to know of a run whose training loss is high, still falls, and whose validation score is not past its best.

    Epochs record the mean loss of their steps, so that the loss is that in the middle of an epoch.
    """
    planned, losses = result.run.training.get("epochs"), [epoch.train_loss for epoch in result.history]
    known = [loss for loss in losses if loss is not None]
    if not isinstance(planned, int) or len(losses) < 2 or len(known) < len(losses) or known[-1] <= 0:
        return None
    last = math.ceil(len(known) / 3)
    before, end = known[-1 - last], known[-1]
    falls = all(one > next_ for one, next_ in itertools.pairwise(known[-1 - last :]))
    moved = _moved(result, planned, len(known) - last - 0.5, len(known) - 0.5) / _moved(result, planned, 0, len(known))
    fitted = (before - end) / end < _PACE * moved or end < _LEFT * known[0]
    over = end < _HARDLY * known[0] and _past_its_best(result, last)
    if not falls or fitted or over:
        return None
    return (
        f"The training loss still fell in the last third, from {before:.3g} to {end:.3g}, with {moved:.0%} of all that "
        "the learning rate allowed the weights to move, and validation shows no overfitting: more epochs or a "
        "higher learning rate may give a better score."
    )


def _moved(result: Done, epochs: int, begin: float, end: float) -> float:
    """The learning rate's sum from one point to another, counted in epochs, without the warm-up."""
    if result.run.training.get("schedule") == "inverse_square_root":
        return math.sqrt(end) - math.sqrt(begin)
    return (1 - begin / epochs) ** 2 - (1 - end / epochs) ** 2


def _past_its_best(result: Done, last: int) -> bool:
    """Whether no epoch of the last ones scored as well on validation as the best one before them."""
    scores = [epoch.validation.get(result.main_metric.name) for epoch in result.history]
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return True
    choose = max if result.main_metric.higher_is_better else min
    before, after = choose(known[:-last]), choose(known[-last:])
    return after != choose(before, after)
