"""Commands and workers killed at random moments: the same command ends the study, with the bits of one never killed."""

import random
import time

import psutil

from tests.campaigns import doses, draws
from tests.campaigns.commands import Commands, at_work
from tests.campaigns.small_study import STUDY, NewStudy, Study

LONG_STUDY = """
name: killed
training: {epochs: 2, batch_size: 16, precision: float32, checkpoint_seconds: 0}
experiments:
  - {model: tiny-bert, task: emotion, techniques: [{name: full, learning_rate: 1e-3}, lora, adalora, tfidf, embedding]}
  - {model: tiny-bert, task: ner, techniques: [{name: freeze, learning_rate: 1e-3}, tfidf]}
"""
KILLS_PER_STUDY = 12


def kill(process: psutil.Process, draw: random.Random) -> int:
    """Kill the command, one of its processes, or all of them; says how many were at work."""
    try:
        below = [child for child in process.children(recursive=True) if at_work(child)]
    except psutil.NoSuchProcess:
        return 0
    chosen = draw.choice([[process], draw.sample(below, min(1, len(below))), [process, *below], below])
    struck = 0
    for one in chosen:
        if at_work(one):
            one.kill()
            struck += 1
    return struck


def interrupted(study: Study, started: Commands, draw: random.Random, kills: int, span: float) -> int:
    """Run the study to its end, and kill it so many times before; says how many kills met a process."""
    struck, finished = 0, study.done()
    while True:
        process = started.start(study.command(draw.choice([1, 2])), study.folder)
        strike = struck < kills
        if strike:
            time.sleep(draw.uniform(0, span))
            struck += kill(process, draw) > 0
        code = started.end()
        assert code in (0, 1, -9), (study.folder / "log").read_text()
        assert not started.left(), "a process outlived its command"
        after = study.done()
        assert finished.items() <= after.items(), "a run that was done was made again, or lost"
        finished = after
        if code == 0 and "charts are missing" not in (study.folder / "log").read_text():
            return struck
        assert strike or code == 1, (study.folder / "log").read_text()


@doses(2, 100)
def test_a_killed_study_ends_with_the_bits_of_one_that_nobody_killed(
    dose: int, started: Commands, whole_studies: dict[str, tuple[Study, float]], new_study: NewStudy
) -> None:
    text = STUDY if dose < 10 else LONG_STUDY
    whole, seconds = whole_studies[text]
    struck = 0
    for number, draw in enumerate(draws(dose)):
        study = new_study(f"killed-{number}", text)
        struck += interrupted(study, started, draw, min(KILLS_PER_STUDY, dose - struck), 0.7 * seconds)
        assert study.figures() == whole.figures()
        assert study.files() == whole.files()
        if struck >= dose:
            break
    print(f"{struck} kills in {number + 1} studies")  # noqa: T201
    assert struck
