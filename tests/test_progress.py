"""The progress display shows every kind of work with the time that is left."""

import io

import pytest
from rich.console import Console

from tunebench.cli import progress
from tunebench.engine import events
from tunebench.run.forecast import Forecast
from tunebench.study import Study


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a monotonic clock shows; a test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=200)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


EPOCH = events.EpochEnded(epoch=1, train_loss=0.5, validation={"accuracy": 0.75, "f1_macro": None}, seconds=3)
DONE = events.ResultWritten(status="done")


def test_a_study_has_a_line_for_each_epoch_and_each_end(clock: list[float]) -> None:
    log = console()
    with progress.display_on(log, 4) as display:
        display.show("a", "emotion · full · seed 0", events.Resumed(step=7, epoch=1))
        display.show("a", "emotion · full · seed 0", EPOCH)
        clock[0] += 10
        display.show("a", "emotion · full · seed 0", DONE)
        display.show("b", "emotion · lora · seed 0", events.ResultWritten(status="failed", reason="ValueError: no"))

    assert text_of(log) == (
        "  emotion · full · seed 0: continues from step 7\n"
        "  emotion · full · seed 0: epoch 1, loss 0.5000, accuracy 0.7500, f1_macro undefined\n"
        "[1/4] emotion · full · seed 0: done (about 30 s left)\n"
        "[2/4] emotion · lora · seed 0: failed: ValueError: no (about 10 s left)\n"
    )


def test_a_run_is_called_by_its_model_where_several_are_compared() -> None:
    (run,) = Study.model_validate(
        {
            "name": "x",
            "experiments": [{"model": "pocket-gpt2", "task": "emotion", "techniques": ["lora"]}],
            "seeds": [4],
        }
    ).runs()
    assert progress.name_of(run) == "emotion · lora · seed 4"
    assert progress.name_of(run, with_model=True) == "pocket-gpt2 · emotion · lora · seed 4"


def test_long_work_has_a_line_every_half_minute_with_the_time_left(clock: list[float]) -> None:
    log = console()
    with progress.display_on(log, 1) as display:
        for step in range(1, 62):
            display.show("a", "full", events.Step(step=step, steps=121, loss=0.5, epoch=1, epochs=2))
            clock[0] += 1
        for batch in range(1, 62):
            display.show("a", "full", events.BatchDone(phase="answers, test", batch=batch, batches=61))
            clock[0] += 1

    assert text_of(log) == (
        "  full: epoch 1/2, step 31/121, loss 0.5000, about 1 min 30 s left\n"
        "  full: epoch 1/2, step 61/121, loss 0.5000, about 1 min 00 s left\n"
        "  full: answers, test, batch 31/61, about 30 s left\n"
        "  full: answers, test, batch 61/61, about 0 s left\n"
    )


def test_pretraining_shows_its_preparation_its_steps_and_its_readings(clock: list[float]) -> None:
    log = console()
    reading = events.Reading(step=4, tokens=4096, train_loss=2, held_out={"all": 2.5}, predictions=9, perplexity=12.18)
    with progress.display_on(log) as display:
        display.show("x", "pocket-bert", events.LearningTokenizer())
        display.show("x", "pocket-bert", events.Tokenising(part="held_out"))
        for step in (1, 2):
            display.show("x", "pocket-bert", events.Step(step=step, steps=4, loss=2.0))
            clock[0] += 40
        display.show("x", "pocket-bert", reading)

    assert text_of(log) == (
        "  pocket-bert: trains the tokenizer\n"
        "  pocket-bert: tokenises the held-out texts\n"
        "  pocket-bert: step 2/4, loss 2.0000, about 1 min 20 s left\n"
        "  pocket-bert: 4,096 tokens: held-out all 2.5000; perplexity 12.18\n"
    )


def test_bars_show_the_study_and_each_run_at_work() -> None:
    screen = console(terminal=True)
    with progress.display_on(screen, 2) as display:
        assert isinstance(display, progress.Bars)
        display.show("a", "full", events.BatchDone(phase="frozen layers, train", batch=1, batches=2))
        display.show("a", "full", EPOCH)
        display.show("a", "full", events.Step(step=1, steps=4, loss=0.5, epoch=2, epochs=2))
        display.show("b", "lora", events.Step(step=2, steps=4, loss=0.5, epoch=1, epochs=2))
        study, first, second = display._progress.tasks
        assert (study.completed, study.total) == (0.75, 2)
        assert (first.completed, first.total) == (1, 4)
        assert first.fields["note"] == "epoch 2/2, loss 0.500 accuracy 0.7500"
        assert (second.description, second.completed) == ("lora", 2)
        display.show("a", "full", DONE)
        assert [task.description for task in display._progress.tasks] == ["runs", "lora"]
        assert study.completed == 1.5
    assert "full: done" in text_of(screen)


def test_a_pretraining_has_one_bar() -> None:
    screen = console(terminal=True)
    with progress.display_on(screen) as display:
        assert isinstance(display, progress.Bars)
        display.show("x", "pocket-bert", events.Tokenising(part="train"))
        (bar,) = display._progress.tasks
        assert bar.fields["note"] == "tokenises the train texts"
        display.show("x", "pocket-bert", events.Step(step=1, steps=4, loss=2.0))
        (bar,) = display._progress.tasks
        assert (bar.completed, bar.total, bar.fields["note"]) == (1, 4, "loss 2.000 ")


def test_a_result_says_no_time_left_where_nobody_knows_it() -> None:
    class Unknown(Forecast):
        left = None  # type: ignore[assignment]

    file = io.StringIO()
    with progress.display_on(Console(file=file), None, Unknown(0)) as display:
        display.show("key", "full", events.ResultWritten(status="paused", reason="1 of at most 4 epochs are trained"))
        display.say("full: dropped, after epoch 1 it was 0.3 behind the leader")
    assert file.getvalue().splitlines() == [
        "[1] full: paused: 1 of at most 4 epochs are trained",
        "full: dropped, after epoch 1 it was 0.3 behind the leader",
    ]
