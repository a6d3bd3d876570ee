"""What the campaigns of commands share: the process that starts them, and studies that nothing disturbed."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.commands import Commands, commands
from tests.campaigns.small_study import NewStudy, Study


@pytest.fixture(scope="session")
def started() -> Iterator[Commands]:
    with commands() as process:
        yield process


@pytest.fixture(scope="session")
def whole_studies(
    started: Commands, backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Study, float]]:
    """A study's text -> the study as it is made when it is first asked for, and how many seconds that took."""

    class Made(dict[str, tuple[Study, float]]):
        def __missing__(self, text: str) -> tuple[Study, float]:
            folder = tmp_path_factory.mktemp("whole") / "study"
            study, begin = Study(folder, text, backbones["bert"], data_root), time.monotonic()
            started.start(study.command(1), study.folder)
            assert started.end() == 0, (folder / "log").read_text()
            self[text] = study, time.monotonic() - begin
            return self[text]

    return Made()


@pytest.fixture
def new_study(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> NewStudy:
    return lambda name, text: Study(tmp_path / name, text, backbones["bert"], data_root)
