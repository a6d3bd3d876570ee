"""A race drops a run only where a paired test says that it is behind, and continues each run bit for bit."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contracts.runs import TRAINING
from tests.records import done, write_study
from tests.test_search import Data
from tunebench.advise import elimination
from tunebench.advise import search as searches
from tunebench.advise.race import Race, Standing
from tunebench.advise.runner import rungs_of
from tunebench.advise.search import Searching
from tunebench.engine.events import Event, Step
from tunebench.evaluation.metrics import METRICS
from tunebench.records import (
    DROPPED,
    SEARCH,
    Done,
    Epoch,
    Failed,
    Paused,
    PausedCost,
    Result,
    SearchRecord,
    write_result,
)
from tunebench.report.sections.search import rule_of
from tunebench.run.execute import execute
from tunebench.run.job import Job
from tunebench.run.pause import VALIDATION
from tunebench.study import Search, Study

ACCURACY = METRICS["accuracy"]
GOLD = ["a", "b"] * 150

# Elimination ----------------------------------------------------------------------------------------------------------


def answers(share: float, seed: int) -> list[str]:
    """So many right ones, at random places."""
    right = np.random.default_rng(seed).permutation(len(GOLD)) < share * len(GOLD)
    return [gold if one else "c" for gold, one in zip(GOLD, right, strict=True)]


def test_runs_within_noise_are_never_behind_and_a_clearly_worse_one_is() -> None:
    given = [answers(0.8, 0), answers(0.76, 1), answers(0.8, 2), answers(0.3, 3)]
    gaps = elimination.gaps(ACCURACY, GOLD, given, looks=2)
    assert gaps is not None
    assert [gap.behind for gap in gaps] == [False, False, False, True]
    assert gaps[3].difference == pytest.approx(0.5) and gaps[3].p < 1e-4
    assert gaps[0].difference == 0 and gaps[0].p == 1


def test_the_level_is_divided_by_looks_and_competitors() -> None:
    given = [answers(0.8, 0), answers(0.56, 1)]

    def behind(looks: int, competitors: int | None = None) -> bool:
        gaps = elimination.gaps(ACCURACY, GOLD, given, looks, competitors=competitors)
        assert gaps is not None
        return gaps[1].behind

    assert behind(looks=1)
    assert not behind(looks=40)
    assert not behind(looks=2, competitors=20)
    assert elimination.level(4, 5) == pytest.approx(0.05 / 20)


def test_the_deviation_between_seeds_widens_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [answers(0.8, 0), answers(0.7, 1)]

    def gap(seed_deviation: float | None) -> elimination.Gap:
        gaps = elimination.gaps(ACCURACY, GOLD, given, 1, seed_deviation)
        assert gaps is not None
        return gaps[1]

    by_share = (0.8 * 0.2 + 0.7 * 0.3) * elimination.EARLY_SHARE**2
    careful, wide = gap(None), gap(0.2)
    late = elimination.gaps(ACCURACY, GOLD, given, 1, progress=0.5)
    assert late is not None and late[1].error < careful.error, "seeds vary less in late epochs"
    monkeypatch.setattr(elimination, "EARLY_SHARE", 0.0)
    assert careful.error**2 == pytest.approx(gap(None).error ** 2 + by_share, rel=0.01)
    assert wide.error**2 == pytest.approx(gap(None).error ** 2 + 2 * 0.2**2)
    assert gap(None).behind and not careful.behind and not wide.behind
    assert gap(0.01).error < careful.error, "a deviation of final scores narrows nothing"


def test_techniques_are_compared_as_their_schedules_will_end() -> None:
    given = [answers(0.8, 0), answers(0.49, 1)]

    def gap(drift: float) -> elimination.Gap:
        gaps = elimination.gaps(ACCURACY, GOLD, given, 1, drift=drift)
        assert gaps is not None
        return gaps[1]

    assert gap(0.15).error ** 2 == pytest.approx(gap(0.0).error ** 2 + 0.15**2)
    assert gap(0.0).behind and not gap(0.15).behind, "a slow starter may still catch up"
    assert "at the end of its schedule" in Race(ACCURACY, drift=lambda share: None).rule


def test_lower_is_better_where_the_metric_says_so() -> None:
    def texts(loss: float, seed: int) -> list[dict[str, float]]:
        drawn = np.random.default_rng(seed).normal(loss, 0.1, 100)
        return [{"response_nll": float(one), "response_tokens": 1.0} for one in drawn]

    gaps = elimination.gaps(METRICS["perplexity"], [""] * 100, [texts(2.0, 0), texts(3.0, 1)], 1)
    assert gaps is not None
    assert [gap.behind for gap in gaps] == [False, True]


def test_an_undefined_score_is_not_behind() -> None:
    gold = [float(number) for number in range(100)]
    gaps = elimination.gaps(METRICS["pearson"], gold, [gold, [1.0] * 100, gold[::-1]], 1)
    assert gaps is not None
    assert [gap.behind for gap in gaps] == [False, False, True], "a correlation of constant answers is undefined"


def test_a_metric_without_a_paired_test_says_so_and_drops_nothing() -> None:
    assert elimination.gaps(METRICS["spearman"], [1.0, 2.0], [[1.0, 2.0], [2.0, 1.0]], 1) is None
    assert "Spearman" in elimination.rule(METRICS["spearman"])
    assert "no run is dropped" in Race(METRICS["spearman"]).rule
    assert "paired test" in Race(ACCURACY).rule


# The race -------------------------------------------------------------------------------------------------------------


def jobs_in(out: Path, model: str, techniques: Sequence[Any], **training: Any) -> list[Job]:
    task = {"name": "t", "objective": "sequence_classification", "metrics": ["accuracy"]}
    data = {"data": str(out / "data.csv"), "columns": {"text": "text", "label": "label"}}
    experiment = {"model": model, "task": {**task, **data}, "techniques": list(techniques)}
    study = Study.model_validate({"name": "s", "training": training, "experiments": [experiment]})
    return [
        Job(run=run, places=study.places(), family="bert", folder=str(out / run.id), cache=str(out / "cache"))
        for run in study.runs()
    ]


def rates(count: int) -> list[Any]:
    return [{"name": "full", "learning_rate": 1e-5 * (number + 1)} for number in range(count)]


class Made:
    """Makes jobs without a model: their answers are right as often as they are asked to be.

    Attributes:
        epochs: run and epoch of each epoch that was trained.
    """

    def __init__(self, jobs: Sequence[Job], shares: Sequence[float], fails: Sequence[int] = (), patience: int = 99):
        self._shares = {job.folder: share for job, share in zip(jobs, shares, strict=True)}
        self._numbers = {job.folder: number for number, job in enumerate(jobs)}
        self._fails, self._patience = fails, patience
        self.epochs: list[tuple[int, int]] = []
        self._history: dict[str, list[Epoch]] = {}

    def _number(self, job: Job) -> int:
        return self._numbers[job.folder]

    def _share(self, job: Job) -> float:
        return self._shares[job.folder]

    def __call__(self, job: Job) -> Result:
        assert job.trial, "no test split is read"
        number, history = self._number(job), self._history.setdefault(job.folder, [])
        info = job.run.info(job.family)
        if number in self._fails and history:
            result: Result = Failed(reason="the loss is nan", run=info, environment={})
            write_result(Path(job.folder), result)
            return result
        full, given = job.run.training.epochs, []
        while len(history) < min(job.until_epoch or full, full, self._patience):
            epoch = len(history) + 1
            self.epochs.append((number, epoch))
            given = answers(self._share(job) * epoch / (epoch + 1), 100 * number + epoch)
            score: dict[str, float | None] = {
                "accuracy": float(np.mean([a == b for a, b in zip(given, GOLD, strict=True)]))
            }
            history.append(Epoch(epoch=epoch, train_loss=1.0, validation=score, seconds=1.0))
        over = len(history) >= min(full, self._patience)
        folder, epochs = Path(job.folder), len(history)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "full.safetensors").write_text("weights")
        (folder / VALIDATION).unlink(missing_ok=True)
        lines = [json.dumps({"prediction": a, "reference": b}) + "\n" for a, b in zip(given, GOLD, strict=True)]
        (folder / VALIDATION).write_text("".join(lines))
        result = Paused(
            reason=Paused.TRIAL if over else "paused",
            run=info,
            epoch=epochs,
            best_epoch=max(history, key=lambda one: one.validation["accuracy"] or 0).epoch,
            history=history,
            cost=PausedCost(
                trunk_seconds=0, train_seconds=epochs, evaluation_seconds=0, total_seconds=epochs, peak_memory_bytes=1
            ),
        )
        write_result(Path(job.folder), result)
        return result


def raced(race: Race, make: Made, most: int = 1000) -> None:
    while most and (job := race.ask()) is not None:
        race.tell(job, make(job))
        most -= 1


def test_rungs_double_and_end_with_all_epochs(tmp_path: Path) -> None:
    def rungs(technique: str, epochs: int) -> tuple[int, ...]:
        return rungs_of(jobs_in(tmp_path, "m", [technique], epochs=epochs)[0].run)

    assert [rungs("full", epochs) for epochs in (1, 2, 5, 8)] == [(1,), (1, 2), (1, 2, 4, 5), (1, 2, 4, 8)]
    assert rungs_of(jobs_in(tmp_path, "m", ["full"], epochs=8)[0].run, (6, 2, 8, 9)) == (2, 6, 8)
    assert rungs("tfidf", 5) == rungs("untuned", 5) == (1,), "what does not train has one rung"


def test_a_race_drops_what_is_behind_and_finishes_the_rest(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "m", rates(4), epochs=4)
    make, race = Made(jobs, [0.9, 0.2, 0.88, 0.9], fails=[3]), Race(ACCURACY, jobs)
    raced(race, make)

    assert race.finished and race.ask() is None
    standings = race.standings
    assert [one.status for one in standings] == ["finished", "dropped", "finished", "failed"]
    assert make.epochs[:4] == [(0, 1), (1, 1), (2, 1), (3, 1)], "each run's first epoch comes first"
    assert (1, 2) not in make.epochs, "it was dropped after its first epoch"
    dropped = standings[1].elimination
    assert dropped is not None and dropped.epoch == 1
    assert dropped.p <= dropped.level == pytest.approx(0.05 / (2 * 3)), "two looks before the last epoch, three rivals"
    assert dropped.leader == jobs[0].run.id or dropped.leader in {jobs[2].run.id, jobs[3].run.id}
    assert "behind the leader" in (standings[1].reason or "")
    assert not [*Path(jobs[1].folder).glob("*.safetensors")], "its weights are removed"
    assert standings[3].reason == "the loss is nan"
    assert race.leader is not None and race.leader.status == "finished"
    assert race.seconds >= 4 + 1 + 4 + 1, "dropped and failed runs count"


def test_without_earlier_results_no_technique_is_dropped_before_half_of_its_epochs(tmp_path: Path) -> None:
    shares: list[float] = []

    def unknown(share: float) -> None:
        shares.append(share)

    jobs = jobs_in(tmp_path, "m", rates(2), epochs=8)
    race = Race(ACCURACY, jobs, drift=unknown)
    raced(race, Made(jobs, [0.9, 0.2]))
    dropped = race.standings[1].elimination
    assert dropped is not None and dropped.epoch == 4
    assert sorted(set(shares)) == [1 / 8, 2 / 8, 4 / 8]


def test_what_differences_still_change_keeps_a_run_in_the_race(tmp_path: Path) -> None:
    def epoch_of_drop(drift: float, out: Path) -> int | None:
        jobs = jobs_in(out, "m", rates(2), epochs=8)
        race = Race(ACCURACY, jobs, drift=lambda share: drift * (1 - share))
        raced(race, Made(jobs, [0.9, 0.3]))
        dropped = race.standings[1].elimination
        return dropped and dropped.epoch

    assert epoch_of_drop(0.0, tmp_path / "still") == 4, "epochs 1 and 2 are less than a third of 8"
    assert epoch_of_drop(1.0, tmp_path / "moves") is None


def test_equal_runs_all_finish(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "m", rates(5), epochs=4)
    race = Race(ACCURACY, jobs)
    raced(race, Made(jobs, [0.9, 0.88, 0.86, 0.9, 0.87]))
    assert {one.status for one in race.standings} == {"finished"}


def test_the_seconds_of_a_race_may_end_before_its_runs_do(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "m", rates(3), epochs=8)
    race = Race(ACCURACY, jobs, seconds=5)
    raced(race, Made(jobs, [0.8, 0.9, 0.85]))
    assert race.finished
    assert [one.status for one in race.standings] == ["out of time"] * 3
    assert [one.epochs for one in race.standings] == [1, 4, 1]
    assert race.leader is not None and race.leader.job == jobs[1], "the best of those that came furthest"


def test_a_run_that_ends_by_its_patience_is_finished(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "m", rates(2), epochs=8)
    race = Race(ACCURACY, jobs)
    raced(race, Made(jobs, [0.9, 0.9], patience=3))
    assert [(one.status, one.epochs) for one in race.standings] == [("finished", 3)] * 2


def figures(standings: Sequence[Standing]) -> list[Any]:
    return [(one.status, one.epochs, one.score, one.curve, one.elimination) for one in standings]


@pytest.mark.parametrize("rungs", range(1, 8))
def test_a_killed_race_goes_on_where_it_was(tmp_path: Path, rungs: int) -> None:
    shares = [0.9, 0.2, 0.88, 0.9]
    jobs = jobs_in(tmp_path / "whole", "m", rates(4), epochs=4)
    whole, once = Race(ACCURACY, jobs), Made(jobs, shares)
    raced(whole, once)

    jobs = jobs_in(tmp_path / "killed", "m", rates(4), epochs=4)
    make = Made(jobs, shares)
    raced(Race(ACCURACY, jobs), make, most=rungs - 1)
    race = Race(ACCURACY, jobs)
    job = race.ask()
    assert job is not None
    make(job)  # killed before the race was told
    again = Race(ACCURACY, jobs)
    raced(again, make)

    assert make.epochs == once.epochs
    assert figures(again.standings) == figures(whole.standings)
    assert (Path(jobs[1].folder) / DROPPED).exists()


def test_paused_runs_of_a_model_continue_bit_for_bit(tmp_path: Path, backbones: dict[str, Path]) -> None:
    (tmp_path / "data.csv").write_text("text,label\n" + "".join(f"i feel {w},{w}\n" for w in ("happy", "angry") * 30))
    training = {**TRAINING, "epochs": 3, "patience": 3}

    def folders(name: str) -> list[Job]:
        jobs = jobs_in(tmp_path, str(backbones["bert"]), ["full", "untuned", "tfidf"], **training)
        return [job.model_copy(update={"folder": str(tmp_path / name / job.run.id)}) for job in jobs]

    def step(race: Race) -> bool:
        job = race.ask()
        if job is None:
            return False
        Path(job.folder).mkdir(parents=True, exist_ok=True)
        result = execute(job, lambda event: None)
        write_result(Path(job.folder), result)
        race.tell(job, result)
        return True

    race = Race(ACCURACY, folders("whole"))
    while step(race):
        pass
    while step(Race(ACCURACY, folders("killed"))):  # killed after each rung
        pass
    straight = execute(folders("straight")[0].model_copy(update={"trial": True}), lambda event: None)
    write_result(Path(folders("straight")[0].folder), straight)

    again = Race(ACCURACY, folders("killed"))
    assert figures(again.standings) == figures(race.standings)
    assert [one.status for one in race.standings] == ["finished"] * 3
    assert all(one.score is not None for one in race.standings)
    assert isinstance(straight, Paused)
    assert race.standings[0].curve == tuple(epoch.validation["accuracy"] for epoch in straight.history)
    last = b""
    for one, other, name in zip(folders("whole"), folders("killed"), ("full", "untuned", "tfidf"), strict=True):
        last = (Path(one.folder) / VALIDATION).read_bytes()
        assert last == (Path(other.folder) / VALIDATION).read_bytes(), name
        assert not (Path(one.folder) / "predictions.jsonl").exists(), "no test split is read"
    events: list[Event] = []
    done = execute(folders("whole")[0], events.append)
    assert isinstance(done, Done) and not [event for event in events if isinstance(event, Step)]
    whole = execute(folders("at once")[0], lambda event: None)
    assert isinstance(whole, Done) and done.metrics == whole.metrics, "a finalist of a race trains no epoch again"
    kept = sorted(path.name for path in Path(folders("whole")[0].folder).glob("validation-*"))
    assert kept == ["validation-1.jsonl", "validation-2.jsonl", "validation-3.jsonl"]
    assert last
    assert (Path(folders("straight")[0].folder) / VALIDATION).read_bytes() == (
        Path(folders("whole")[0].folder) / VALIDATION
    ).read_bytes()


# Searches that race ---------------------------------------------------------------------------------------------------


class MadeByRate(Made):
    """Trials are the better the nearer their learning rate is to 1e-4."""

    def __init__(self) -> None:
        super().__init__([], [])

    def _number(self, job: Job) -> int:
        return self._numbers.setdefault(job.folder, round(1e7 * job.run.entry.learning_rate))  # type: ignore[attr-defined]

    def _share(self, job: Job) -> float:
        away = abs(math.log10(job.run.entry.learning_rate / 1e-4))  # type: ignore[attr-defined]
        return 0.95 - 0.6 * min(away, 1.2)


def search_in(out: Path, *techniques: Any, epochs: int = 8, **search: Any) -> Searching:
    out.mkdir(exist_ok=True)
    experiment = {
        "model": "pocket-bert",
        "task": {"name": "emotion", "metrics": ["accuracy"]},
        "techniques": techniques,
    }
    training = {"epochs": epochs, "patience": epochs}
    given = {"name": "s", "search": search, "training": training, "experiments": [experiment]}
    study = Study.model_validate(given)
    assert study.search is not None
    return Searching(out, study.search, study.searched(), Data("a"), study.places())


def searched(out: Path, search: Searching, make: Made, most: int = 1000) -> SearchRecord:
    while most and (job := search.ask()) is not None:
        search.tell(job, make(job))
        most -= 1
    return SearchRecord.model_validate_json((out / SEARCH).read_text())


def test_a_search_that_races_spends_its_trials_on_what_is_not_behind(tmp_path: Path) -> None:
    search = search_in(tmp_path / "out", "full", trials=9, race=True)
    make = MadeByRate()
    record = searched(tmp_path / "out", search, make)

    assert search.finished
    (one,) = record.techniques
    assert len(one.trials) == 9, "dropped trials count"
    dropped = [trial for trial in one.trials if trial.status == "dropped"]
    assert 0 < len(dropped) < 9
    assert {trial.status for trial in one.trials} == {"dropped", "finished"}
    for trial in dropped:
        assert trial.elimination is not None and trial.elimination.epoch == trial.epochs < 8  # type: ignore[operator]
        assert trial.score == trial.curve[-1], "the sampler is told its last score"
        assert trial.reason and "behind the leader" in trial.reason
    assert sum(trial.seconds for trial in one.trials) == len(make.epochs) < 9 * 8
    assert len(set(make.epochs)) == len(make.epochs), "no epoch is made twice"
    best = max((t for t in one.trials if t.status == "finished"), key=lambda t: t.score or 0)
    assert one.chosen == best.settings and one.chosen_epoch is None
    assert one.rule and "paired test" in one.rule
    assert record.budget["race"] is True
    assert len(search.news()) == len(dropped)
    assert search.news() == []
    assert not [*(tmp_path / "out").rglob("*.safetensors")]


def test_a_search_allows_for_the_seeds_luck_of_earlier_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def deviation(evidence: object, metric: str) -> float:
        asked.append(metric)
        return 0.9

    monkeypatch.setattr(searches, "seed_deviation", deviation)
    raced = searched(tmp_path / "out", search_in(tmp_path / "out", "full", trials=9, race=True), MadeByRate())
    assert {trial.status for trial in raced.techniques[0].trials} == {"finished"}, "seeds differ more than trials do"
    search_in(tmp_path / "plain", "full", trials=3)
    assert asked == ["accuracy"], "without a race nobody asks"


@pytest.mark.parametrize("jobs", [2, 7, 16])
def test_a_killed_search_that_races_makes_the_same_trials(tmp_path: Path, jobs: int) -> None:
    whole = searched(tmp_path / "whole", search_in(tmp_path / "whole", "full", trials=6, race=True), MadeByRate())

    make = MadeByRate()
    killed = search_in(tmp_path / "killed", "full", trials=6, race=True)
    searched(tmp_path / "killed", killed, make, most=jobs - 1)
    job = killed.ask()
    assert job is not None
    make(job)  # killed before its outcome was noted
    again = searched(tmp_path / "killed", search_in(tmp_path / "killed", "full", trials=6, race=True), make)

    assert again == whole
    assert len(set(make.epochs)) == len(make.epochs)


def test_seconds_that_end_before_any_trial_does_are_said(tmp_path: Path) -> None:
    search = search_in(tmp_path / "out", "full", seconds=6)
    (one,) = searched(tmp_path / "out", search, MadeByRate()).techniques
    assert search.finished
    assert {trial.status for trial in one.trials} <= {"out of time", "dropped"}
    furthest = max(trial.epochs or 0 for trial in one.trials)
    assert one.chosen_epoch == furthest
    assert one.chosen in [trial.settings for trial in one.trials if trial.epochs == furthest]
    assert f"by the score after epoch {furthest}: 6 seconds ended before any trial did" in search.decisions[0][1]

    more = search_in(tmp_path / "out", "full", seconds=40)
    (again,) = searched(tmp_path / "out", more, MadeByRate()).techniques
    assert again.chosen_epoch is None
    assert {trial.number for trial in one.trials} <= {trial.number for trial in again.trials}


def test_a_search_in_seconds_ends_where_its_space_has_no_further_point(tmp_path: Path) -> None:
    few = {"name": "full", "learning_rate": {"choices": [5e-5, 1e-4]}}
    search = search_in(tmp_path / "out", few, seconds=1e9, sampler="random")
    (one,) = searched(tmp_path / "out", search, MadeByRate()).techniques
    assert search.finished
    assert sum(trial.same_as is None for trial in one.trials) == 2
    assert all(trial.seconds == 0 for trial in one.trials if trial.same_as is not None)


def test_the_time_of_failed_trials_is_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 5))
    monkeypatch.setattr("tunebench.advise.runner.time.monotonic", lambda: next(clock))

    def fails(job: Job) -> Result:
        return Failed(reason="the loss is nan", run=job.run.info(job.family), environment={})

    search = search_in(tmp_path / "out", "full", seconds=20)
    while (job := search.ask()) is not None:
        search.tell(job, fails(job))
    assert search.finished
    record = SearchRecord.model_validate_json((tmp_path / "out" / SEARCH).read_text())
    assert [trial.seconds for trial in record.techniques[0].trials] == [5.0] * 4
    assert {trial.status for trial in record.techniques[0].trials} == {"failed"}


def test_seconds_race_and_trials_do_not_unless_the_study_says_so() -> None:
    assert [Search(seconds=9).races, Search(seconds=9, race=False).races] == [True, False]
    assert [Search(trials=9).races, Search(trials=9, race=True).races] == [False, True]
    with pytest.raises(ValueError, match="a race needs two trials at least"):
        Search(trials=1, race=True)


# The report -----------------------------------------------------------------------------------------------------------


def test_the_report_says_what_was_dropped_when_and_why(tmp_path: Path) -> None:
    search = search_in(tmp_path / "search", "full", trials=6, race=True)
    record = searched(tmp_path / "search", search, MadeByRate())
    (one,) = record.techniques
    early = one.model_copy(update={"model": "tiny", "chosen_epoch": 2})
    out = tmp_path / "out"
    out.mkdir()
    (out / SEARCH).write_text(record.model_copy(update={"techniques": (early,)}).model_dump_json(by_alias=True))
    write_study(out, done("full", 0.9))

    markdown = (out / "report.md").read_text()
    assert "The trials of each technique raced" in markdown
    assert "A run is dropped when a paired test on validation answers says that it is behind the leader" in markdown
    assert (
        "full: the seconds ended before any of its trials did. The chosen one had the best score after epoch 2"
        in markdown
    )
    dropped = [trial for trial in one.trials if trial.status == "dropped"]
    assert dropped
    for trial in dropped:
        assert trial.elimination is not None
        leader = next(other.number for other in one.trials if other.run == trial.elimination.leader)
        assert f"dropped after epoch {trial.epochs}: -0." in markdown
        assert f"compared with trial {leader} (p = " in markdown
    figures = {path.name for path in (out / "figures").iterdir()}
    assert any("race" in name for name in figures), figures


def test_a_race_without_a_paired_test_says_its_rule_in_the_report(tmp_path: Path) -> None:
    (one,) = searched(tmp_path, search_in(tmp_path, "full", trials=3, race=True), MadeByRate(), most=1).techniques
    ranked = one.model_copy(update={"rule": Race(METRICS["spearman"]).rule})
    assert "No run is dropped, because Spearman has no paired test" in rule_of((ranked,))
