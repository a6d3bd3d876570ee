"""Commands and workers killed at random moments: the same command ends the study, with the bits of one never killed."""

import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.campaigns import doses, draws
from tests.campaigns.commands import Commands, at_work, commands
from tunebench.records import Done, read_result
from tunebench.study import read_study

STUDY = """
name: killed
training: {epochs: 2, batch_size: 32, precision: float32, checkpoint_seconds: 0}
experiments:
  - {model: tiny-bert, task: emotion, techniques: [{name: full, learning_rate: 1e-3}, tfidf]}
"""
LONG_STUDY = """
name: killed
training: {epochs: 2, batch_size: 16, precision: float32, checkpoint_seconds: 0}
experiments:
  - {model: tiny-bert, task: emotion, techniques: [{name: full, learning_rate: 1e-3}, lora, adalora, tfidf, embedding]}
  - {model: tiny-bert, task: ner, techniques: [{name: freeze, learning_rate: 1e-3}, tfidf]}
"""
KILLS_PER_STUDY = 12


@pytest.fixture(scope="module")
def started() -> Iterator[Commands]:
    with commands() as process:
        yield process


class Study:
    """`tunebench run` on a study in a folder of its own."""

    def __init__(self, folder: Path, text: str, backbone: Path, data_root: Path):
        self.folder, self.out = folder, folder / "out"
        folder.mkdir()
        (folder / "study.yaml").write_text(text)
        self.arguments = ["run", "study.yaml", "--out", "out", "--model", f"tiny-bert={backbone}",
                          "--data-root", str(data_root)]  # fmt: skip
        self.runs = [self.out / "runs" / run.id for run in read_study(str(folder / "study.yaml"))[0].runs()]

    def command(self, workers: int) -> list[str]:
        return [*self.arguments, "--workers", str(workers)]

    def done(self) -> dict[str, tuple[int, bytes]]:
        """The runs that are done, with the time and content of what says so."""
        finished = [run for run in self.runs if isinstance(read_result(run), Done)]
        return {run.name: ((run / "result.json").stat().st_mtime_ns, digest(run / "result.json")) for run in finished}

    def figures(self) -> dict[str, Any]:
        """Everything of the results except what a clock, or a record of the kills, says."""
        return {run.name: figures_of(read_result(run)) for run in self.runs}

    def files(self) -> list[str]:
        paths = [path.relative_to(self.out).as_posix() for path in self.out.rglob("*") if path.is_file()]
        return sorted(path for path in paths if not path.startswith("worker-"))


def digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def figures_of(result: Any) -> dict[str, Any]:
    assert isinstance(result, Done), result
    content = result.model_dump(exclude={"cost", "environment"})
    content["history"] = [{**epoch, "seconds": 0} for epoch in content["history"]]
    return {**content, "steps": result.cost.steps, "tokens": result.cost.train_tokens}


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
        if code == 0:
            return struck
        assert strike or code == 1, (study.folder / "log").read_text()


@pytest.fixture(scope="module")
def references(
    started: Commands, backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Study, float]]:
    """Studies that nobody killed, made when they are asked for, and how long each took."""
    made: dict[str, tuple[Study, float]] = {}

    class Made(dict[str, tuple[Study, float]]):
        def __missing__(self, text: str) -> tuple[Study, float]:
            folder = tmp_path_factory.mktemp("whole") / "study"
            study, begin = Study(folder, text, backbones["bert"], data_root), time.monotonic()
            started.start(study.command(1), study.folder)
            assert started.end() == 0, (folder / "log").read_text()
            self[text] = study, time.monotonic() - begin
            return self[text]

    return Made(made)


@doses(3, 100)
def test_a_killed_study_ends_with_the_bits_of_one_that_nobody_killed(
    dose: int,
    started: Commands,
    references: dict[str, tuple[Study, float]],
    backbones: dict[str, Path],
    data_root: Path,
    tmp_path: Path,
) -> None:
    text = STUDY if dose < 10 else LONG_STUDY
    whole, seconds = references[text]
    struck = 0
    for number, draw in enumerate(draws(dose)):
        study = Study(tmp_path / f"killed-{number}", text, backbones["bert"], data_root)
        struck += interrupted(study, started, draw, min(KILLS_PER_STUDY, dose - struck), 0.7 * seconds)
        assert study.figures() == whole.figures()
        assert study.files() == whole.files()
        if struck >= dose:
            break
    print(f"{struck} kills in {number + 1} studies")  # noqa: T201
    assert struck >= min(dose, 2)
