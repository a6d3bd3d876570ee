"""Disks that become full anywhere: one message and everything kept; with room again, the bits of a study with room."""

import math
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.campaigns import assert_brief, doses, draws
from tests.campaigns.commands import Commands
from tests.campaigns.small_study import STUDY, NewStudy, Study


def between(draw: Random, least: int, most: int) -> int:
    """Small sizes as often as large ones."""
    return int(math.exp(draw.uniform(math.log(least), math.log(most))))


def attempt(study: Study, started: Commands, draw: Random, room: int | None) -> int:
    """Run the study; says the exit code after one message, or none."""
    before = study.done()
    started.start(study.command(draw.choice([1, 2])), study.folder, room)
    code, log = started.end(), (study.folder / "log").read_text()
    assert code in (0, 2), log
    assert "Traceback" not in log, log
    messages = [line for line in log.splitlines() if line.startswith("tunebench: ")]
    if code:
        assert len(messages) == 1, log
        assert_brief(messages[0])
        assert "No space left" in messages[0] or "File too large" in messages[0], messages
    assert not started.left()
    assert before.items() <= study.done().items(), "a run that was done was made again, or lost"
    return code


def end_with_room(study: Study, whole: Study, started: Commands, draw: Random) -> None:
    assert attempt(study, started, draw, None) == 0
    assert study.figures() == whole.figures()
    assert study.files() == whole.files()


@doses(1, 60)
def test_files_that_cannot_grow_end_a_study_in_one_message_and_it_goes_on(
    dose: int, started: Commands, whole_studies: dict[str, tuple[Study, float]], new_study: NewStudy
) -> None:
    whole, _ = whole_studies[STUDY]
    largest = max(path.stat().st_size for path in whole.out.rglob("*") if path.is_file())
    codes = Counter[int]()
    for number, draw in enumerate(draws(dose)):
        study = new_study(f"limited-{number}", STUDY)
        codes[attempt(study, started, draw, between(draw, 50, largest if number else largest // 2))] += 1
        end_with_room(study, whole, started, draw)
    assert codes[2]


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of so many bytes at a folder; the test is skipped where this machine lets nobody mount one."""
    folder.mkdir()
    if mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder):
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mounted(*options: object) -> int:
    try:
        return subprocess.run(["mount", *map(str, options)], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 127


@doses(1, 40)
def test_a_full_disk_ends_a_study_in_one_message_and_it_goes_on(
    dose: int, started: Commands, whole_studies: dict[str, tuple[Study, float]], new_study: NewStudy
) -> None:
    whole, _ = whole_studies[STUDY]
    needed = sum(path.stat().st_size for path in whole.out.rglob("*") if path.is_file())
    codes = Counter[int]()
    for number, draw in enumerate(draws(dose)):
        study = new_study(f"small-{number}", STUDY)
        with small_disk(study.out, between(draw, 20_000, needed)):
            codes[attempt(study, started, draw, None)] += 1
            assert not mounted("-o", "remount,size=64m", study.out)
            end_with_room(study, whole, started, draw)
    assert codes[2]
