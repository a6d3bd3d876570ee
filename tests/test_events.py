"""Events are types in the program, and JSON at the process border and in `events.jsonl`."""

import json
import subprocess
import sys
import typing

import pytest
from pydantic import ValidationError

from tunebench.engine import events

EXAMPLES: list[events.Event] = [
    events.Resumed(step=8, epoch=1),
    events.Resumed(step=8, tokens=1024),
    events.Step(step=3, steps=12, loss=0.5, epoch=1, epochs=2),
    events.BatchDone(phase="frozen layers, train", batch=2, batches=4),
    events.EpochEnded(epoch=1, train_loss=0.25, validation={"accuracy": 0.5, "pearson": None}, seconds=1.5),
    events.Testing(),
    events.Generating(),
    events.LearningTokenizer(),
    events.Tokenising(part="train"),
    events.Reading(step=4, tokens=99, train_loss=2.0, held_out={"all": 2.5}, predictions=50, perplexity=12.2),
    events.Driving(host="h", process=7, started=0.5, workers=2),
    events.Placed(folder="runs/a", model="m", task="t", technique="full", label="full", seed=0),
    events.Driven(),
    events.Ready(),
    events.ResultWritten(status="failed", reason="ValueError: no"),
    events.Unwritable(reason="result.json: No space left on device"),
    events.Ended(code=-9),
    events.CheckpointDamaged(checkpoint="step-00000004-0001"),
]


def test_every_event_has_an_example_here() -> None:
    assert {type(event) for event in EXAMPLES} == set(typing.get_args(events.Event))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.event)
def test_an_event_is_the_same_after_the_process_border(event: events.Event) -> None:
    assert events.read_event(event.model_dump_json()) == event


@pytest.mark.parametrize("line", ['{"event": "unknown"}', '{"event": "ended", "code": 0, "more": 1}', "no JSON"])
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        events.read_event(line)


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (EXAMPLES[0], ["time", "event", "step", "epoch"]),
        (EXAMPLES[1], ["time", "event", "step", "tokens"]),
        (EXAMPLES[4], ["time", "event", "epoch", "train_loss", "validation", "seconds"]),
        (EXAMPLES[5], ["time", "event"]),
        (EXAMPLES[8], ["time", "event", "part"]),
    ],
)
def test_a_line_of_the_file_holds_the_time_the_name_and_the_fields(event: events.Event, keys: list[str]) -> None:
    line = json.loads(events.line_of(event))

    assert list(line) == keys
    assert line["event"] == event.event
    if isinstance(event, events.EpochEnded):
        assert line["validation"] == {"accuracy": 0.5, "pearson": None}


def test_events_load_no_torch() -> None:
    code = "import sys, tunebench.engine.events; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
