"""Every metric is its reference library's, and its additive form is the same number."""

import math
import random
import re
import string
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import seqeval.metrics
import sklearn.metrics
from nltk.stem.porter import PorterStemmer
from rouge_score.tokenize import tokenize

from tests.campaigns import doses
from tunebench.engine.evaluate import score
from tunebench.evaluation import rouge
from tunebench.evaluation.bootstrap import Sums
from tunebench.evaluation.intervals import intervals
from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.evaluation.rouge import sentences_on_lines
from tunebench.evaluation.unreadable import NO_LABEL
from tunebench.zoo.embedded import summarization

FEW, MANY = 50, 200
LABELS = ("sadness", "joy", "love", "anger")
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

Case = tuple[list[Any], list[Any]]


def interval_of(metric: Metric, predictions: Any, references: Any, groups: Any = None) -> Any:
    return intervals([metric], predictions, references, groups)[metric.name]


def classes(rng: random.Random) -> Case:
    """Predictions that are right more often than not; some labels occur on one side only, or nowhere."""
    known = rng.sample(LABELS, rng.randint(1, len(LABELS)))
    gold = [rng.choice(known) for _ in range(rng.randint(1, 40))]
    return [label if rng.random() < 0.6 else rng.choice(LABELS) for label in gold], gold


def tags(rng: random.Random) -> Case:
    """Sentences with well-formed and ill-formed tags, and some without any entity."""
    gold = [[rng.choice(TAGS) for _ in range(rng.randint(1, 12))] for _ in range(rng.randint(1, 15))]
    guess = [[tag if rng.random() < 0.7 else rng.choice(TAGS) for tag in sentence] for sentence in gold]
    return guess, gold


def sets(rng: random.Random) -> Case:
    """Sets of labels, many of them empty; some labels occur on one side only, or nowhere."""
    known = rng.sample(LABELS, rng.randint(1, len(LABELS)))
    gold = [sorted(label for label in known if rng.random() < 0.4) for _ in range(rng.randint(1, 40))]
    guess = [[label for label in LABELS if (label in row) == (rng.random() < 0.7)] for row in gold]
    return [sorted(row) for row in guess], gold


def multi_label(score: Callable[..., float], **options: Any) -> Callable[[Any, Any], float]:
    """scikit-learn's score over the labels that occur; a column that is not counted keeps a single label apart."""

    def evaluate(predictions: Any, references: Any) -> float:
        labels = sorted({label for row in (*predictions, *references) for label in row})
        rows = [[[name in row for name in [*labels, "?"]] for row in side] for side in (references, predictions)]
        counted = {"labels": range(len(labels)), **options} if options else {}
        return score(*(np.array(side, dtype=int) for side in rows), **counted) if labels else 0.0

    return evaluate


def scores(rng: random.Random) -> Case:
    """Scores with ties, far from zero, more or less correlated."""
    gold = [float(rng.randint(0, 5)) for _ in range(rng.randint(3, 40))]
    gold[0], gold[1] = 0.0, 5.0
    offset = rng.choice((0.0, 1e4))
    return [offset + value + rng.gauss(0, rng.choice((0.1, 2))) for value in gold], gold


def likelihoods(rng: random.Random) -> Case:
    """Summed negative log-likelihoods of texts of different lengths."""
    rows = []
    for _ in range(rng.randint(1, 40)):
        prompt, response = rng.randint(1, 30), rng.randint(1, 30)
        inside = rng.uniform(2, 4) * response
        rows.append(
            {
                "response_nll": inside,
                "response_tokens": response,
                "nll": inside + rng.uniform(2, 4) * prompt,
                "tokens": prompt + response,
            }
        )
    return rows, [""] * len(rows)


def texts(rng: random.Random) -> Case:
    """Texts close to their references: punctuation, articles, capitals, letters of all kinds."""
    words = ("the", "The", "cat", "Cats", "an", "é", "naïve", "日本", "won", "1.5", "U.S.", "it's", "—", ",", "!", "“a")
    gold = ["dogs won " + " ".join(rng.choices(words, k=rng.randint(1, 12))) for _ in range(rng.randint(1, 15))]
    return [" ".join(w for w in text.split() if rng.random() < 0.7) + rng.choice(("", " won")) for text in gold], gold


def lines(rng: random.Random) -> Case:
    """Texts of up to four sentences, each on its line."""
    return tuple(["\n".join([text, *texts(rng)[1][:3]]) for text in side] for side in texts(rng))  # type: ignore[return-value]


def answers(rng: random.Random) -> Case:
    """The same, with several references."""
    guess, gold = texts(rng)
    return guess, [[text, *texts(rng)[1][:2]] for text in gold]


def rouge_score(kind: str) -> Callable[[Any, Any], float]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([kind], use_stemmer=True)
    return lambda p, r: float(np.mean([scorer.score(b, a)[kind].fmeasure for a, b in zip(p, r, strict=True)]))


# The official evaluation script of SQuAD 1.1 (evaluate-v1.1.py), as published but for the types.


def normalize_answer(s: str) -> str:
    def remove_articles(text: str) -> str:
        return re.sub(r"\b(a|an|the)\b", " ", text)

    def white_space_fix(text: str) -> str:
        return " ".join(text.split())

    def remove_punc(text: str) -> str:
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    def lower(text: str) -> str:
        return text.lower()

    return white_space_fix(remove_articles(remove_punc(lower(s))))


def f1_score(prediction: str, ground_truth: str) -> float:
    prediction_tokens = normalize_answer(prediction).split()
    ground_truth_tokens = normalize_answer(ground_truth).split()
    common = Counter(prediction_tokens) & Counter(ground_truth_tokens)
    num_same = sum(common.values())
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(prediction_tokens)
    recall = 1.0 * num_same / len(ground_truth_tokens)
    return (2 * precision * recall) / (precision + recall)


def exact_match_score(prediction: str, ground_truth: str) -> float:
    return normalize_answer(prediction) == normalize_answer(ground_truth)


def squad(metric_fn: Callable[[str, str], float]) -> Callable[[Any, Any], float]:
    def evaluate(predictions: Any, dataset: Any) -> float:
        total = 0.0
        for prediction, ground_truths in zip(predictions, dataset, strict=True):
            total += max(metric_fn(prediction, ground_truth) for ground_truth in ground_truths)
        return total / len(dataset)

    return evaluate


def mean_exp(rows: list[Any], nll: str, tokens: str) -> float:
    return math.exp(math.fsum(row[nll] for row in rows) / sum(row[tokens] for row in rows))


KINDS: dict[str, tuple[Callable[[random.Random], Case], Callable[[Any, Any], float]]] = {
    "accuracy": (classes, lambda p, r: sklearn.metrics.accuracy_score(r, p)),
    "weighted_f1": (classes, lambda p, r: sklearn.metrics.f1_score(r, p, average="weighted", zero_division=0)),
    "macro_f1": (classes, lambda p, r: sklearn.metrics.f1_score(r, p, average="macro", zero_division=0)),
    "micro_f1": (sets, multi_label(sklearn.metrics.f1_score, average="micro", zero_division=0)),
    "label_macro_f1": (sets, multi_label(sklearn.metrics.f1_score, average="macro", zero_division=0)),
    "subset_accuracy": (sets, multi_label(sklearn.metrics.accuracy_score)),
    "entity_f1": (tags, lambda p, r: seqeval.metrics.f1_score(r, p)),
    "entity_precision": (tags, lambda p, r: seqeval.metrics.precision_score(r, p)),
    "entity_recall": (tags, lambda p, r: seqeval.metrics.recall_score(r, p)),
    "tag_accuracy": (tags, lambda p, r: seqeval.metrics.accuracy_score(r, p)),
    "perplexity": (likelihoods, lambda p, r: mean_exp(p, "response_nll", "response_tokens")),
    "perplexity_all": (likelihoods, lambda p, r: mean_exp(p, "nll", "tokens")),
    "rouge_1": (texts, rouge_score("rouge1")),
    "rouge_2": (texts, rouge_score("rouge2")),
    "rouge_l": (texts, rouge_score("rougeL")),
    "rouge_lsum": (lines, rouge_score("rougeLsum")),
    "token_f1": (answers, squad(f1_score)),
    "exact_match": (answers, squad(exact_match_score)),
    "pearson": (scores, lambda p, r: scipy.stats.pearsonr(p, r).statistic),
    "spearman": (scores, lambda p, r: scipy.stats.spearmanr(p, r).statistic),
}


def cases_of(name: str, count: int = FEW) -> list[Case]:
    rng = random.Random(name)
    return [KINDS[name][0](rng) for _ in range(count)]


def resampled(metric: Metric, predictions: list[Any], references: list[Any], weights: list[int]) -> float:
    """The value of a resample by sums."""
    sums = Sums(metric, predictions, references).weighted(np.array([weights], dtype=float))
    return float(metric.combine(sums)[0])


def additive(metric: Metric, predictions: list[Any], references: list[Any]) -> float:
    return resampled(metric, predictions, references, [1] * len(references))


def test_every_metric_is_tested_here() -> None:
    assert set(KINDS) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
@doses(FEW, MANY)
@pytest.mark.filterwarnings("ignore")
def test_a_metric_equals_its_reference_library(name: str, dose: int) -> None:
    values = []
    for predictions, references in cases_of(name, dose):
        value = METRICS[name].compute(predictions, references)
        assert value == pytest.approx(KINDS[name][1](predictions, references), abs=1e-12)
        values.append(value)
    assert len({round(value, 3) for value in values}) > dose / 10, "the cases are all alike"


@pytest.mark.parametrize("name", METRICS)
@doses(FEW, MANY)
def test_sums_of_statistics_give_the_same_value_as_the_library(name: str, dose: int) -> None:
    for predictions, references in cases_of(name, dose):
        expected = METRICS[name].compute(predictions, references)
        assert additive(METRICS[name], predictions, references) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_a_resample_scores_what_the_library_says_of_the_same_rows(name: str) -> None:
    for predictions, references in cases_of(name, 20):
        rows = np.random.default_rng(0).integers(0, len(references), size=len(references))
        drawn = [predictions[row] for row in rows], [references[row] for row in rows]
        expected = METRICS[name].compute(*drawn)
        weights = np.bincount(rows, minlength=len(references)).tolist()
        value = resampled(METRICS[name], predictions, references, weights)
        if math.isnan(expected):
            assert math.isnan(value)
        else:
            assert value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_gold_scores_the_maximum(name: str) -> None:
    predictions, references = cases_of(name, 3)[-1]
    if KINDS[name][0] is answers:
        assert METRICS[name].compute([given[-1] for given in references], references) == 1.0
        return
    if KINDS[name][0] is likelihoods:  # lower is better: a model that is sure of every token has 1
        assert not METRICS[name].higher_is_better
        references = [{**row, "nll": 0.0, "response_nll": 0.0} for row in predictions]
        assert METRICS[name].compute(references, references) == 1.0
        return
    references = [["B-PER", "O"], *references] if KINDS[name][0] is tags else references

    assert METRICS[name].higher_is_better
    assert METRICS[name].compute(references, references) == pytest.approx(1.0)
    assert len(predictions) > 0


@pytest.mark.parametrize("name", ["pearson", "spearman"])
@pytest.mark.parametrize("constant", [0.0, 0.1, 2.7, 1e6])
def test_a_correlation_of_constant_predictions_is_undefined(name: str, constant: float) -> None:
    gold = [float(number % 6) for number in range(30)]
    guess = [constant] * len(gold)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(METRICS[name].compute(guess, gold))
    assert math.isnan(additive(METRICS[name], guess, gold))
    assert interval_of(METRICS[name], guess, gold) is None


def test_predictions_without_any_entity_score_zero_not_nan() -> None:
    gold, guess = [["B-PER", "I-PER", "O"]], [["O", "O", "O"]]

    for name in ("entity_f1", "entity_precision", "entity_recall"):
        assert METRICS[name].compute(guess, gold) == 0
        assert additive(METRICS[name], guess, gold) == 0


def test_texts_without_any_label_on_either_side_score_zero_and_their_sets_are_right() -> None:
    empty: list[Any] = [[], []]
    for name, expected in (("micro_f1", 0), ("label_macro_f1", 0), ("subset_accuracy", 1)):
        assert METRICS[name].compute(empty, empty) == expected
        assert additive(METRICS[name], empty, empty) == expected


def test_a_perplexity_beyond_all_numbers_is_infinite_not_an_error() -> None:
    rows = [{"response_nll": 1e6, "response_tokens": 1, "nll": 1e6, "tokens": 1}]
    assert METRICS["perplexity"].compute(rows, [""]) == math.inf
    assert score(["perplexity"], rows, [""]) == {"perplexity": None}


def test_every_word_of_the_shipped_summaries_is_stemmed_as_by_rouge_score() -> None:
    texts = [text for split in summarization.rows().values() for row in split for text in row.values()]
    assert len(texts) > 1000
    tokens = [tokenize(text, None) for text in texts]
    assert [rouge._WORD.findall(text.lower()) for text in texts] == tokens
    every = " ".join(sorted({word for words in tokens for word in words}))
    assert len(every.split()) > 500
    assert rouge._words(every) == tokenize(every, PorterStemmer())


def test_rouge_is_computed_without_nltk_and_what_its_import_brings() -> None:
    code = """
import sys
from tunebench.evaluation.rouge import rouge_l, rouge_lsum, rouge_n
one, other = "The flies were dying. They ran generously.", "A fly died. It was running on a generous condition."
assert all(0 < score < 1 for score in (rouge_n(1, one, other), rouge_l(one, other), rouge_lsum(one, other)))
assert not {name.partition(".")[0] for name in sys.modules} & {"nltk", "rouge_score", "scipy", "sklearn"}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


HAND_MADE = [
    ("", ["Denver"]), ("Denver", ["the Denver"]), ("The Denver Broncos", ["Denver Broncos"]), ("a", ["the"]),
    ("an", ["a"]), ("the", [""]), ("", [""]), (" ", ["a cat"]), ("Theatre", ["atre"]), ("theatre", ["the atre"]),
    ("1,000", ["1000"]), ("1.5", ["15"]), ("U.S.", ["US"]), ("it's", ["its"]), ("rock-and-roll", ["rock and roll"]),
    ("Beyoncé", ["Beyonce"]), ("BEYONCÉ", ["beyoncé"]), ("“Denver”", ["Denver"]), ("'Denver'", ["Denver"]),
    ("naïve", ["naïve"]), ("日本", ["日本"]), ("日 本", ["日本"]), ("½", ["1/2"]),
    ("Straße", ["strasse"]), ("İ", ["i"]),
    ("two cats", ["two", "cats", "two dogs"]), ("cats", ["dogs", "cats"]), ("two two cats", ["two cats cats"]),
    ("two two", ["two"]), ("two", ["two two"]), ("a an the", ["the a"]), ("of the people", ["people of"]),
    ("Saint Bernadette Soubirous", ["Bernadette"]), ("in 1858", ["1858", "in 1858", "the year 1858"]),
    ("1858", ["in 1858", "1858"]), ("ten percent", ["10%"]), ("10%", ["10"]), ("$10", ["10", "10 dollars"]),
    ("A.", ["B.", "a"]), ("tab\tseparated", ["tab separated"]), ("line\nbreak", ["line break"]), ("x" * 500, ["x"]),
    ("!", ["?"]), ("!", [""]), ("-", ["the"]), ("the-cat", ["cat"]), ("an apple a day", ["apple day"]),
    ("and", ["an d"]), ("Anna", ["anna"]), ("no. 5", ["No 5", "five"]), ("\u00a0cat", ["cat"]), ("e\u0301", ["é"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "official"), [("token_f1", squad(f1_score)), ("exact_match", squad(exact_match_score))]
)
def test_hand_made_answers_score_as_squads_script_says(name: str, official: Callable[[Any, Any], float]) -> None:
    assert len(HAND_MADE) >= 50
    values = set()
    for guess, gold in HAND_MADE:
        value = METRICS[name].compute([guess], [gold])
        assert value == pytest.approx(official([guess], [gold]), abs=1e-6), (guess, gold)
        values.add(round(value, 3))
    assert {0.0, 1.0} < values or name == "exact_match"


def test_an_answer_that_is_no_label_is_wrong_and_no_class_of_its_own() -> None:
    gold = ["joy", "joy", "fear", "fear"]
    guess = ["joy", NO_LABEL, "fear", "fear"]
    assert METRICS["accuracy"].compute(guess, gold) == 0.75
    assert METRICS["macro_f1"].compute(guess, gold) == pytest.approx((2 / 3 + 1) / 2)
    assert additive(METRICS["macro_f1"], guess, gold) == pytest.approx((2 / 3 + 1) / 2)
    assert METRICS["macro_f1"].compute([NO_LABEL] * 4, gold) == 0.0


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One ran. Two slept! Who?", ["One ran.", "Two slept!", "Who?"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("It cost 3.5 million. 20 came.", ["It cost 3.5 million.", "20 came."]),
        ("one line\nand another. And more", ["one line", "and another. And more"]),
        ("", [""]),
    ],
)
def test_sentences_stand_on_lines(text: str, lines: list[str]) -> None:
    assert sentences_on_lines(text).split("\n") == lines
