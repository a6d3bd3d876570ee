"""A study of a tiny model, made by the command line in a folder of its own."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunebench.records import Done, read_result
from tunebench.study import read_study

STUDY = """
name: killed
training: {epochs: 2, batch_size: 32, precision: float32, checkpoint_seconds: 0}
experiments:
  - {model: tiny-bert, task: emotion, techniques: [{name: full, learning_rate: 1e-3}, tfidf]}
"""


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


NewStudy = Callable[[str, str], Study]
"""Makes a study that has not begun, of a name and a text."""


def digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def figures_of(result: Any) -> dict[str, Any]:
    assert isinstance(result, Done), result
    content = result.model_dump(exclude={"cost", "environment"})
    content["history"] = [{**epoch, "seconds": 0} for epoch in content["history"]]
    return {**content, "steps": result.cost.steps, "tokens": result.cost.train_tokens}
