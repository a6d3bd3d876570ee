"""The evidence base: files, rates, expectations."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tunebench._util.errors import UserError
from tunebench.advise.evidence.base import Evidence, append, evidence, path_of, read, shipped_folder
from tunebench.advise.evidence.build import Build, Building
from tunebench.advise.evidence.expect import expectations
from tunebench.advise.evidence.ranks import Variant, chosen_of, regrets
from tunebench.advise.evidence.rates import Rates
from tunebench.advise.evidence.sources import FACTORS, SEEDS, sources, studies
from tunebench.advise.evidence.spread import drift, seed_deviation
from tunebench.records import EvidenceCell, EvidenceRun, Failed
from tunebench.techniques import techniques
from tunebench.techniques.base import Trained


def cell(**fields: Any) -> EvidenceCell:
    values: dict[str, Any] = {
        "dataset": "letters",
        "objective": "sequence_classification",
        "metric": "macro_f1",
        "higher_is_better": True,
        "rows": {"train": 400, "validation": 300, "test": 500},
        "labels": 4,
        "letters": 80.0,
        "data": "d1",
        "model": "small",
        "family": "bert",
        "backbone": "b1",
        "hidden": 384,
        "layers": 6,
    }
    return EvidenceCell(**{**values, **fields})


def run(technique: str, rate: float | None, validation: float | None, **fields: Any) -> EvidenceRun:
    values: dict[str, Any] = {"seed": 0, "epochs": 4, "batch_size": 16, "steps": 125, "test": validation}
    name = f"{technique} {rate} {fields.get('seed', 0)}"
    return EvidenceRun(run=name, technique=technique, learning_rate=rate, validation=validation, **{**values, **fields})


# Files ----------------------------------------------------------------------------------------------------------------


def test_a_run_is_kept_once_and_read_back_with_five_digits(tmp_path: Path) -> None:
    one = run("lora", 5e-4, 0.123456789, curve=(0.1, None, 0.123456789))
    assert append(tmp_path, cell(), one)
    assert not append(tmp_path, cell(), one.model_copy(update={"run": "another id of the same settings"}))
    assert append(tmp_path, cell(), run("lora", 5e-4, 0.2, seed=1))
    (found,) = evidence([tmp_path])
    assert found.cell == cell()
    assert [kept.validation for kept in found.runs] == [0.12346, 0.2]
    assert found.runs[0].curve == (0.1, None, 0.12346)


def test_a_line_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    append(tmp_path, cell(), run("lora", 5e-4, 0.5))
    path = path_of(tmp_path, cell())
    path.write_bytes(path.read_bytes() + b'{"run":"cut')
    append(tmp_path, cell(), run("full", 5e-5, 0.6))
    found = read(path)
    assert found is not None
    assert [one.technique for one in found.runs] == ["lora", "full"]


def test_a_damaged_line_is_named_with_its_file(tmp_path: Path) -> None:
    append(tmp_path, cell(), run("lora", 5e-4, 0.5))
    path = path_of(tmp_path, cell())
    path.write_text(path.read_text() + "no json\n")
    with pytest.raises(UserError, match=r"letters-400\.jsonl: it is no file of evidence, or it is damaged"):
        evidence([tmp_path])


def test_results_of_other_data_of_the_same_name_are_refused(tmp_path: Path) -> None:
    append(tmp_path, cell(), run("lora", 5e-4, 0.5))
    with pytest.raises(UserError, match="other data or another model of the same name"):
        append(tmp_path, cell(data="d2"), run("full", 5e-5, 0.5))


def test_what_ships_is_readable_small_and_of_known_data_sets() -> None:
    shipped = evidence([shipped_folder()])
    assert {one.cell.dataset for one in shipped} <= set(sources())
    assert sum(path.stat().st_size for path in shipped_folder().rglob("*") if path.is_file()) < 2_000_000
    for one in shipped:
        assert one.cell.related == sources()[one.cell.dataset].related
        assert {kept.technique for kept in one.runs} <= set(techniques())


def test_every_technique_that_trains_is_made_at_three_rates_with_two_seeds(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        (tmp_path / "trec6").mkdir(exist_ok=True)
        pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).to_parquet(tmp_path / "trec6" / f"{split}.parquet")
    runs = [one for _, study in studies(tmp_path, "pocket-bert", 400) for one in study.runs()]
    trained = {one.technique for one in runs if isinstance(one.entry, Trained)}
    left_out = {name for name, entry in techniques().items() if issubclass(entry, Trained)} - trained
    assert left_out == {"from_scratch", "peft"}  # the one reads no pretrained weights, the other is many methods
    for technique in trained - {"lora"}:
        made = [(one.entry.learning_rate, one.seed) for one in runs if one.technique == technique]
        assert len(set(made)) == len(made) == len(FACTORS) * len(SEEDS)


# What it says ---------------------------------------------------------------------------------------------------------


def test_regret_is_counted_in_points_from_the_best_at_rates_that_validation_chose() -> None:
    one = Evidence(
        cell(),
        (
            run("full", 5e-5, 0.70, test=0.90),
            run("full", 5e-4, 0.80, test=0.75),
            run("lora", 5e-4, 0.60, test=0.72),
            run("tfidf", None, None, test=None, reason="it broke"),
        ),
    )
    assert chosen_of(one)[Variant("full")].learning_rate == 5e-4
    assert regrets(one) == pytest.approx({Variant("full"): 0.0, Variant("lora"): 3.0})


def test_a_metric_that_is_better_when_lower_turns_the_sign_and_counts_percent_of_the_best() -> None:
    one = Evidence(
        cell(metric="perplexity", higher_is_better=False), (run("full", 1e-4, 20.0), run("lora", 1e-4, 25.0))
    )
    assert regrets(one) == pytest.approx({Variant("full"): 0.0, Variant("lora"): 25.0})


def _cells(count: int, best: float, **fields: Any) -> list[Evidence]:
    default = techniques()["full"].model_fields["learning_rate"].default
    rates = [default * factor for factor in (1, 3, 10)]
    runs = tuple(run("full", rate, 0.9 if math.isclose(rate, default * best) else 0.5) for rate in rates)
    return [Evidence(cell(dataset=f"set {n}", data=f"d{n}", **fields), runs) for n in range(count)]


def test_rates_move_from_the_default_to_what_was_best_with_more_data_sets() -> None:
    default = techniques()["full"].model_fields["learning_rate"].default
    suggested = [Rates(_cells(count, 10)).suggested(Variant("full"), 384, 125) for count in (0, 1, 5, 40)]
    assert suggested[0] == default
    assert suggested == sorted(suggested)
    assert suggested[1] < 5 * default
    assert suggested[-1] == pytest.approx(10 * default, rel=0.1)


def test_rates_follow_the_hidden_size() -> None:
    rates = Rates(_cells(20, 10, hidden=256) + _cells(20, 1, hidden=1024))
    small, large = (rates.suggested(Variant("full"), hidden, 125) for hidden in (256, 1024))
    assert small > 4 * large


def test_a_variant_without_evidence_keeps_its_default() -> None:
    assert Rates(_cells(5, 10)).suggested(Variant("ia3"), 384, 125) == 3e-3
    with pytest.raises(ValueError, match="has no learning rate"):
        Rates([]).suggested(Variant("tfidf"), 384, 125)


def _simple(name: str, full: float, lora: float, **fields: Any) -> Evidence:
    return Evidence(cell(dataset=name, data=name, **fields), (run("full", 1e-4, full), run("lora", 1e-3, lora)))


def test_similar_data_count_more_and_other_problems_not_at_all() -> None:
    base = [
        _simple("near", 0.9, 0.8, rows={"train": 400, "validation": 9, "test": 9}),
        _simple("far", 0.5, 0.8, rows={"train": 400_000, "validation": 9, "test": 9}),
        _simple("other", 0.1, 0.9, objective="token_classification"),
    ]
    expected = expectations(base, cell(data="new"))
    assert expected[Variant("full")].mean < 5 < expected[Variant("lora")].mean
    assert expected[Variant("full")].datasets == 2
    assert expectations(base, cell(objective="regression")) == {}


def test_more_data_sets_make_an_expectation_surer() -> None:
    few = expectations([_simple(f"s{n}", 0.9, 0.8) for n in range(2)], cell())
    many = expectations([_simple(f"s{n}", 0.9, 0.8) for n in range(30)], cell())
    assert many[Variant("lora")].deviation < few[Variant("lora")].deviation / 2
    assert many[Variant("lora")].mean == pytest.approx(10)


def test_the_spread_between_seeds_and_the_drift_of_curves_come_from_the_runs() -> None:
    runs = (
        run("full", 1e-4, 0.80, curve=(0.2, 0.4, 0.6, 0.8)),
        run("full", 1e-4, 0.84, seed=1),
        run("lora", 1e-3, 0.70, curve=(0.1, 0.2, 0.3, 0.7)),
    )
    base = [Evidence(cell(), runs)]
    assert seed_deviation(base, "macro_f1") == pytest.approx(math.sqrt(2) * 0.02)
    assert seed_deviation(base, "accuracy") is None
    assert drift(base, "macro_f1", 0.5) == pytest.approx(0.1)  # .2 apart after half of the epochs, .1 at the end
    assert drift(base, "macro_f1", 1.0) == pytest.approx(0.0)


# The build ------------------------------------------------------------------------------------------------------------


def test_a_build_asks_for_what_the_base_lacks_and_keeps_a_failure_with_its_reason(
    tmp_path: Path, backbones: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data" / "trec6"
    data.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = {"text": ["how far", "who ran", "how long", "who sang"], "label": ["number", "human"] * 2}
        pd.DataFrame(rows).to_parquet(data / f"{split}.parquet")
    monkeypatch.setattr("tunebench.advise.evidence.sources.ROUNDS", (({"name": "tfidf"}, {"name": "full"}),))
    building = Building(data.parent, str(backbones["bert"]), tmp_path / "base", tmp_path / "work", 16)
    asked = []
    for count in (3, 10):  # the second time goes on where the first was stopped
        schedule = Build(building)
        while (job := schedule.ask()) is not None and count:
            count -= 1
            Path(job.folder).mkdir(parents=True)
            asked.append((job.run.technique, job.run.seed, getattr(job.run.entry, "learning_rate", None)))
            info = job.run.info(job.family)
            schedule.tell(job, Failed(reason="it broke", run=info, environment={}))
            assert not Path(job.folder).exists()
        assert schedule.finished or not count
    assert len(asked) == len(set(asked)) == 1 + 3 * 2, "the baseline once, the technique at three rates with two seeds"
    (found,) = evidence([tmp_path / "base"])
    assert found.cell.rows["train"] == 4 and found.cell.labels == 2 and found.cell.hidden
    assert {one.reason for one in found.runs} == {"it broke"}
