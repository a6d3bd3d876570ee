"""What holds for every run that is served: its answers are those of `predict`, alone and beside any others."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import CELLS, make, make_run
from tests.contracts.test_techniques import BASELINES, TRAINED, choice, reason
from tunebench.serve.backbones import Backbones
from tunebench.serve.finished import FinishedRun
from tunebench.serve.mixed import answer
from tunebench.serve.served import Inquiry, Served
from tunebench.serve.trunk import SharedTrunk

TEXTS: dict[str, tuple[list[str], list[str] | None]] = {
    "emotion": (["i feel so happy", "i am really very gloomy today and lonely again", "furious"], None),
    "ner": (["John Johnson met Reuters in New York .", "maria won"], None),
    "similarity": (["a man is playing", "the dog is reading outside"], ["the man is never playing", "a dog"]),
    "instruction": (["the man is playing .", "the dog is eating ."], ["today", ""]),
    "question_answering": (["is outside", "is in london"], ["maria is outside .", "john johnson is in london ."]),
    "summarization": (["The man is playing today. The dog is reading a book.", "The woman is eating."], None),
}
SOME = [  # one backbone with every depth at which a task can leave it, and one of each other shape
    *(("bert", "emotion", name) for name in ("classifier_head", "lora", "freeze", "prefix_tuning", "tfidf")),
    ("bert", "ner", "classifier_head"),
    ("gpt2", "emotion", "lora"),
    ("t5", "emotion", "freeze"),
]
ALL = [
    (kind, task, name)
    for name in [*TRAINED, "untuned", *BASELINES]
    for kind, task in CELLS
    if not reason(name, kind, task)
]
Cell = tuple[str, str, str]


@pytest.fixture(scope="module")
def run_of(
    backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Cell], Path]:
    """A cell's finished run, made at its first use."""
    made: dict[Cell, Path] = {}
    cache = tmp_path_factory.mktemp("cache")

    def run_of(cell: Cell) -> Path:
        if cell not in made:
            kind, task, technique = cell
            folder = tmp_path_factory.mktemp("run")
            make(make_run(backbones[kind], data_root, task, choice(technique), epochs=1), folder, cache=cache)
            made[cell] = folder
        return made[cell]

    return run_of


def served_by(folders: Sequence[Path]) -> list[Served]:
    shared = Backbones(torch.device("cpu"))
    return [Served(FinishedRun.load(folder, backbones=shared), shared) for folder in folders]


def asked(cells: Sequence[Cell], runs: Sequence[Served]) -> list[list[dict[str, Any]]]:
    """The answers of all runs, each group's rows in one batch."""
    questions = [Inquiry(run, *TEXTS[task]) for (_, task, _), run in zip(cells, runs, strict=True)]
    groups: dict[object, list[tuple[Inquiry, int]]] = {}
    for question in questions:
        groups.setdefault(question.served.group, []).extend((question, row) for row in range(len(question.lengths)))
    for rows in groups.values():
        assert answer(rows).failed == []
    return [question.answers() for question in questions]


def same(ours: Any, theirs: Any) -> bool:
    """Equal, numbers within 1e-5: a row's last bits depend on the rows beside it."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(value, theirs[key]) for key, value in ours.items())
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return math.isclose(ours, theirs, rel_tol=1e-5, abs_tol=1e-5) if isinstance(ours, float) else ours == theirs


def test_every_technique_is_tried_in_a_mixture() -> None:
    assert {name for _, _, name in ALL} == {*TRAINED, *BASELINES, "untuned"}


def check_mixture(cells: Sequence[Cell], run_of: Callable[[Cell], Path]) -> None:
    runs = served_by([run_of(cell) for cell in cells])
    for cell, got in zip(cells, asked(cells, runs), strict=True):
        assert same(got, FinishedRun.load(run_of(cell)).predict(*TEXTS[cell[1]])), cell


def check_alone(cell: Cell, run_of: Callable[[Cell], Path]) -> None:
    assert asked([cell], served_by([run_of(cell)])) == [FinishedRun.load(run_of(cell)).predict(*TEXTS[cell[1]])]


def test_a_mixture_gives_each_task_the_answers_of_its_own_run(run_of: Callable[[Cell], Path]) -> None:
    check_mixture(SOME, run_of)


@pytest.mark.full
def test_a_mixture_of_everything_gives_the_answers_of_each_run(run_of: Callable[[Cell], Path]) -> None:
    check_mixture(ALL, run_of)


@pytest.mark.parametrize("cell", SOME, ids="-".join)
def test_a_run_that_is_served_alone_answers_bit_for_bit(cell: Cell, run_of: Callable[[Cell], Path]) -> None:
    check_alone(cell, run_of)


@pytest.mark.full
@pytest.mark.parametrize("cell", [cell for cell in ALL if cell not in SOME], ids="-".join)
def test_every_run_that_is_served_alone_answers_bit_for_bit(cell: Cell, run_of: Callable[[Cell], Path]) -> None:
    check_alone(cell, run_of)


def test_runs_on_one_backbone_share_its_memory(run_of: Callable[[Cell], Path]) -> None:
    head, tags, lora = (
        run_of(cell)
        for cell in (
            ("bert", "emotion", "classifier_head"),
            ("bert", "ner", "classifier_head"),
            ("bert", "emotion", "lora"),
        )
    )
    shared = Backbones(torch.device("cpu"))
    models = [FinishedRun.load(folder, backbones=shared).model for folder in (head, tags, lora)]
    frozen = [{id(p) for p in model.parameters() if not p.requires_grad} for model in models]
    assert frozen[1] == frozen[0] & frozen[1]  # tagging has no pooler
    assert frozen[2] - frozen[0] == {id(p) for name, p in models[2].named_parameters() if "original_module" in name}
    assert len({id(run.trunk) for run in served_by([head, tags, lora])}) == 1


def test_a_text_that_several_tasks_are_asked_passes_the_trunk_once(
    run_of: Callable[[Cell], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [("bert", "emotion", name) for name in ("classifier_head", "freeze", "lora")]
    passed: list[tuple[int, dict[int, int], int]] = []
    real = SharedTrunk.states

    def states(trunk: SharedTrunk, inputs: Any, rows: Any, adapters: Any) -> Any:
        passed.append((len(inputs["input_ids"]), dict(rows), len(adapters)))
        return real(trunk, inputs, rows, adapters)

    monkeypatch.setattr(SharedTrunk, "states", states)
    asked(cells, served_by([run_of(cell) for cell in cells]))
    assert passed == [(6, {3: 6, 5: 6}, 3)]  # with LoRA in it, a text passes once more, in the same batch


@pytest.mark.parametrize(("kind", "task"), [("bert", "ner"), pytest.param("t5", "emotion", marks=pytest.mark.full)])
def test_loras_of_other_ranks_and_targets_pass_the_trunk_together(
    kind: str, task: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    settings = [
        {"rank": 2, "targets": ["query", "mlp_out"]},
        {"rank": 5, "alpha": 7},
        {"rank": 1, "targets": ["value"]},
    ]
    for number, one in enumerate(settings):
        choice = {"name": "lora", "learning_rate": 0.1, **one}
        make(make_run(backbones[kind], data_root, task, choice, epochs=1), tmp_path / str(number))
    folders = [tmp_path / str(number) for number in range(2)]
    runs = served_by(folders)
    assert [run.depth for run in runs] == [5, 5]
    got = asked([(kind, task, "lora")] * 2, runs)
    expected = [FinishedRun.load(folder).predict(*TEXTS[task]) for folder in folders]
    assert all(map(same, got, expected))
    assert not same(got[0], got[1])


def test_a_run_whose_outputs_are_not_finite_fails_alone(run_of: Callable[[Cell], Path]) -> None:
    cells = [("bert", "emotion", "classifier_head"), ("bert", "emotion", "freeze")]
    good, bad = (Inquiry(run, ["i feel happy"]) for run in served_by([run_of(cell) for cell in cells]))
    with torch.no_grad():
        bad.served._network.classifier.weight.fill_(torch.nan)
    ((row, error),) = answer([(good, 0), (bad, 0)]).failed
    assert row == (bad, 0)
    assert "not finite" in str(error)
    assert good.complete and not bad.complete
