"""The time left is forecast from the size of runs and their measured steps."""

import heapq
from collections.abc import Iterator

import pytest

from tunebench.engine.events import ResultWritten, Resumed, Step
from tunebench.records import Parameters, PlannedCell, PlannedData
from tunebench.run import forecast
from tunebench.run.forecast import Forecast, Size, size_of

# The demo on two cores: model, task, technique, epochs, tokens as `plan` estimates them, parameters (total, trainable,
# technique), seconds of the epochs, seconds of the run.
DEMO = [
    ("bert", "emotion", "untuned", 5, (48276, 8072, 10909), (5455622, 0, 0), 0.0, 1.3),
    ("bert", "emotion", "tfidf", 5, (48276, 8072, 10909), None, 1.0, 1.7),
    ("bert", "emotion", "classifier_head", 5, (48276, 8072, 10909), (5455622, 1542, 0), 1.0, 10.3),
    ("bert", "emotion", "full", 5, (48276, 8072, 10909), (5455622, 5455622, 5454080), 158.3, 165.1),
    ("bert", "ner", "untuned", 4, (17487, 5366, 7482), (5390601, 0, 0), 0.0, 1.1),
    ("bert", "ner", "tfidf", 4, (17487, 5366, 7482), None, 2.0, 2.5),
    ("bert", "ner", "classifier_head", 4, (17487, 5366, 7482), (5390601, 2313, 0), 1.3, 7.8),
    ("bert", "ner", "lora", 4, (17487, 5366, 7482), (5464329, 76041, 73728), 36.1, 39.5),
    ("bert", "ner", "full", 4, (17487, 5366, 7482), (5390601, 5390601, 5388288), 48.8, 52.6),
    ("bert", "similarity", "untuned", 4, (26830, 8517, 11203), (5454337, 0, 0), 0.0, 1.3),
    ("bert", "similarity", "tfidf", 4, (26830, 8517, 11203), None, 0.2, 1.2),
    ("bert", "similarity", "classifier_head", 4, (26830, 8517, 11203), (5454337, 257, 0), 0.4, 7.6),
    ("bert", "similarity", "lora", 4, (26830, 8517, 11203), (5528065, 73985, 73728), 47.5, 51.3),
    ("bert", "similarity", "full", 4, (26830, 8517, 11203), (5454337, 5454337, 5454080), 64.7, 70.3),
    ("gpt2", "emotion", "untuned", 4, (26969, 8072, 10909), (5389312, 0, 0), 0.0, 1.3),
    ("gpt2", "emotion", "classifier_head", 4, (26969, 8072, 10909), (5389312, 1536, 0), 0.4, 7.7),
    ("gpt2", "emotion", "lora", 4, (26969, 8072, 10909), (5422080, 34304, 32768), 38.5, 41.7),
    ("gpt2", "emotion", "full", 4, (26969, 8072, 10909), (5389312, 5389312, 5387776), 59.9, 63.8),
    ("gpt2", "ner", "untuned", 4, (17487, 5366, 7482), (5390089, 0, 0), 0.0, 1.1),
    ("gpt2", "ner", "classifier_head", 4, (17487, 5366, 7482), (5390089, 2313, 0), 1.3, 8.8),
    ("gpt2", "ner", "lora", 4, (17487, 5366, 7482), (5422857, 35081, 32768), 31.9, 34.8),
    ("gpt2", "ner", "full", 4, (17487, 5366, 7482), (5390089, 5390089, 5387776), 51.2, 54.3),
    ("gpt2", "instruction", "untuned", 2, (24553, 6833, 10018), (5387776, 0, 0), 0.0, 11.1),
    ("gpt2", "instruction", "prefix_tuning", 2, (24553, 6833, 10018), (6575104, 1187328, 1187328), 34.7, 42.8),
    ("gpt2", "instruction", "lora", 2, (24553, 6833, 10018), (5420544, 32768, 32768), 34.0, 41.3),
    ("gpt2", "instruction", "full", 2, (24553, 6833, 10018), (5387776, 5387776, 5387776), 51.7, 59.9),
    ("t5", "summarization", "lead3", 2, (87544, 12617, 20256), None, 0.1, 0.7),
    ("t5", "summarization", "untuned", 2, (87544, 12617, 20256), (7345920, 0, 0), 0.0, 6.1),
    ("t5", "summarization", "freeze", 2, (87544, 12617, 20256), (7345920, 3149184, 3149184), 51.4, 73.9),
    ("t5", "summarization", "full", 2, (87544, 12617, 20256), (7345920, 7345920, 7345920), 144.9, 164.6),
    ("t5", "sentiment", "untuned", 2, (96869, 30037, 40813), (7345920, 0, 0), 0.0, 7.9),
    ("t5", "sentiment", "tfidf", 2, (96869, 30037, 40813), None, 0.4, 1.5),
    ("t5", "sentiment", "freeze", 2, (96869, 30037, 40813), (7345920, 3149184, 3149184), 24.2, 54.9),
    ("t5", "sentiment", "full", 2, (96869, 30037, 40813), (7345920, 7345920, 7345920), 142.5, 159.8),
    ("t5", "question_answering", "untuned", 2, (106024, 35361, 35628), (7345920, 0, 0), 0.0, 8.7),
    ("t5", "question_answering", "freeze", 2, (106024, 35361, 35628), (7345920, 3149184, 3149184), 31.7, 61.5),
    ("t5", "question_answering", "full", 2, (106024, 35361, 35628), (7345920, 7345920, 7345920), 160.6, 177.9),
]  # fmt: skip

DONE = ResultWritten(status="done")
Run = tuple[str, float, float]
"""Key, seconds of its epochs, seconds of all of it."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [50.0]
    monkeypatch.setattr(forecast.time, "monotonic", lambda: now[0])
    return now


def demo() -> tuple[dict[str, Size], list[Run]]:
    sizes, runs = {}, []
    for model, task, label, epochs, tokens, counts, of_epochs, whole in DEMO:
        parameters = None
        if counts is not None:
            parameters = Parameters(total=counts[0], trainable=counts[1], technique=counts[2], head=0)
        cell = PlannedCell(model=model, family=model, task=task, technique=label, label=label, parameters=parameters)
        splits: dict[str, int] = dict(zip(("train", "validation", "test"), tokens, strict=True))
        data = PlannedData(task=task, source="", rows={}, tokens=splits)
        key = f"{model} {task} {label}"
        sizes[key] = size_of(cell, data, epochs)
        runs.append((key, of_epochs, whole))
    return sizes, runs


def replayed(
    clock: list[float], sizes: dict[str, Size], runs: list[Run], workers: int
) -> Iterator[tuple[float, float, float | None]]:
    """The events of a study: the share of its time that has passed, the time left, the time left by the forecast."""
    begin = clock[0]
    free = [begin] * workers
    happening: list[tuple[float, int, str, ResultWritten | Step]] = []
    for number, (key, of_epochs, whole) in enumerate(runs):
        start = heapq.heappop(free)
        heapq.heappush(free, start + whole)
        for step in range(1, 21) if of_epochs else ():
            moment = start + (whole - of_epochs) / 2 + of_epochs * step / 20
            happening.append((moment, number, key, Step(step=step, steps=20, loss=1, epoch=1, epochs=2)))
        happening.append((start + whole, number, key, DONE))
    end = max(free)
    expected = Forecast(len(runs), workers, sizes)
    for moment, _, key, event in sorted(happening, key=lambda one: one[:2]):
        clock[0] = moment
        expected.observe(key, event)
        yield (moment - begin) / (end - begin), end - moment, expected.left


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("order", ["as written", "costliest first", "cheapest first"])
def test_from_a_quarter_of_the_demo_on_the_time_left_is_right_within_a_factor_of_1_5(
    order: str, workers: int, clock: list[float]
) -> None:
    sizes, runs = demo()
    if order != "as written":
        runs.sort(key=lambda run: sizes[run[0]].whole, reverse=order == "costliest first")
    factors = [
        left / true for share, true, left in replayed(clock, sizes, runs, workers) if 0.25 <= share < 0.9 and left
    ]
    assert len(factors) > 100
    assert min(factors) > 1 / 1.5
    assert max(factors) < 1.5


def test_a_resumed_run_counts_only_the_steps_that_it_makes_now(clock: list[float]) -> None:
    expected = Forecast(1, 1, {"a": Size(100.0)})
    expected.observe("a", Resumed(step=60, epoch=1))
    clock[0] += 10
    expected.observe("a", Step(step=70, steps=100, loss=1))
    assert expected.left == pytest.approx(30)


def test_without_sizes_every_run_is_as_long_as_any_other(clock: list[float]) -> None:
    expected = Forecast(5)
    assert expected.left is None
    clock[0] += 8
    expected.observe("a", DONE)
    assert expected.left == pytest.approx(32)


def test_a_long_run_at_the_end_is_not_shared_among_workers(clock: list[float]) -> None:
    expected = Forecast(3, 2, {"a": Size(10.0), "b": Size(10.0), "c": Size(40.0)})
    clock[0] += 10
    expected.observe("a", DONE)
    expected.observe("b", DONE)
    assert expected.left == pytest.approx(40)


def test_larger_models_more_text_and_more_trained_weights_take_longer() -> None:
    def size(total: int, trainable: int, technique: int, tokens: int, epochs: int = 3) -> float:
        counts = Parameters(total=total, trainable=trainable, technique=technique, head=0)
        cell = PlannedCell(model="m", family="f", task="t", technique="x", label="x", parameters=counts)
        data = PlannedData(task="t", source="", rows={}, tokens={"train": tokens, "validation": 10, "test": 10})
        return size_of(cell, data, epochs).whole

    assert size(10**8, 10**8, 10**8, 10**4) == pytest.approx(10 * size(10**7, 10**7, 10**7, 10**4), rel=0.2)
    assert size(10**8, 10**8, 10**8, 10**5) > 9 * size(10**8, 10**8, 10**8, 10**4)
    ordered = [size(10**8, *counts, 10**5) for counts in ((0, 0), (99, 0), (10**5, 10**5), (10**8, 10**8))]
    assert ordered == sorted(ordered)
    assert size_of(None, None, 3).whole > 0
