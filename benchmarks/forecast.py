"""Are forecasts of training time right? 20 measured steps of each technique, compared with the evidence's whole runs.

    OMP_NUM_THREADS=1 python benchmarks/forecast.py --data FOLDER --model NAME=PATH [--only DATASET ...]

Real seconds are CPU seconds of runs with one thread, so the forecast is made with one thread, too.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tunebench.advise.evidence.base import Evidence, evidence
from tunebench.advise.evidence.ranks import Variant, settings_of
from tunebench.advise.evidence.record import changed
from tunebench.advise.evidence.sources import studies
from tunebench.advise.prices import ForecastCost, priced
from tunebench.run.cell import Cell
from tunebench.run.job import Job
from tunebench.study import Study
from tunebench.techniques.base import Baseline


def jobs_of(study: Study, folder: Path, known: set[Variant]) -> dict[Variant, Job]:
    """One job for each variant that the evidence has and that trains."""
    places = study.places()
    jobs: dict[Variant, Job] = {}
    for run in study.runs():
        variant = Variant.of(run.technique, changed(run))
        if variant in known and variant not in jobs and not isinstance(run.entry, Baseline):
            family = Cell.of(run, places).family.name
            jobs[variant] = Job(
                run=run,
                places=places.of(run),
                family=family,
                folder=str(folder),
                cache=str(folder / "cache"),
                trial=True,
            )
    return jobs


def ratios(one: Evidence, study: Study) -> Iterator[tuple[str, float, float]]:
    """Technique, forecast and real seconds."""
    real = {setting.variant: setting.seconds for setting in settings_of(one)}
    with tempfile.TemporaryDirectory() as folder:
        jobs = jobs_of(study, Path(folder), set(real))
        by_run = {job.run.id: variant for variant, job in jobs.items()}
        for job, price in priced(Path(folder), list(jobs.values())):
            if isinstance(price, ForecastCost):
                variant = by_run[job.run.id]
                yield variant.technique, price.tuning_seconds, real[variant]


def main() -> None:
    """Print forecast, real seconds and their ratio, and the median error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--evidence", type=Path)
    options = parser.parse_args()
    name, equals, path = options.model.partition("=")
    every = evidence([options.evidence] if options.evidence else None)
    base = {one.cell.dataset: one for one in every if one.cell.model == name}
    model = {"path": str(Path(path).absolute()), "name": name} if equals else name
    errors: list[float] = []
    print("| data set | technique | forecast, s | real, s | ratio |\n| --- | --- | ---: | ---: | ---: |")
    done: set[str] = set()
    for dataset, study in studies(options.data.absolute(), model, 400):
        if dataset in base and dataset not in done and (not options.only or dataset in options.only):
            done.add(dataset)
            for technique, forecast, real in ratios(base[dataset], study):
                errors.append(abs(forecast / real - 1))
                print(f"| {dataset} | {technique} | {forecast:.1f} | {real:.1f} | {forecast / real:.2f} |", flush=True)
    if errors:
        within = sum(error < 0.25 for error in errors)
        print(f"\n{len(errors)} forecasts: median error {median(errors):.0%}, {within} within 25 %.")


if __name__ == "__main__":
    main()
