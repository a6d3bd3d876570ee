"""Every check of the report catches the mistake that is planted for it, and raises nothing on sound runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.records import Write, answers_in, done
from tunebench.records import Done, Epoch
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.study import read_study
from tunebench.report.stats.checks import checks
from tunebench.report.stats.paired import paired

GOLD = ["joy", "fear"] * 100
MIXED = ["joy" if n % 3 else "fear" for n in range(200)]


def write(folder: Path, result: Done, answers: list[Any]) -> Done:
    path = folder / "runs" / result.run.id / "predictions.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": n, "prediction": p, "reference": r} for n, (p, r) in enumerate(zip(answers, GOLD, strict=True))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return result


def with_history(result: Done, scores: list[float], epochs: int, patience: int = 3, **training: Any) -> Done:
    history = [
        Epoch(epoch=n + 1, train_loss=1.0, validation={"accuracy": s}, seconds=1.0) for n, s in enumerate(scores)
    ]
    settings = {"epochs": epochs, "batch_size": 16, "warmup_fraction": 0.06, "patience": patience, **training}
    best = scores.index(max(scores)) + 1
    return result.model_copy(
        update={
            "history": history,
            "best_epoch": best,
            "run": result.run.model_copy(update={"training": settings}),
            "cost": result.cost.model_copy(update={"epochs": len(scores)}),
        }
    )


def codes(out: Path) -> list[str]:
    (comparison,) = comparisons(read_study(out))
    return [code for code, *_ in checks(comparison, paired(comparison, answers_in(out)), answers_in(out))]


SETTLED = [0.4, 0.8, 0.8]


@pytest.fixture
def sound(tmp_path: Path) -> list[Done]:
    """Two techniques without a mistake."""
    full = with_history(done("full", 0.9), SETTLED, 3)
    lora = with_history(done("lora", 0.5), SETTLED, 3)
    return [write(tmp_path, full, GOLD), write(tmp_path, lora, MIXED)]


def test_sound_runs_raise_nothing(study: Write, sound: list[Done]) -> None:
    assert codes(study(*sound)) == []


@pytest.mark.parametrize("answer", ["joy", "", "the the the"])
def test_one_answer_to_everything_is_caught(
    answer: str,
    study: Write,
    sound: list[Done],
    tmp_path: Path,
) -> None:
    constant = write(tmp_path, with_history(done("freeze", 0.5), SETTLED, 3), [answer] * 200)
    out = study(*sound, constant)
    assert codes(out) == ["constant_answer"]
    assert "200 of 200 test answers are “" in (out / "report.md").read_text()


def test_a_curve_that_still_rises_is_caught(study: Write, sound: list[Done], tmp_path: Path) -> None:
    rising = write(tmp_path, with_history(done("freeze", 0.5), [0.4, 0.6, 0.8], 3), MIXED)
    assert "still_rising" in codes(study(*sound, rising))


def test_an_early_stop_within_the_warm_up_is_caught(
    study: Write,
    sound: list[Done],
    tmp_path: Path,
) -> None:
    stopped = with_history(done("freeze", 0.5), [0.5, 0.4, 0.4, 0.4], 40, warmup_fraction=0.1)
    caught = codes(study(*sound, write(tmp_path, stopped, MIXED)))
    assert "stopped_in_warmup" in caught
    assert "unequal_budgets" in caught


def test_weights_that_never_moved_are_caught(study: Write, sound: list[Done], tmp_path: Path) -> None:
    untuned = done("untuned", 0.5, trainable=0)
    guess = ["fear" if n % 5 else "joy" for n in range(200)]
    same = with_history(done("freeze", 0.5), SETTLED, 3)
    untuned = untuned.model_copy(
        update={"run": sound[0].run.model_copy(update=dict(untuned.run) | {"training": sound[0].run.training})}
    )
    out = study(*sound, write(tmp_path, untuned, guess), write(tmp_path, same, guess))
    (comparison,) = comparisons(read_study(out))
    findings = checks(comparison, None, answers_in(out))
    assert [(code, label, seed) for code, _, label, seed in findings] == [("unmoved", "freeze", 0)]


def test_unequal_budgets_are_caught(study: Write, sound: list[Done], tmp_path: Path) -> None:
    longer = write(tmp_path, with_history(done("freeze", 0.5), [0.4, 0.8, 0.8, 0.8, 0.8], 5), MIXED)
    out = study(*sound, longer)
    assert "unequal_budgets" in codes(out)
    assert "The budgets of the techniques differ in epochs." in (out / "report.md").read_text()


def test_an_unequal_stopping_rule_is_caught(study: Write, sound: list[Done], tmp_path: Path) -> None:
    sampled = write(tmp_path, with_history(done("freeze", 0.5), SETTLED, 3, validation_rows=50), MIXED)
    out = study(*sound, sampled)
    assert "unequal_budgets" in codes(out)
    assert "The budgets of the techniques differ in validation examples." in (out / "report.md").read_text()


@pytest.mark.parametrize(
    ("scores", "caught"),
    [((0.7, 0.8, 0.9), "highest"), ((0.9, 0.8, 0.7), "lowest"), ((0.7, 0.9, 0.8), None), ((0.9, 0.9, 0.7), None)],
)
def test_the_best_learning_rate_at_the_edge_of_its_grid_is_caught(
    scores: tuple[float, ...], caught: str | None, study: Write, tmp_path: Path
) -> None:
    """By validation, not by test, where all score the same here."""
    grid = [
        write(tmp_path, with_history(rated("lora", rate, 0.5), [0.4, score, score], 3), MIXED)
        for rate, score in zip((1e-4, 1e-3, 1e-2), scores, strict=True)
    ]
    out = study(*grid)
    assert codes(out) == (["edge_of_grid"] if caught else [])
    if caught:
        written = (out / "report.md").read_text()
        way = {"highest": "higher", "lowest": "lower"}[caught]
        sentence = f"Of 3 learning rates (0.0001, 0.001, 0.01) the {caught} is the best on validation: a {way} one"
        assert sentence in written


def test_rows_that_differ_in_more_than_the_learning_rate_are_no_grid(study: Write, tmp_path: Path) -> None:
    rows = [
        write(tmp_path, with_history(rated("lora", rate, 0.5, rank=rank), [0.4, score, score], 3), MIXED)
        for rate, score, rank in ((1e-4, 0.7, 4), (1e-3, 0.8, 8), (1e-2, 0.9, 16))
    ]
    assert codes(study(*rows)) == []


def rated(technique: str, rate: float, value: float, **settings: Any) -> Done:
    settings = {"learning_rate": rate, **settings}
    name = f"{technique} learning_rate={rate:g}"
    result = done(technique, value, label=name, settings=settings)
    run = result.run.model_copy(update={"id": f"tiny--emotion--{technique}--{rate:g}"})
    return result.model_copy(update={"run": run})


def test_tags_of_positions_that_are_no_words_are_caught(study: Write, tmp_path: Path) -> None:
    ner = done("full", 0.9)
    ner = with_history(ner, SETTLED, 3)
    gold = [["B-PER", "O"], ["O"]]
    path = tmp_path / "runs" / ner.run.id / "predictions.jsonl"
    path.parent.mkdir(parents=True)
    for guess, caught in ((gold, []), ([["B-PER", "O"], ["O", "O"]], ["padded_positions"])):
        rows = [{"prediction": p, "reference": r} for p, r in zip(guess, gold, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = study(ner)
        assert codes(out) == caught
    assert "In 1 of 2 test sentences the number of predicted tags differs" in (out / "report.md").read_text()


def test_likelihoods_of_padding_are_caught(study: Write, tmp_path: Path) -> None:
    """Two texts of 6 and 4 tokens: five and three of them are predicted from a preceding one."""
    lm = with_history(done("full", 0.9), SETTLED, 3)
    lm = lm.model_copy(update={"data": lm.data.model_copy(update={"tokens": {"test": 10}})})
    path = tmp_path / "runs" / lm.run.id / "predictions.jsonl"
    path.parent.mkdir(parents=True)
    for counted, caught in (((5, 3), []), ((5, 5), ["padded_positions"])):
        rows = [{"prediction": {"nll": 9.0, "tokens": tokens}, "reference": ""} for tokens in counted]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = study(lm)
        assert codes(out) == caught
    assert "10 test tokens were scored instead of 8" in (out / "report.md").read_text()


def test_results_of_several_versions_are_caught(study: Write, sound: list[Done], tmp_path: Path) -> None:
    older = with_history(done("freeze", 0.5), SETTLED, 3)
    older = older.model_copy(update={"environment": {"packages": {"torch": "1.0"}}})
    assert "mixed_versions" in codes(study(*sound, write(tmp_path, older, MIXED)))


def test_a_difference_that_the_examples_cannot_show_is_caught(study: Write, tmp_path: Path) -> None:
    one = ["love" if n < 20 else label for n, label in enumerate(GOLD)]
    other = ["love" if n >= 178 else label for n, label in enumerate(GOLD)]
    out = study(
        write(tmp_path, with_history(done("full", 0.9), SETTLED, 3), one),
        write(tmp_path, with_history(done("lora", 0.89), SETTLED, 3), other),
    )
    assert codes(out) == ["too_few_examples"]
    assert "which is not significant with 2,000 test examples" in (out / "report.md").read_text()
