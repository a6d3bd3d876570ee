"""Randomness is a function of where it is used: (seed, purpose, epoch, step, rank), never of what ran before."""

import numpy as np
import torch

HEAD, PLAN, STEP, SAMPLE = range(4)


def seed_of(*parts: int) -> int:
    """A 64-bit seed from the parts, unrelated for parts that differ (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def seed_step(seed: int, epoch: int, step: int, rank: int = 0) -> None:
    """Set torch's generators for one training step, so that a resumed run draws the same dropout masks."""
    torch.manual_seed(seed_of(seed, STEP, epoch, step, rank))
