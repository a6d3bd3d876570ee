"""Campaigns: many random inputs and faults, from a seed; each input ends in an answer or in one sentence.

`make test` runs a small dose of each, `make test-all` ten times as much. A number of your own, and other inputs:
`TUNEBENCH_CAMPAIGN=10000 TUNEBENCH_SEED=7 python -m pytest -m full tests/campaigns/test_studies.py`.
"""

import os
import random
import unicodedata
from collections.abc import Iterator

import pytest

SEED = int(os.environ.get("TUNEBENCH_SEED", "0"))
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def doses(small: int, large: int) -> pytest.MarkDecorator:
    """A small dose for every test run, and a large one, or `TUNEBENCH_CAMPAIGN`, under the marker `full`."""
    chosen = int(os.environ.get("TUNEBENCH_CAMPAIGN", large))
    return pytest.mark.parametrize("dose", [small, pytest.param(chosen, marks=pytest.mark.full, id="full")])


def draws(dose: int) -> Iterator[random.Random]:
    """A generator for each case; case n of a seed is the same in every dose."""
    return (random.Random(f"{SEED} {case}") for case in range(dose))


def assert_brief(message: str) -> None:
    """A user can read the message on any terminal: short lines, no controls, nothing that turns a line's direction."""
    assert message.strip()
    for line in message.split("\n"):
        assert len(line) <= 400, line
        assert not {unicodedata.category(letter) for letter in line if letter != "\t"} & {"Cc", "Cs", "Zl", "Zp"}, repr(
            line
        )
        assert not {unicodedata.bidirectional(letter) for letter in line} & TURNS, repr(line)
