"""Spans of a text that become sentinels, and the target that holds them (Raffel et al. 2020, section 3.1.4)."""

import numpy as np

CORRUPTED, MEAN_SPAN = 0.15, 3.0
SENTINELS = 100


def noise(size: int) -> tuple[int, int]:
    """How many tokens of a text are corrupted, and in how many spans."""
    tokens = min(max(round(size * CORRUPTED), 1), size - 1)
    return tokens, min(max(round(tokens / MEAN_SPAN), 1), SENTINELS)


def noise_spans(size: int, rng: np.random.Generator) -> np.ndarray:
    """(spans, 2): start and end of each, in order; they never touch, and the text begins with a kept token."""
    tokens, spans = noise(size)
    corrupted = segments(tokens, spans, rng)
    kept = segments(size - tokens, spans, rng)
    ends = np.cumsum(kept + corrupted)
    return np.stack([ends - corrupted, ends], axis=1)


def segments(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` positive lengths that sum to `total`, every way equally likely."""
    cuts = np.sort(rng.choice(total - 1, count - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


def corrupt(tokens: np.ndarray, spans: np.ndarray, first_sentinel: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """The encoder's input and the decoder's target; sentinels count down from `first_sentinel`."""
    inputs, targets, position = [], [], 0
    for index, (start, stop) in enumerate(spans):
        sentinel = [first_sentinel - index]
        inputs += [tokens[position:start], sentinel]
        targets += [sentinel, tokens[start:stop]]
        position = stop
    return np.concatenate([*inputs, tokens[position:], [end]]), np.concatenate([*targets, [end]])
