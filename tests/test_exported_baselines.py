"""An exported baseline answers as its run does, in a process that has no tunebench and no scikit-learn."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from tests.contracts.runs import make, make_run
from tests.faults import flip, full_disk
from tunebench._util.errors import UserError
from tunebench.serve import exported_baseline
from tunebench.serve.finished import FinishedRun, export

TEXTS = ["i feel so happy today", "Gloomy, gloomy: I am!", "", "नमस्ते and 日本語", "John met United Motors in London ."]
ALONE = """
import json, sys
for name in ("tunebench", "sklearn", "scipy", "pandas"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
from answers import load
print(json.dumps(load(sys.argv[1]).predict(*json.loads(sys.argv[2]))))
"""
PAIR = {"objective": "sequence_classification", "columns": {"text": "a", "pair": "b"}}
SEVERAL = {"objective": "multi_label_classification"}
CASES: dict[str, tuple[str, Any, Any]] = {
    "tfidf of classes": ("bert", "emotion", "tfidf"),
    "tfidf of scores of pairs": ("bert", "similarity", "tfidf"),
    "tfidf of tags": ("bert", "ner", "tfidf"),
    "tfidf of classes of pairs": ("bert", "pairs", "tfidf"),
    "tfidf of several labels": ("bert", "several", "tfidf"),
    "embedding of classes": ("bert", "emotion", "embedding"),
    "embedding of pairs": ("gpt2", "similarity", {"name": "embedding", "pair": "all"}),
    "embedding by an encoder-decoder": ("t5", "emotion", "embedding"),
    "cosine": ("bert", "similarity", "cosine"),
    "cosine of classes": ("bert", "pairs", "cosine"),
}


def task_of(name: str, folder: Path) -> Any:
    """A built-in task, or one of a file that is written here."""
    if name not in ("pairs", "several"):
        return name
    words = ["happy", "sad", "angry"]
    rows = [
        {"a": f"i feel {words[n % 3]} today", "b": f"i am {words[n % 2]}", "label": "yes" if n % 3 == n % 2 else "no"}
        for n in range(48)
    ]
    if name == "several":
        rows = [
            {"text": f"{row['a']} {row['b']}", "labels": [words[n % 3], words[n % 2]]} for n, row in enumerate(rows)
        ]
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {**(PAIR if name == "pairs" else SEVERAL), "name": name, "data": str(path)}


def alone(folder: Path, *texts: Any) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", ALONE, str(folder), json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def made(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> Callable[..., FinishedRun]:
    def run(kind: str, task: str, technique: Any) -> FinishedRun:
        make(make_run(backbones[kind], data_root, task_of(task, tmp_path), technique), tmp_path / "run")
        return FinishedRun.load(tmp_path / "run")

    return run


FULL = (
    "cosine",
    "tfidf of classes of pairs",
    "embedding of pairs",
    "embedding by an encoder-decoder",
    "cosine of classes",
)


@pytest.mark.parametrize("case", [pytest.param(c, marks=[pytest.mark.full] if c in FULL else []) for c in CASES])
def test_an_exported_baseline_answers_alone_as_its_run_does(
    case: str, made: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    finished = made(*CASES[case])
    finished.export(tmp_path / "model")
    texts = TEXTS if "embedding" not in case and "cosine" not in case else ["i feel so happy today", "john is here"]
    given: list[Any] = [texts, texts[1:] + texts[:1]] if "pair" in case or "cosine" in case else [texts]
    answers = alone(tmp_path / "model", *given)
    examples = [
        finished.run.task.asked(*pair) for pair in zip(texts, given[-1] if len(given) > 1 else texts, strict=True)
    ]
    labels = finished.done.data.labels
    ours = [
        finished.run.task.answered(text, answer, detail, labels)
        for text, answer, detail in zip(texts, *finished.answers(examples), strict=True)
    ]
    for one, other in zip(ours, answers, strict=True):
        assert {key: one[key] for key in one.keys() - {"text", "tokens", "scores", "score"}} == {
            key: other[key] for key in other.keys() - {"scores", "score"}
        }
        assert exported_baseline._agree(one, other)
        if "scores" in one and isinstance(one["scores"], dict):
            assert one["scores"] == pytest.approx(other["scores"], abs=1e-6 if "tfidf" in case else 1e-4)


def test_the_code_on_the_card_of_an_exported_baseline_runs(made: Callable[..., FinishedRun], tmp_path: Path) -> None:
    finished = made("bert", "similarity", "tfidf")
    finished.export(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert f"{finished.done.main_metric.value:.4f}" in card
    assert "answers without tunebench. It needs numpy and safetensors." in card
    code = card.split("```python\n")[1].split("```")[0] + "print(answers)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "model", capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("[{'score': ")


@pytest.mark.parametrize(
    ("kind", "task", "technique", "reason"),
    [
        ("t5", "summarization", "lead3", "lead3 has learned nothing: it copies the first 3 sentences of a text."),
        ("gpt2", "emotion", "zero_shot", "zero_shot has learned nothing: it is the pretrained model as it comes."),
    ],
)
def test_a_baseline_that_has_learned_nothing_is_not_exported(
    kind: str, task: str, technique: str, reason: str, made: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    finished = made(kind, task, technique)
    with pytest.raises(UserError) as caught:
        finished.export(tmp_path / "model")
    assert str(caught.value) == f"{tmp_path / 'run'}: {reason} Answer with 'tunebench predict'."
    assert not (tmp_path / "model").exists()


def test_a_baseline_that_would_answer_otherwise_is_not_exported(
    made: Callable[..., FinishedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = made("bert", "emotion", "tfidf")
    copy = exported_baseline.shutil.copyfile

    def changed(source: Any, target: Path) -> None:
        copy(source, target)
        if target.name == "tfidf.safetensors":
            numbers = load_file(target)
            save_file({**numbers, "bias": numbers["bias"] + [0, 0, 0.1, 0, 0, 0]}, target)

    monkeypatch.setattr(exported_baseline.shutil, "copyfile", changed)
    with pytest.raises(
        UserError, match="nothing was written, as the exported baseline does not answer as the run does"
    ):
        finished.export(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_damaged_baseline_and_a_full_disk_export_nothing(made: Callable[..., FinishedRun], tmp_path: Path) -> None:
    finished = made("bert", "emotion", "embedding")
    with full_disk(20_000), pytest.raises(UserError, match=r"nothing was written \(File too large"):
        finished.export(tmp_path / "model")
    flip(tmp_path / "run" / "linear.safetensors")
    with pytest.raises(UserError, match=r"linear\.safetensors: it is damaged or missing"):
        export(tmp_path / "run", tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
