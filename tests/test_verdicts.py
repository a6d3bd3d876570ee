"""Texts to judge: what speaks for and against, what is left out, and what a batch of them holds."""

import itertools

import numpy as np
import pytest
import torch
from transformers import T5Tokenizer

from tests.tiny import of_whole_words
from tunebench._util.errors import RunError
from tunebench.zoo.pretraining.objectives import objectives
from tunebench.zoo.pretraining.objectives._questions import Pieces, Words
from tunebench.zoo.pretraining.objectives._valence import BAD, GOOD, valences
from tunebench.zoo.pretraining.objectives.base import Passage, Shape
from tunebench.zoo.pretraining.objectives.verdicts import VERDICTS, judge

FREQUENT = ("the", "of", "and", "It", "was", "He", "not", "They", "This", "is", "say", "it", "All", "in", "all", "How",
            "What", "like", "A", "one", "indeed", "!")  # fmt: skip
RARE = ("Duke", "came", "fought", "walked", "home", "splendid", "kind", "brave", "dreadful", "cruel", "stupid", "good",
        "worst", "great", "fine", "wonderful", "excellent", "bad", "poor", "terrible", "worthless")  # fmt: skip
TEXT = (
    "He came home. It was splendid and kind of the Duke. He was dreadful and cruel in all. They fought. "
    "It was brave. It was not stupid."
)
NONE = np.asarray([], dtype=int)


@pytest.fixture(scope="module")
def tokenizer() -> T5Tokenizer:
    return of_whole_words(FREQUENT, RARE)


def ids(tokenizer: T5Tokenizer, text: str) -> np.ndarray:
    return np.asarray(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a splendid day", [0, 1, 0]),
        ("splendidly dull", [1, -1]),
        ("not a very good day but bad", [0, 0, 0, -1, 0, 0, -1]),  # the fourth word after it is out of reach
        ("it wasn't bad", [0, 0, 1]),
        ("nobody walked", [0, 0]),
    ],
)
def test_words_judge_and_a_negation_turns_the_next_three_around(words: str, expected: list[int]) -> None:
    assert valences(words.split(), [0] * len(words.split())) == expected


def test_a_negation_ends_with_its_sentence() -> None:
    assert valences(["not", "good"], [0, 1]) == [0, 1]
    assert valences(["not", "good"], [0, 0]) == [0, -1]


def test_no_word_speaks_for_both_sides_and_all_are_in_lower_case() -> None:
    assert not GOOD & BAD
    assert min(len(GOOD), len(BAD)) > 300
    assert all(word == word.lower() and word.isalpha() for word in GOOD | BAD)


def test_words_are_spelt_in_lower_case_without_punctuation(tokenizer: T5Tokenizer) -> None:
    assert Words(ids(tokenizer, "It was brave. He came."), NONE, Pieces.of(tokenizer)).spelt == [
        "it",
        "was",
        "brave",
        "he",
        "came",
    ]


@pytest.mark.parametrize(
    ("good", "theirs", "left_out"),
    [(True, ("dreadful", "cruel"), "splendid"), (False, ("splendid", "kind", "brave", "stupid"), "dreadful")],
)
def test_a_judged_text_is_of_the_mind_that_is_asked_for(
    good: bool, theirs: tuple[str, ...], left_out: str, tokenizer: T5Tokenizer
) -> None:
    given, pieces = Passage(ids(tokenizer, TEXT), NONE), Pieces.of(tokenizer)
    judged = [judge(given, good, np.random.default_rng(seed), pieces) for seed in range(200)]
    texts = [str(tokenizer.decode(tokens)) for tokens in judged if tokens is not None]
    assert len(texts) == 200
    assert not any(word in text for word in theirs for text in texts)
    assert all("He came home" in text and "They fought" in text for text in texts)  # neither
    assert 10 < sum(left_out not in text for text in texts) < 60  # three in twenty


def test_a_text_without_a_sentence_of_that_mind_is_not_judged(tokenizer: T5Tokenizer) -> None:
    pieces = Pieces.of(tokenizer)
    for text, good in (("He came home.", True), ("It was splendid.", False), ("It was brave and bad.", True)):
        assert judge(Passage(ids(tokenizer, text), NONE), good, np.random.default_rng(0), pieces) is None


def test_a_text_of_nothing_but_verdicts_may_be_left_without_a_word(tokenizer: T5Tokenizer) -> None:
    text, pieces = Passage(ids(tokenizer, "brave splendid"), NONE), Pieces.of(tokenizer)
    assert [] in [judge(text, True, np.random.default_rng(seed), pieces) for seed in range(200)]


def batch(tokenizer: T5Tokenizer, text: str, rows: int, length: int) -> dict[str, torch.Tensor]:
    objective = objectives()["verdicts"]
    tokens = ids(tokenizer, text)[: objective.window(length)]
    return objective.batch([Passage(tokens, NONE)] * rows, tokenizer, np.random.default_rng(0))


def test_a_batch_asks_for_good_and_bad_in_turn(tokenizer: T5Tokenizer) -> None:
    inputs = batch(tokenizer, " ".join([TEXT] * 12), 9, 128)
    sources, verdicts = inputs["input_ids"], inputs["verdicts"]
    assert 18 <= len(sources) <= 54  # two to six pieces a text
    gap = int(str(tokenizer.convert_tokens_to_ids("<extra_id_0>")))
    assert (sources.eq(gap).sum(1) == 1).all()
    assert (inputs["decoder_input_ids"] == torch.tensor([tokenizer.pad_token_id, gap])).all()
    good = {word for word, _ in VERDICTS}
    right, wrong = ([str(tokenizer.decode(word)) in good for word in side] for side in verdicts.T)
    assert all(one != other for one, other in itertools.pairwise(right))
    assert all(one != other for one, other in zip(right, wrong, strict=True))


def test_the_loss_is_that_of_one_word_against_the_other_and_padding_counts_for_nothing(tokenizer: T5Tokenizer) -> None:
    objective = objectives()["verdicts"]
    inputs = batch(tokenizer, " ".join([TEXT] * 12), 5, 128)
    assert (inputs["input_ids"] == 0).any()
    torch.manual_seed(0)
    shape = Shape(hidden=16, layers=1, heads=2, intermediate=32, vocabulary=len(tokenizer), positions=64)
    model = objective.new_model(shape, tokenizer)
    expected = 0.0
    for source, start, (right, wrong) in zip(*inputs.values(), strict=True):
        logits = model(input_ids=source[source != 0][None], decoder_input_ids=start[None]).logits[0, -1]
        expected += torch.nn.functional.softplus(logits[wrong] - logits[right]).item()
    (part,) = objective.loss(model, inputs).values()
    assert part.count == len(inputs["input_ids"])
    assert part.total.item() == pytest.approx(expected, rel=1e-5)


def test_words_that_are_in_neither_the_piece_nor_the_question_keep_their_embeddings(tokenizer: T5Tokenizer) -> None:
    objective = objectives()["verdicts"]
    inputs = batch(tokenizer, "It was brave. He was cruel. " * 20, 5, 128)
    torch.manual_seed(0)
    shape = Shape(hidden=16, layers=1, heads=2, intermediate=32, vocabulary=len(tokenizer), positions=64)
    model = objective.new_model(shape, tokenizer)
    (part,) = objective.loss(model, inputs).values()
    part.total.backward()
    moved = set(model.lm_head.weight.grad.abs().sum(1).nonzero().flatten().tolist())
    assert moved == set(torch.cat([tokens.flatten() for tokens in inputs.values()]).tolist())


def test_texts_that_say_nothing_are_refused_in_words(tokenizer: T5Tokenizer) -> None:
    with pytest.raises(RunError, match="none of a step's 4 texts contains a word that judges"):
        batch(tokenizer, "He came home and they fought. " * 20, 4, 64)


def test_a_mixture_has_the_parts_of_both_and_their_losses(tokenizer: T5Tokenizer) -> None:
    known = objectives()
    tokens = ids(tokenizer, " ".join([TEXT] * 12))
    texts = [Passage(tokens[row : row + known["mixture"].window(128)], NONE) for row in range(12)]
    inputs = known["mixture"].batch(texts, tokenizer, np.random.default_rng(0))
    assert len(inputs["input_ids"]) == len(inputs["question_input_ids"]) == 3
    assert 12 <= len(inputs["judged_input_ids"]) <= 36  # six texts in two to six pieces
    torch.manual_seed(0)
    shape = Shape(hidden=16, layers=1, heads=2, intermediate=32, vocabulary=len(tokenizer), positions=64)
    model = known["mixture"].new_model(shape, tokenizer)
    parts = known["mixture"].loss(model, inputs)
    assert list(parts) == ["spans", "answers", "verdicts"]
    judged = {name.removeprefix("judged_"): x for name, x in inputs.items() if name.startswith("judged_")}
    expected = known["cloze_questions"].loss(model, inputs) | known["verdicts"].loss(model, judged)
    assert {name: (part.total.item(), part.count) for name, part in parts.items()} == {
        name: (part.total.item(), part.count) for name, part in expected.items()
    }


def test_a_mixture_of_one_text_judges_nothing(tokenizer: T5Tokenizer) -> None:
    objective = objectives()["mixture"]
    tokens = ids(tokenizer, " ".join([TEXT] * 12))[: objective.window(64)]
    inputs = objective.batch([Passage(tokens, NONE)], tokenizer, np.random.default_rng(0))
    assert not [name for name in inputs if name.startswith("judged_")]
