"""Tiny backbones and data, made once a session, without a network."""

import gc
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.records import study  # noqa: F401  (a fixture)
from tests.tiny import make_backbone, write_data_root
from tunebench._util import drawing

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
ENCODER_DECODERS = ("t5", "transformer")
KINDS = ("bert", "fresh_pooler", "roberta", "electra", "distilbert", "modernbert", "gpt2", "llama", "qwen3", "gpt_neox")


def pytest_collection() -> None:
    """Imports make no garbage: looking for some takes seconds."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def settled() -> None:
    """What is there before the tests of a module is no garbage: each run would look for some in it, 0.3 s long."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind -> folder: BERT with a trained pooler, BERT with one that was never trained, other encoders, decoders."""
    from safetensors.numpy import load_file, save_file

    root = tmp_path_factory.mktemp("backbones")
    folders = {
        kind: make_backbone(root / kind, "bert" if kind == "fresh_pooler" else kind)
        for kind in (*KINDS, *ENCODER_DECODERS)
    }
    weights = load_file(folders["bert"] / "model.safetensors")
    weights["pooler.dense.bias"] = weights["pooler.dense.bias"] + 0.01
    save_file(weights, folders["bert"] / "model.safetensors", metadata={"format": "pt"})
    return folders


@pytest.fixture(scope="session", autouse=True)
def brief_latency() -> Iterator[None]:
    """Latency is measured over three calls per run: there are hundreds of runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunebench.engine.latency._SECONDS", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def drawings(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[None]:
    """What is drawn is kept for all processes of these tests, and not in the cache folder of whoever tests."""
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(drawing.FOLDER, str((folder if worker_id == "master" else folder.parent) / "cache"))
        yield


@pytest.fixture
def drawn_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is kept of what was drawn before."""
    monkeypatch.setenv(drawing.FOLDER, str(tmp_path / "nothing drawn"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are empty pictures: `test_report.py`, `test_page.py` and others test what Vega makes of them."""

    def answered(text: str) -> "Future[str]":
        answer: Future[str] = Future()
        answer.set_result(text)
        return answer

    def svg(spec: dict[str, Any]) -> "Future[str]":
        json.dumps(spec)
        return answered('<svg class="marks"></svg>')

    monkeypatch.setattr("tunebench._util.drawing.svg", svg)
    monkeypatch.setattr("tunebench._util.drawing.javascript", lambda snippet: answered(snippet))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands make runs and take times in this process: `test_run.py`, `test_time.py` and others start workers."""
    from tests.in_process import Here, turns_here

    monkeypatch.setattr("tunebench.run.executors.local.Local", Here)
    monkeypatch.setattr("tunebench.advise.prices.turns_of", turns_here)
    monkeypatch.setattr("tunebench.run.pace._LOOK", 0.01)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in tasks' data, small and learnable."""
    return write_data_root(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real data beside the project; the test is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("the real data folder is not there")
    return REAL_DATA
