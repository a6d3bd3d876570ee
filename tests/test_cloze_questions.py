"""Questions made of a text: what they ask, what answers them, and what a batch of them holds."""

import numpy as np
import pytest
import torch
from transformers import T5Tokenizer

from tests.tiny import of_whole_words
from tunebench.zoo.pretraining.objectives import objectives
from tunebench.zoo.pretraining.objectives._questions import Pieces, question
from tunebench.zoo.pretraining.objectives.base import Passage, Shape
from tunebench.zoo.pretraining.objectives.cloze_questions import ask

FREQUENT = ("the", "of", "and", "him", "were", "What", "Who", "Which", "Where", "When", "In", "Why", "How", "what",
            "year", "many", "much")  # fmt: skip
RARE = ("1066", "William", "Duke", "crossed", "Channel", "Harold", "met", "near", "Hastings", "fought", "nine", "hours",
        "7", "thousand", "men", "fell", "slowly")  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> T5Tokenizer:
    return of_whole_words(FREQUENT, RARE)


TEXT = (
    "In 1066 Duke William crossed the Channel, near Hastings. Harold met him and 7 thousand men fell slowly. "
    "Harold fought nine hours."
)


def ids(tokenizer: T5Tokenizer, text: str) -> np.ndarray:
    return np.asarray(tokenizer(text, add_special_tokens=False)["input_ids"])


def made(tokenizer: T5Tokenizer, text: str, ends: tuple[int, ...] = ()) -> list[tuple[str, str]]:
    tokens, pieces = ids(tokenizer, text), Pieces.of(tokenizer)
    pairs = [question(tokens, np.asarray(ends, dtype=int), np.random.default_rng(seed), pieces) for seed in range(400)]
    return [(str(tokenizer.decode(asked)), str(tokenizer.decode(answer))) for asked, answer in pairs]


def test_answers_are_names_numbers_and_some_words_of_one_sentence(tokenizer: T5Tokenizer) -> None:
    answers = {answer for _, answer in made(tokenizer, TEXT)}
    assert {"1066", "Duke William", "Channel", "Hastings", "7", "7 thousand", "crossed"} <= answers
    assert all(answer in TEXT and "." not in answer and len(answer.split()) <= 4 for answer in answers)
    # the first word of a sentence has its capital for another reason, and a comma parts names
    assert not any(answer.startswith(("Harold", "In", "the", "and")) or "Channel, near" in answer for answer in answers)


def test_a_question_has_its_answers_word_and_the_other_words_of_its_sentence(tokenizer: T5Tokenizer) -> None:
    sentences = [{word.strip(",") for word in sentence.split()} for sentence in TEXT.split(".")]
    for asked, answer in made(tokenizer, TEXT):
        word = next(
            words
            for words in ("In what year", "What year", "How many", "How much", *FREQUENT[5:13])
            if asked.startswith(words)
        )
        if answer == "1066":
            assert word in ("When", "In what year", "What year")
        if answer in ("Hastings", "Duke William"):
            assert word in ("Who", "What", "Which", "Where")
        rest = set(asked.removeprefix(word).split())
        of = [sentence for sentence in sentences if set(answer.split()) <= sentence and rest <= sentence]
        assert of, (asked, answer)
        assert not any(mark in asked for mark in ".,?")
        assert answer not in asked.removeprefix(word)


def test_words_are_left_out_and_change_places(tokenizer: T5Tokenizer) -> None:
    about = {asked for asked, answer in made(tokenizer, TEXT) if answer == "Hastings"}
    assert any("1066 Duke William crossed the Channel near" in asked for asked in about)
    assert any("Duke" not in asked for asked in about)
    swapped = ("Duke 1066", "William Duke", "crossed William", "the crossed", "Channel the", "near Channel")
    assert any(pair in asked for asked in about for pair in swapped)


def test_no_question_crosses_the_end_of_a_document(tokenizer: T5Tokenizer) -> None:
    first = "nine men fell slowly and met the Duke near Hastings"
    second = "William fought thousand hours and crossed the Channel"
    pairs = made(tokenizer, f"{first} {second}", ends=(len(ids(tokenizer, first)),))
    for asked, answer in pairs:
        words = set(asked.split()[1:]) - {"many", "much", "what", "year"} | set(answer.split())
        assert words <= set(first.split()) or words <= set(second.split())


@pytest.mark.parametrize("words", ["the", "the of and the", "Harold.", "7 7 7 7"])
def test_a_text_with_little_to_ask_for_still_gives_a_pair(tokenizer: T5Tokenizer, words: str) -> None:
    assert all(answer and answer in words for _, answer in made(tokenizer, words))


def test_input_and_target_hold_question_text_and_answer(tokenizer: T5Tokenizer) -> None:
    tokens = ids(tokenizer, " ".join([TEXT] * 4))
    first, end = int(tokenizer.convert_tokens_to_ids("<extra_id_0>")), 1
    for seed in range(50):
        passage = Passage(tokens, np.asarray([], dtype=int))
        source, target = ask(passage, 64, np.random.default_rng(seed), Pieces.of(tokenizer), first, end)
        assert len(source) == 64
        (gap,) = np.flatnonzero(source == first)
        assert gap <= 64 // 5
        assert tokenizer.decode(source[gap - 1 : gap]) == "?"
        assert (source[gap + 1 : -1] == tokens[: 62 - gap]).all()
        assert (target[0], target[-1], source[-1]) == (first, end, end)
        assert " ".join(map(str, target[1:-1])) in " ".join(map(str, source[gap + 1 :]))


def test_half_of_the_texts_are_asked_about_and_padding_counts_for_nothing(tokenizer: T5Tokenizer) -> None:
    objective, plain = objectives()["cloze_questions"], objectives()["span_corruption"]
    tokens = ids(tokenizer, " ".join([TEXT] * 4))
    some = [Passage(tokens[row : row + objective.window(64)], np.asarray([], dtype=int)) for row in range(9)]
    batch = objective.batch(some, tokenizer, np.random.default_rng(0))
    alone = plain.batch(some[:5], tokenizer, np.random.default_rng(0))
    assert torch.equal(batch["input_ids"], alone["input_ids"])
    assert torch.equal(batch["labels"], alone["labels"])
    assert batch["question_input_ids"].shape == (4, 64)
    assert (batch["question_labels"][:, -1] == -100).any()
    assert set(objective.batch(some[:1], tokenizer, np.random.default_rng(0))) == {"input_ids", "labels"}

    torch.manual_seed(0)

    shape = Shape(hidden=16, layers=1, heads=2, intermediate=32, vocabulary=len(tokenizer), positions=64)
    model = objective.new_model(shape, tokenizer)
    answers = objective.loss(model, batch)["answers"]
    row_by_row = [
        plain.loss(model, {"input_ids": source[None], "labels": labels[labels != -100][None]})["spans"]
        for source, labels in zip(batch["question_input_ids"], batch["question_labels"], strict=True)
    ]
    assert answers.count == sum(part.count for part in row_by_row)
    total = sum(part.total.item() for part in row_by_row)
    assert answers.total.item() == pytest.approx(total, rel=1e-5)
