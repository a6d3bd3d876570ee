"""How often a race drops a run that is as good as the leader: runs of one technique that differ in their seed only.

    python benchmarks/race_null.py record OUT --model MODEL --data FOLDER
    python benchmarks/race_null.py race OUT

`record` trains 14 seeds of each technique on 400 texts of a folder with train.parquet, validation.parquet and
test.parquet (columns text and label), pauses after epochs 1, 2 and 4 of 8, and keeps the answers to the validation
texts. `race` draws runs and validation texts, and applies the rule of `advise/elimination.py` at each pause. In truth
all runs are equal, so that nothing should be dropped; the goal is at most 5 % of races of two.
docs/decisions/0024-race.md has the figures.
"""

import argparse
import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from tunebench.advise import elimination
from tunebench.advise.evidence.base import evidence, shipped_folder
from tunebench.advise.evidence.spread import drift
from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.evaluation.variances import Variances
from tunebench.records import Paused, read_result
from tunebench.run.drive import drive
from tunebench.run.executors.local import Local
from tunebench.run.job import Job
from tunebench.run.pause import VALIDATION
from tunebench.run.scheduler import FixedList
from tunebench.study import Run, Study

EPOCHS = 8
LOOKS = (1, 2, 4)
"""Epochs after which a run of so many may be dropped."""
ROWS = {"train": 400, "validation": 545}
RACES = 200
METRIC_NAMES = ("accuracy", "macro_f1")


def study_of(out: Path, model: Path, data: Path, seeds: int) -> Study:
    """Full fine-tuning and LoRA at their default settings."""
    files = {"test": str(data / "test.parquet")}
    for split, rows in ROWS.items():
        files[split] = str(out / f"{split}.parquet")
        there = pd.read_parquet(data / f"{split}.parquet")
        there.sample(min(rows, len(there)), random_state=0).to_parquet(files[split])
    task = {"objective": "sequence_classification", "data": files, "columns": {"text": "text", "label": "label"}}
    experiment = {"model": str(model), "task": {"name": "questions", **task}, "techniques": ["full", "lora"]}
    training = {"epochs": EPOCHS, "patience": EPOCHS}
    study = {"name": "race", "seeds": list(range(seeds)), "training": training, "experiments": [experiment]}
    return Study.model_validate(study)


def record(out: Path, model: Path, data: Path, seeds: int) -> None:
    """Train all runs from rung to rung, and keep each one's answers at each."""
    out.mkdir(parents=True, exist_ok=True)
    study = study_of(out, model, data, seeds)
    runs = study.runs()
    answers: dict[str, dict[int, list[list[str]]]] = {}
    gold: list[str] = []
    for rung in LOOKS:
        jobs = [_job(out, run, study, rung) for run in runs]
        with Local(out, len(jobs), 1) as executor:
            drive(FixedList(jobs), executor, lambda job, event: None, out)
        for job in jobs:
            result = read_result(Path(job.folder))
            assert isinstance(result, Paused) and result.epoch == rung, result
            rows = [json.loads(line) for line in (Path(job.folder) / VALIDATION).read_text("utf-8").splitlines()]
            gold = [row["reference"] for row in rows]
            given = answers.setdefault(job.run.technique, {}).setdefault(rung, [])
            given.append([row["prediction"] for row in rows])
        print(f"epoch {rung} of {len(jobs)} runs")
        (out / "answers.json").write_text(json.dumps({"gold": gold, "answers": answers}))
    shutil.rmtree(out / "runs")


def _job(out: Path, run: Run, study: Study, rung: int) -> Job:
    return Job(
        run=run,
        places=study.places().of(run),
        family="bert",
        folder=str(out / "runs" / run.id),
        cache=str(out / "cache"),
        until_epoch=rung,
        trial=True,
    )


@dataclass(frozen=True)
class Recorded:
    """What a technique's runs answered.

    Attributes:
        gold: references of the validation texts.
        answers: rung -> (runs, texts).
    """

    gold: np.ndarray
    answers: dict[int, np.ndarray]


def recorded(out: Path) -> dict[str, Recorded]:
    """By technique."""
    stored = json.loads((out / "answers.json").read_text())
    return {
        technique: Recorded(np.array(stored["gold"]), {int(rung): np.array(given) for rung, given in by_rung.items()})
        for technique, by_rung in stored["answers"].items()
    }


def deviations(metric: Metric, given: Recorded) -> dict[int, tuple[float, float, float]]:
    """Rung -> mean score, its deviation between seeds, and that as a share of the deviation between examples."""
    assert metric.statistics is not None
    found = {}
    for rung, answers in given.answers.items():
        flat = metric.statistics(answers.ravel().tolist(), given.gold.tolist() * len(answers)).astype(float)
        variances = Variances(metric, flat.reshape(len(answers), 1, len(given.gold), -1))
        scores, errors = variances.scores[:, 0], variances.of_means()[0]
        by_example = np.sqrt(len(given.gold) * (errors**2).mean())
        found[rung] = float(scores.mean()), float(scores.std(ddof=1)), float(scores.std(ddof=1) / by_example)
    return found


def dropped(metric: Metric, given: Recorded, size: int, rows: int, deviation: float | None) -> tuple[float, float]:
    """The share of races of so many runs in which any is dropped, and the share of runs that are."""
    rng, races, runs = np.random.default_rng(0), 0, 0
    for _ in range(RACES):
        drawn = rng.permutation(next(iter(given.answers.values())).shape[0])[:size]
        texts = rng.permutation(len(given.gold))[:rows]
        behind: set[int] = set()
        for rung in LOOKS:
            answers = given.answers[rung][drawn][:, texts].tolist()
            gold, progress = given.gold[texts].tolist(), rung / EPOCHS
            gaps = elimination.gaps(metric, gold, answers, len(LOOKS), deviation, progress=progress)
            behind |= {number for number, gap in enumerate(gaps or ()) if gap.behind}
        races, runs = races + bool(behind), runs + len(behind)
    return races / RACES, runs / (RACES * size)


def race(out: Path) -> None:
    """Print the deviations between seeds, and the shares."""
    for name, (technique, given) in itertools.product(METRIC_NAMES, recorded(out).items()):
        metric = METRICS[name]
        print(f"\n{technique}, {name}: epoch: mean, deviation between seeds, as a share of that between examples")
        for rung, figures in deviations(metric, given).items():
            print(f"  {rung}: " + ", ".join(f"{figure:.3f}" for figure in figures))
        last = deviations(metric, given)[LOOKS[-1]][1]
        for size, rows in itertools.product((2, 6), (100, 250, 545)):
            shares = {}
            for rule, (share, deviation) in _rules(last).items():
                with mock.patch.multiple(elimination, EARLY_SHARE=share, LATE_SHARE=min(share, elimination.LATE_SHARE)):
                    shares[rule] = dropped(metric, given, size, rows, deviation)
            words = "; ".join(f"{rule} {races:.3f} ({runs:.3f})" for rule, (races, runs) in shares.items())
            print(f"  {size} runs, {rows} texts, races with a drop (runs dropped): {words}", flush=True)
    for name, rung in itertools.product(METRIC_NAMES, LOOKS):
        full, lora = (deviations(METRICS[name], given)[rung][0] for given in recorded(out).values())
        changes = drift(evidence([shipped_folder()]), name, rung / EPOCHS)
        for what, still in {"as they stand": 0.0, "at the end of their schedules": changes}.items():
            if still is None:
                continue
            shares = [f"{rows} texts {noticed(METRICS[name], out, rung, rows, still):.3f}" for rows in (100, 250, 545)]
            words = f"{name} after epoch {rung}: full {full:.3f}, lora {lora:.3f}; lora is dropped, compared {what}"
            print(f"{words} (drift {still:.3f}): {', '.join(shares)}", flush=True)


def _rules(last: float) -> dict[str, tuple[float, float]]:
    """Name -> the early share of the deviation between examples, and the deviation between seeds."""
    return {
        "examples only": (0.0, 0.0),
        "and the deviation at the last look": (0.0, last),
        "the rule": (elimination.EARLY_SHARE, 0.0),
    }


def noticed(metric: Metric, out: Path, rung: int, rows: int, still: float) -> float:
    """The share of pairs of runs in which LoRA is behind full fine-tuning at this rung.

    `still` is what the differences of techniques still change after it, as `elimination.gaps` has it.
    """
    rng, full, lora = np.random.default_rng(0), *recorded(out).values()
    count = 0
    for _ in range(RACES):
        texts = rng.permutation(len(full.gold))[:rows]
        answers = [
            given.answers[rung][rng.integers(len(given.answers[rung]))][texts].tolist() for given in (full, lora)
        ]
        gold, progress = full.gold[texts].tolist(), rung / EPOCHS
        gaps = elimination.gaps(metric, gold, answers, len(LOOKS), progress=progress, drift=still)
        count += gaps is not None and gaps[1].behind
    return count / RACES


def main() -> None:
    """Record or race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["record", "race"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, help="folder of a BERT-like encoder")
    parser.add_argument("--data", type=Path, help="folder with train.parquet and validation.parquet")
    parser.add_argument("--seeds", type=int, default=14)
    given = parser.parse_args()
    if given.what == "record":
        record(given.out, given.model, given.data, given.seeds)
    else:
        race(given.out)


if __name__ == "__main__":
    main()
