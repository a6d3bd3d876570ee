"""The price of tuning, from measured seconds; energy, by CodeCarbon or not at all."""

import importlib.machinery
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from tests.contracts.runs import LocatedRun, make, make_run, make_until
from tests.records import Write, done
from tests.test_forgetting import asked_study
from tunebench._util.errors import UserError
from tunebench._util.files import read_json, write_json
from tunebench.engine.energy import EnergyMeter
from tunebench.records import Cost, Done, Paused
from tunebench.report import Options, build, results
from tunebench.report.read.costs import money

pytestmark = pytest.mark.usefixtures("undrawn")

MISSING = r"measure: energy: CodeCarbon is not installed\. Run: pip install 'tunebench\[energy\]'\."


def with_price(out: Path, per_hour: float) -> Path:
    write_json(out / "plan.json", {**(read_json(out / "plan.json") or {}), "price_per_hour": per_hour})
    build(out)
    return out


def test_the_price_is_that_of_the_hours_of_trunk_and_training() -> None:
    cost = done("full", 0.5).cost.model_copy(update={"trunk_seconds": 600.0, "train_seconds": 3000.0})
    assert money(cost, 2.5) == pytest.approx(2.5)


def test_a_study_with_a_price_shows_what_tuning_costs(study: Write) -> None:
    out = study(done("full", 0.5, train_seconds=3598.5), done("full", 0.5, 1, train_seconds=7198.5), done("tfidf", 0.4))
    assert "Price" not in (out / "report.md").read_text()
    assert "price" not in results(out)
    with_price(out, 0.5)
    written = (out / "report.md").read_text()
    assert "Price (0.5 per hour)" in written and "0.75 (0.5..1.00)" in written
    assert "Price: the wall-clock hours of tuning (trunk and training)" in written
    assert results(out)["price"].tolist() == pytest.approx([0.5, 1.0, 13.8 / 3600 * 0.5])


def test_the_price_of_the_command_replaces_the_price_of_the_study(study: Write) -> None:
    out = with_price(study(done("full", 0.5, train_seconds=3598.5)), 0.5)
    build(out, Options(price_per_hour=4.0))
    assert "Price (4 per hour)" in (out / "report.md").read_text()
    assert "4.00" in (out / "report.tex").read_text()
    assert "price" in (out / "results.csv").read_text().splitlines()[0].split(",")


def test_a_price_is_a_number_that_is_not_negative_and_changes_no_run() -> None:
    for wrong in (-1, float("nan"), float("inf"), "two"):
        with pytest.raises(ValidationError):
            asked_study(price_per_hour=wrong)
    assert [run.id for run in asked_study(price_per_hour=2).runs()] == [run.id for run in asked_study().runs()]


class Tracker:
    """CodeCarbon's, as far as it is used: one more kWh at each flush."""

    each = 1.0

    def __init__(self, output_handlers: list[Any], output_methods: list[str], emissions_endpoint: None, **others: Any):
        assert output_methods == [] and emissions_endpoint is None
        (self.handler,), self.kwh = output_handlers, 0.0

    def start(self) -> None:
        """Nothing to prepare."""

    def flush(self) -> None:
        self.kwh += self.each
        self.handler.out(SimpleNamespace(energy_consumed=self.kwh), None)

    def stop(self) -> None:
        self.flush()


@pytest.fixture
def codecarbon(monkeypatch: pytest.MonkeyPatch) -> type[Tracker]:
    fake, output, tracker = ModuleType("codecarbon"), ModuleType("codecarbon.output"), type("Own", (Tracker,), {})
    fake.__spec__ = importlib.machinery.ModuleSpec("codecarbon", None)
    fake.OfflineEmissionsTracker, output.BaseOutput = tracker, object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "codecarbon", fake)
    monkeypatch.setitem(sys.modules, "codecarbon.output", output)
    return tracker


def asking(backbones: dict[str, Path], data_root: Path, technique: str) -> LocatedRun:
    run = make_run(backbones["bert"], data_root, "emotion", technique, checkpoint_seconds=0)
    asked = LocatedRun.model_validate({**run.model_dump(), "measure": ("energy",)})
    asked._places = run._places
    return asked


def test_energy_adds_up_over_the_sittings_of_a_run(
    codecarbon: type[Tracker], backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = asking(backbones, data_root, "classifier_head")
    paused = make_until(1, run, tmp_path)
    assert isinstance(paused, Paused) and paused.cost.energy_kwh is not None and paused.cost.energy_kwh >= 1
    whole = make(run, tmp_path).cost.energy_kwh
    assert whole is not None and whole > paused.cost.energy_kwh


def test_a_baseline_consumes_energy_too(
    codecarbon: type[Tracker], backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    assert make(asking(backbones, data_root, "tfidf"), tmp_path).cost.energy_kwh


def test_where_codecarbon_counts_nothing_the_record_says_so_and_holds_no_zero(
    codecarbon: type[Tracker], backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    codecarbon.each = 0.0
    result = make(asking(backbones, data_root, "tfidf"), tmp_path)
    assert result.cost.energy_kwh is None
    assert [notice.message for notice in result.notices if notice.code == "energy"] == [
        "CodeCarbon counted no energy on this machine."
    ]


def test_without_codecarbon_energy_is_refused_and_everything_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(UserError, match=MISSING):
        EnergyMeter(wanted=True)
    with EnergyMeter(wanted=False) as meter:
        assert meter.until_now() is None


def test_codecarbon_itself_counts_this_process_without_a_network() -> None:
    pytest.importorskip("codecarbon", reason="energy needs tunebench[energy]")
    with EnergyMeter(wanted=True) as meter:
        sum(n * n for n in range(2_000_000))
        first = meter.until_now()
        sum(n * n for n in range(2_000_000))
    whole = meter.until_now()
    assert first is not None and whole is not None and 0 < first <= whole < 0.01


def test_energy_is_a_column_where_a_run_has_it(study: Write) -> None:
    def run(technique: str, kwh: float | None) -> Done:
        one = done(technique, 0.5)
        return one.model_copy(update={"cost": one.cost.model_copy(update={"energy_kwh": kwh})})

    written = (study(run("full", 2.5e-5), run("head", None)) / "report.md").read_text()
    assert "0.025 Wh" in written and "(TDP)" in written
    assert "(TDP)" not in (study(run("full", None)) / "report.md").read_text()


def test_a_record_from_before_energy_was_measured_still_reads() -> None:
    stored = json.loads(done("full", 0.5).cost.model_dump_json())
    assert stored.pop("energy_kwh") is None
    assert Cost.model_validate(stored).energy_kwh is None
