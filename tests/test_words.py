# ruff: noqa: RUF001  (letters that look like others are the point)
"""Words of any script: what ROUGE, TF-IDF, overlaps and sentences make of texts that are not English."""

from typing import Any

import pytest
from nltk.stem.porter import PorterStemmer
from rouge_score.tokenize import tokenize

from tunebench.evaluation import rouge
from tunebench.evaluation.metrics import METRICS
from tunebench.evaluation.rouge import rouge_l, rouge_lsum, rouge_n, sentences_on_lines
from tunebench.evaluation.words import words
from tunebench.tasks.leakage import _loose

SCRIPTS = {
    "armenian": "Գիրքը սեղանի վրա է։",
    "hebrew": "הספר נמצא על השולחן.",
    "arabic": "الكتاب على الطاولة.",
    "hindi": "किताब मेज़ पर है।",
    "tamil": "புத்தகம் மேசையில் உள்ளது.",
    "georgian": "წიგნი მაგიდაზეა.",
    "korean": "책은 책상 위에 있습니다.",
    "chinese": "书在桌子上。",
    "japanese": "本は机の上にあります。",
    "thai": "หนังสืออยู่บนโต๊ะ",
    "burmese": "စာအုပ်က စားပွဲပေါ်မှာ ရှိတယ်။",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_equal_texts_have_rouge_1_and_texts_without_a_word_in_common_0(script: str) -> None:
    text, other = SCRIPTS[script], "Xerxes 48151623"
    for score in (lambda *pair: rouge_n(1, *pair), lambda *pair: rouge_n(2, *pair), rouge_l, rouge_lsum):
        assert score(text, text) == 1
        assert score(other, text) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("की कि", ["की", "कि"]),
        ("หนังสือ", ["ห", "นั", "ง", "สื", "อ"]),
        ("東京タワー333m", ["東", "京", "タ", "ワ", "ー", "333m"]),
        ("ཀ་ཁ", ["ཀ", "ཁ"]),
        ("Łódź, ça va?", ["Łódź", "ça", "va"]),
        ("🙂 … —", []),
    ],
)
def test_a_word_is_a_run_of_letters_or_one_letter_of_a_script_without_blanks(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "text", ["The “U.N.” paid £5½ for a naïve 30 m² — twice…", "snake_case isn't 3.5%", "№5 ROCK™ 日本"]
)
def test_words_of_a_text_in_english_letters_are_those_of_rouge_score(text: str) -> None:
    assert rouge.tokens_for(text)(text) == [word for word in tokenize(text, PorterStemmer()) if word]


def test_composed_and_decomposed_letters_are_the_same_word() -> None:
    assert rouge_n(1, "\u0438\u0306 \u03ac", "\u0439 \u03b1\u0301") == 1


def test_some_words_in_common_count_in_any_script() -> None:
    assert rouge_n(1, "кот спит дома", "кот ест дома") == pytest.approx(2 / 3)
    assert rouge_n(2, "猫在家", "猫在睡") == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Он ушёл. Она осталась! Почему?", ["Он ушёл.", "Она осталась!", "Почему?"]),
        ("猫在家。狗在外面！为什么？", ["猫在家。", "狗在外面！", "为什么？"]),
        ("「行く。」彼は言った。", ["「行く。」", "彼は言った。"]),
        ("वह गया। वह आई।", ["वह गया।", "वह आई।"]),
        ("Llegó tarde. ¿Por qué? así fue", ["Llegó tarde.", "¿Por qué? así fue"]),
    ],
)
def test_sentences_end_as_their_script_ends_them(text: str, lines: list[str]) -> None:
    assert sentences_on_lines(text).split("\n") == lines


def test_the_record_says_which_tokeniser_counted() -> None:
    assert METRICS["rouge_1"].remark(["A cat “slept” — twice.", *["A cat."] * 9, "A naïve cat."]) is None
    said = METRICS["rouge_l"].remark(["Кот спит.", "A naïve cat.", "🙂"])
    assert said is not None
    assert said.startswith("ROUGE counts the words of 1 of 3 references by Unicode")
    assert "ROUGE of 1 of 3 references ignores their letters other than a to z" in said
    assert said.endswith("ROUGE of 1 of 3 references is 0, because they have no word.")
    assert METRICS["token_f1"].remark([["Кот"], ["cat"]]) is None
    assert "1 of 2 references" in str(METRICS["token_f1"].remark([["東京"], ["cat"]]))


def test_inputs_that_differ_in_a_vowel_mark_are_not_near_duplicates() -> None:
    assert _loose("दिन") != _loose("दीन")
    assert _loose("東京。") == _loose("「東京」")


def test_tfidf_tells_texts_apart_by_their_letters_where_no_blank_divides_them() -> None:
    from tunebench.techniques._tfidf import _vectorizer

    vectors: Any = _vectorizer().fit_transform(["我很高兴看到你", "我很难过离开你", "दिन आया", "दीन आया"])
    assert 0 < (vectors[0] @ vectors[1].T).toarray()[0, 0] < 1
    assert 0 < (vectors[2] @ vectors[3].T).toarray()[0, 0] < 1
