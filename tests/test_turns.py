"""Whose turn it is among waiting rows."""

from tunebench.serve.turns import Turns


def lengths(turns: Turns) -> list[int]:
    """Of the rows of the next batch, where a row is its length."""
    return turns.next()


def waiting(*questions: list[int], tokens: int = 100) -> Turns:
    turns = Turns(tokens)
    for question in questions:
        turns.add("group", [(length, length) for length in question])
    return turns


def test_a_batch_has_at_most_its_tokens_padding_included() -> None:
    turns = waiting([20] * 12)
    assert [len(turns.next()) for _ in range(3)] == [5, 5, 2]
    assert len(turns) == 0


def test_a_row_that_is_longer_than_a_batch_stands_alone() -> None:
    assert lengths(waiting([300], [90])) == [90]
    turns = waiting([300, 90])
    assert [lengths(turns), lengths(turns)] == [[300], [90]]


def test_a_long_text_is_not_padded_to_and_short_ones_are() -> None:
    assert lengths(waiting([2], [16], [60], [10])) == [2, 10, 16]


def test_only_rows_of_one_group_are_computed_together() -> None:
    turns = Turns(100)
    turns.add("bert", [(10, "a")])
    turns.add("gpt2", [(10, "b")])
    turns.add("bert", [(10, "c")])
    assert turns.next() == ["a", "c"]
    assert turns.next() == ["b"]


def test_a_short_question_does_not_wait_for_a_long_one_that_came_before() -> None:
    turns = waiting([80] * 50)
    assert lengths(turns) == [80]
    turns.add("group", [(10, "short")])
    assert turns.next() == ["short"]


def test_a_long_text_is_answered_while_short_ones_keep_coming() -> None:
    turns = waiting([90])
    batches: list[list[object]] = []
    while 90 not in [row for batch in batches for row in batch]:
        assert len(batches) < 10, "the long text waits for ever"
        turns.add("group", [(10, "short")])
        batches.append(turns.next())


def test_questions_take_turns_by_the_tokens_that_they_ask_for() -> None:
    turns = waiting([40] * 4, tokens=80)
    turns.add("group", [(40, "other")] * 4)
    assert [sorted(map(str, turns.next())) for _ in range(4)] == [["40", "other"]] * 4
