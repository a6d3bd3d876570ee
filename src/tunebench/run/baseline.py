"""Runs of baselines: fit on the training examples, predict the test split."""

from pathlib import Path

import torch

from tunebench._util.files import ordinary_permissions
from tunebench.engine import measure, train
from tunebench.engine.evaluate import score
from tunebench.engine.latency import Latency, middle, seconds
from tunebench.records import Parameters
from tunebench.run.record import Outcome
from tunebench.study import Run
from tunebench.tasks.load import Data
from tunebench.techniques.base import Baseline


def fit_baseline(run: Run, baseline: Baseline, examples: Data, folder: Path) -> Outcome:
    """Fit a baseline, save it in the run's folder, and predict the test split."""
    watch, test = measure.Stopwatch(), examples.splits["test"]
    with watch.time("train"):
        predictor = baseline.fit(examples.splits["train"], run.task.objective, examples.labels, run.seed)
    saved = predictor.save(folder)
    ordinary_permissions(*saved)
    with watch.time("evaluation"):
        guesses, _ = predictor.predict(examples.splits["validation"])
        gold = run.task.references(examples.splits["validation"], examples.labels)
        validation = score(run.task.metrics, guesses, gold)
    predictions, details = predictor.predict(test)
    count = predictor.parameters
    environment, peaks = measure.environment(torch.device("cpu"), "float64"), measure.Peaks()
    (index,) = middle([len(str(example)) for example in test])
    return Outcome(
        predictions=predictions,
        details=details,
        validation=validation,
        parameters=Parameters(total=count, trainable=count, technique=count, head=0),
        environment=environment,
        state=train.State(seconds=watch.seconds),
        saved=saved,
        peaks=peaks,
        latency=Latency(seconds=seconds(lambda: predictor.predict(test[index : index + 1]))),
    )
