"""The rule of a recommendation, which the report and `recommend` share."""

from tunebench.evaluation.choice import Option, acceptable, choose

FULL = Option(0.0, True, 0.0, 100.0)


def test_the_cheapest_technique_that_is_tied_and_close_is_chosen() -> None:
    options = {"full": FULL, "lora": Option(0.4, True, 2.0, 58.0), "head": Option(6.0, False, 8.0, 1.0)}
    assert acceptable(options) == ["full", "lora"]
    assert choose(options) == "lora"
    assert choose(options, 0.0) == "full"


def test_a_tie_that_may_cost_more_points_than_accepted_is_not_chosen() -> None:
    options = {"full": FULL, "head": Option(4.0, True, 9.0, 1.0)}
    assert choose(options, 1.0) == "full"
    assert choose(options, 4.0) == "head"


def test_what_is_significantly_worse_is_chosen_where_it_surely_loses_no_more_than_accepted() -> None:
    options = {"full": FULL, "lora": Option(3.0, False, 3.8, 1.0)}
    assert choose(options, 3.5) == "full"
    assert choose(options, 3.8) == "lora"


def test_of_equally_cheap_techniques_the_better_one_is_chosen() -> None:
    options = {"lora": Option(0.2, True, 1.0, 10.4), "ia3": Option(0.6, True, 1.0, 10.0)}
    assert choose(options) == "ia3"
    assert choose(options, noise=0.05) == "lora"


def test_a_cost_that_was_not_measured_is_never_cheap() -> None:
    assert choose({"full": FULL, "lora": Option(0.0, True, 0.0, None)}) == "full"
    assert choose({"a": Option(0.3, True), "b": Option(0.1, True)}) == "b"


def test_losses_count_from_the_smallest_one_and_nothing_may_be_left() -> None:
    assert choose({"untuned": Option(4.0, True, 9.0, 0.0), "best": Option(0.0, False, cost=1.0)}, 4.0) == "untuned"
    assert choose({"a": Option(2.0, True, 3.0, 1.0), "b": Option(2.8, True, 9.0, 0.5)}) == "b"
    assert choose({"a": Option(0.0, False, cost=1.0)}) is None
    assert choose({}) is None
