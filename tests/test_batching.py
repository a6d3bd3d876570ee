"""Batches are data: planned from lengths alone, the same for the same arguments."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunebench.engine.batching import plan_epoch, plan_evaluation

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=400)


def random_lengths(count: int = 3000) -> list[int]:
    return np.random.default_rng(0).integers(3, 120, size=count).tolist()


def padding(plan: list[list[int]], lengths: list[int]) -> int:
    return sum(len(batch) * max(lengths[i] for i in batch) - sum(lengths[i] for i in batch) for batch in plan)


@settings(max_examples=100, deadline=None)
@given(LENGTHS, st.integers(1, 40), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_holds_every_example_once_in_full_batches_but_one(
    lengths: list[int], batch_size: int, seed: int, epoch: int
) -> None:
    plan = plan_epoch(lengths, batch_size, seed, epoch)

    assert sorted(index for batch in plan for index in batch) == list(range(len(lengths)))
    assert len(plan) == -(-len(lengths) // batch_size)
    assert sum(len(batch) < batch_size for batch in plan) <= 1
    assert all(1 <= len(batch) <= batch_size for batch in plan)


def test_the_same_arguments_give_the_same_plan_whatever_ran_before() -> None:
    lengths = random_lengths()
    first = plan_epoch(lengths, 16, seed=3, epoch=2)
    np.random.default_rng().random(10)
    plan_epoch(lengths, 16, seed=4, epoch=0)

    assert plan_epoch(lengths, 16, seed=3, epoch=2) == first


def test_epochs_and_seeds_have_plans_of_their_own() -> None:
    lengths = random_lengths(200)
    plans = [plan_epoch(lengths, 16, seed, epoch) for seed in range(3) for epoch in range(3)]

    assert len({str(plan) for plan in plans}) == len(plans)


def test_a_plan_holds_plain_integers() -> None:
    assert {type(index) for batch in plan_epoch([3, 1, 2], 2, 0, 0) for index in batch} == {int}
    assert {type(index) for batch in plan_evaluation([3, 1, 2], 4) for index in batch} == {int}


def test_a_plan_pads_far_less_than_a_random_order_and_does_not_go_from_short_to_long() -> None:
    lengths = random_lengths()
    order = np.random.default_rng(1).permutation(len(lengths)).tolist()
    shuffled = [order[at : at + 16] for at in range(0, len(order), 16)]
    plan = plan_epoch(lengths, 16, seed=0, epoch=0)

    assert padding(plan, lengths) < padding(shuffled, lengths) / 5
    few = lengths[: 40 * 16]  # they are sorted together
    longest = [max(few[index] for index in batch) for batch in plan_epoch(few, 16, seed=0, epoch=0)]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3


@settings(max_examples=100, deadline=None)
@given(LENGTHS, st.integers(1, 5000))
def test_an_evaluation_holds_every_example_once_within_its_budget(lengths: list[int], budget: int) -> None:
    plan = plan_evaluation(lengths, budget)

    assert sorted(index for batch in plan for index in batch) == list(range(len(lengths)))
    for batch in plan:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget


@settings(max_examples=50, deadline=None)
@given(LENGTHS, st.integers(1, 5000))
def test_no_evaluation_batch_has_room_for_the_next_example(lengths: list[int], budget: int) -> None:
    plan = plan_evaluation(lengths, budget)

    for batch, following in itertools.pairwise(plan):
        assert (len(batch) + 1) * lengths[following[0]] > budget


def test_the_budget_itself_is_allowed() -> None:
    assert plan_evaluation([4, 4, 4, 4], 8) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("lengths", [[500], [1, 500, 2]])
def test_an_example_longer_than_the_budget_is_a_batch_of_its_own(lengths: list[int]) -> None:
    plan = plan_evaluation(lengths, 100)

    assert [lengths.index(500)] in plan
    assert sum(map(len, plan)) == len(lengths)
