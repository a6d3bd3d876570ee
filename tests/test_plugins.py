"""Plugins: an installed distribution adds a technique, a task, a metric and a family through entry points."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import make_backbone

FILES = {
    "__init__": "",
    "biases": '''
"""BitFit: the biases train."""

from pydantic import Field

from tunebench.techniques.base import Trained, train


class Biases(Trained):
    """The biases and the head train (Ben Zaken et al. 2022)."""

    name = "biases"
    title = "Biases only"
    paper = "Ben Zaken et al. 2022, BitFit, https://aclanthology.org/2022.acl-short.1"

    learning_rate: float = Field(1e-3, gt=0, le=1, description="the paper's")

    def apply(self, model, family, total_steps):
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.endswith("bias")
        train(family.head(model))
        return model
''',
    "moods": '''
"""The emotion data under another name."""

from tunebench.tasks.built_in import emotion

moods = emotion.emotion.model_copy(
    update={"name": "moods", "title": "Moods", "metrics": ("accuracy", "error_rate")}
)
''',
    "error_rate": '''
"""The share of wrong classes."""

import numpy as np

from tunebench.evaluation.metrics.base import Metric, ratio


def _statistics(predictions, references):
    wrong = [p != r for p, r in zip(predictions, references, strict=True)]
    return np.stack([np.asarray(wrong, float), np.ones(len(wrong))], axis=-1)


ERROR_RATE = Metric(
    name="error_rate",
    title="Error rate",
    form="class",
    unit="share",
    higher_is_better=False,
    compute=lambda predictions, references: float(_statistics(predictions, references)[:, 0].mean()),
    statistics=_statistics,
    combine=ratio,
    source="1 - accuracy",
)
''',
    "ernie": '''
"""ERNIE (Sun et al. 2019), of BERT's shape."""

from tunebench.families.bert import Bert


class Ernie(Bert):
    """BERT with an embedding of the pretraining task."""

    name = "ernie"
    title = "ERNIE"
    model_types = ("ernie",)
    shapes = {}
''',
}
ENTRY_POINTS = """
[tunebench.techniques]
biases = tiny_plugin.biases

[tunebench.tasks]
moods = tiny_plugin.moods

[tunebench.metrics]
error_rate = tiny_plugin.error_rate

[tunebench.families]
ernie = tiny_plugin.ernie
"""


def install(folder: Path, files: dict[str, str] = FILES, entry_points: str = ENTRY_POINTS) -> None:
    """Writes what `pip install tiny-plugin` would: a package and its metadata."""
    package, metadata = folder / "tiny_plugin", folder / "tiny_plugin-0.1.dist-info"
    for made in (package, metadata):
        made.mkdir(parents=True)
    for name, text in files.items():
        (package / f"{name}.py").write_text(text.lstrip())
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text(entry_points)


def tunebench(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with the plugin installed."""
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "tunebench", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_study_runs_with_an_installed_plugins_technique_task_metric_and_family(
    data_root: Path, tmp_path: Path
) -> None:
    install(tmp_path / "site")
    model = make_backbone(tmp_path / "ernie", "ernie")
    study = tmp_path / "study.yaml"
    study.write_text(
        "name: plugged\ntraining: {epochs: 1, precision: float32}\n"
        f"experiments:\n  - {{model: {model}, task: moods, techniques: [biases]}}\n"
    )
    out = tmp_path / "out"
    done = tunebench(tmp_path / "site", "run", study, "--out", out, "--data-root", data_root, "--workers", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = [json.loads(path.read_text()) for path in out.glob("runs/*/result.json")]
    assert result["status"] == "done"
    assert [result["run"][key] for key in ("family", "task", "technique")] == ["ernie", "moods", "biases"]
    test = result["metrics"]["test"]
    assert test["error_rate"] == pytest.approx(1 - test["accuracy"])
    assert result["intervals"]["error_rate"] is not None
    assert 0 < result["parameters"]["technique"] < 0.05 * result["parameters"]["total"]


def test_a_plugins_entries_are_listed_and_shown_without_a_guide(tmp_path: Path) -> None:
    install(tmp_path)
    listed = tunebench(tmp_path, "list", "techniques")
    assert "biases" in listed.stdout
    shown = tunebench(tmp_path, "show", "biases")
    assert shown.returncode == 0, shown.stderr
    assert "Ben Zaken" in shown.stdout
    assert "learning_rate" in shown.stdout
    assert "Use it when" not in shown.stdout


@pytest.mark.parametrize(
    ("files", "entry_points", "message"),
    [
        ({}, "[tunebench.techniques]\nlora = tiny_plugin.biases\n", "tunebench.techniques.lora has this name already"),
        (
            {"biases": "import nowhere"},
            ENTRY_POINTS,
            "it cannot be imported (ModuleNotFoundError: No module named 'nowhere')",
        ),
        ({"biases": "x = 1"}, ENTRY_POINTS, "it defines 0 of Entry, where one module defines one"),
        (
            {},
            "[tunebench.techniques]\nbitfit = tiny_plugin.biases\n",
            "it is registered as 'bitfit', but defines 'biases'; use one name",
        ),
    ],
    ids=["taken", "broken", "empty", "misnamed"],
)
def test_a_plugin_that_cannot_be_used_is_refused_by_name(
    files: dict[str, str], entry_points: str, message: str, tmp_path: Path
) -> None:
    install(tmp_path, {**FILES, **files}, entry_points)
    refused = tunebench(tmp_path, "list", "techniques")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert message in refused.stderr
    assert "plugin of tiny-plugin 0.1, entry point tunebench.techniques: " in refused.stderr
    assert "pip uninstall tiny-plugin" in refused.stderr
    assert "Traceback" not in refused.stderr
