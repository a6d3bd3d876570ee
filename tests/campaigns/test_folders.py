"""Damaged folders: a report is made or refused in a line; a run answers as before or names the damaged file."""

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import assert_brief, doses, draws
from tests.contracts.runs import make, make_run
from tests.faults import damage
from tests.records import done, failed, not_applicable, paused, run_info, write_study
from tunebench._util.errors import UserError, message_of
from tunebench.report import build, build_rescored
from tunebench.serve.finished import FinishedRun

TEXTS = ["i feel so happy today", "i am sad"]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder with runs of every status, answers, and a report."""
    draw, labels = random.Random(0), ["joy", "anger", "fear"]
    results = [done(name, 0.5 + 0.1 * seed, seed) for name in ("full", "lora", "tfidf") for seed in (0, 1)]
    gold = [draw.choice(labels) for _ in range(40)]
    answers: dict[str, list[dict[str, Any]]] = {
        result.run.id: [
            {"input": f"text {n}", "prediction": draw.choice([truth, *labels]), "reference": truth, "scores": None}
            for n, truth in enumerate(gold)
        ]
        for result in results
    }
    others = (failed("ia3", "it broke"), not_applicable("crf", "no tags"), paused("dora", "1 of 2 epochs"))
    folder = tmp_path_factory.mktemp("reported")
    return write_study(folder, *results, *others, pending=(run_info("full", 7),), answers=answers)


@doses(6, 100)
def test_a_damaged_study_gives_a_report_or_one_line(dose: int, reported: Path, tmp_path: Path) -> None:
    read = [path for path in reported.rglob("*") if path.suffix in (".json", ".jsonl", ".yaml") and path.is_file()]
    read = [path.relative_to(reported) for path in read if path.name != "results.json"]
    outside = tmp_path / "outside.json"
    ends = Counter[str]()
    for draw in draws(dose):
        out = shutil.copytree(reported, tmp_path / "studies" / "out")
        for path in draw.sample(read, draw.choice([1, 1, 2])):
            damage(out / path, draw)
        try:
            page = (build_rescored(out)[0] if draw.random() < 0.4 else build(out)).read_text("utf-8")
            assert "</html>" in page
            ends["report"] += 1
        except UserError as error:
            assert_brief(message_of(error))
            ends["refused"] += 1
        assert not outside.exists()
        assert [path.name for path in (tmp_path / "studies").iterdir()] == ["out"]
        shutil.rmtree(out)
    assert ends["report"]


@pytest.fixture(scope="module", params=["lora", "tfidf"])
def answered(
    request: pytest.FixtureRequest,
    backbones: dict[str, Path],
    data_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[dict[str, Any]]]:
    """A finished run's folder, and its answers to `TEXTS`."""
    folder = tmp_path_factory.mktemp("run")
    make(make_run(backbones["bert"], data_root, "emotion", request.param, epochs=1), folder)
    return folder, FinishedRun.load(folder).predict(TEXTS)


@doses(8, 100)
def test_a_damaged_run_answers_as_before_or_names_what_is_damaged(
    dose: int, answered: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    run, before = answered
    kept = ["run.json", "result.json", *(path.name for path in run.iterdir() if path.suffix == ".safetensors")]
    kept += [name for name in ("terms.json",) if (run / name).exists()]
    for draw in draws(dose):
        folder = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("cache"))
        name = draw.choice(kept)
        damage(folder / name, draw)
        try:
            answers = FinishedRun.load(folder).predict(TEXTS)
            if name not in ("run.json", "result.json"):  # whose figures and settings have no digest
                assert answers == before
        except UserError as error:
            assert_brief(message_of(error))
            assert str(folder) in str(error) or name in ("run.json", "result.json")
        shutil.rmtree(folder)
