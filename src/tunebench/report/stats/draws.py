"""Random draws, shared by all comparisons with equally many examples: made once, then kept in memory."""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from tunebench.evaluation import bootstrap
from tunebench.evaluation.bootstrap import CHUNK

_KEPT = 40_000_000  # bytes per kept set of draws, one per number: 4,000 examples; larger sets are drawn again


Draw = Callable[[int, int, int], Iterator[np.ndarray]]


def sides(examples: int, trials: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Which examples' answers change sides in each trial, (at most 500, examples) at a time, as bool."""
    return _drawn(_sides, examples, trials, seed)


def weights(examples: int, resamples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """What `bootstrap.resample_weights` draws."""
    return _drawn(_weights, examples, resamples, seed)


def _drawn(draw: Draw, examples: int, count: int, seed: int) -> Iterator[np.ndarray]:
    if examples * count > _KEPT:
        return draw(examples, count, seed)
    return iter(_kept(draw, examples, count, seed))


@functools.lru_cache(maxsize=8)
def _kept(draw: Draw, examples: int, count: int, seed: int) -> list[np.ndarray]:
    return list(draw(examples, count, seed))


def _sides(examples: int, trials: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for start in range(0, trials, CHUNK):
        yield rng.random((min(CHUNK, trials - start), examples), dtype=np.float32) < 0.5


def _weights(examples: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    for drawn in bootstrap.resample_weights(examples, resamples, seed):
        yield drawn.astype(np.uint8) if drawn.max() < 256 else drawn
