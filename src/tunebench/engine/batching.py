"""Batches are data: lists of example indices, planned from lengths alone."""

from collections.abc import Sequence

import numpy as np

from tunebench.engine.seeds import PLAN, seed_of

_POOL = 50  # batches sorted together: little padding, and still a random order


def plan_epoch(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """One epoch's batches: examples shuffled, sorted by length within pools of 50 batches, batches shuffled again.

    Every index is in exactly one batch, and all batches except one are full. Pure: the same arguments give the same
    plan, so a resumed run takes the rest of it.
    """
    rng = np.random.default_rng(seed_of(seed, PLAN, epoch))
    order = rng.permutation(len(lengths))
    sizes = np.asarray(lengths)
    batches: list[list[int]] = []
    for start in range(0, len(order), _POOL * batch_size):
        pool = order[start : start + _POOL * batch_size]
        pool = pool[np.argsort(sizes[pool], kind="stable")]
        batches += [pool[at : at + batch_size].tolist() for at in range(0, len(pool), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def plan_evaluation(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Batches for a pass without training: sorted by length, at most `batch_tokens` padded tokens (or one example)."""
    batches: list[list[int]] = []
    for index in np.argsort(np.asarray(lengths), kind="stable").tolist():
        # Sorted by rising length: the newest example is the longest of its batch.
        if batches and (len(batches[-1]) + 1) * lengths[index] <= batch_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
