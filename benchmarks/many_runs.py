"""How long a report over many runs takes: a finished study's runs, again and again under other seeds.

    python benchmarks/many_runs.py runs/demo --runs 1000

Each copy exchanges its answers among a fifth of its test examples, so that no two runs answer alike: equal answers
would be computed once.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DEALT = 0.2  # of the answers


def main() -> None:
    """Make the copies, build their report, and build it again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder of a finished study")
    parser.add_argument("--runs", type=int, default=1000, help="about so many: in whole rounds of the study's")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        count = copies(args.study, out, args.runs)
        for which in ("first", "again"):
            seconds, processor = timed([Path(sys.executable).with_name("tunebench"), "report", out])
            size = (out / "report.html").stat().st_size / 1e6
            print(f"{count} runs, {which}: {seconds:.1f} s, {processor:.1f} s of processor time, {size:.1f} MB")


def copies(study: Path, out: Path, wanted: int) -> int:
    """A study of so many runs, made of the finished ones of another; how many there are."""
    plan = json.loads((study / "plan.json").read_text("utf-8"))
    finished = [run for run in plan["runs"] if (study / "runs" / run["id"] / "predictions.jsonl").exists()]
    seeds = len({run["seed"] for run in finished})
    runs = []
    for around in range(max(1, round(wanted / len(finished)))):  # whole rounds: all techniques have the same seeds
        for source in finished:
            run = {**source, "id": f"run-{len(runs):05}", "seed": around * seeds + source["seed"]}
            copy(study / "runs" / source["id"], out / "runs" / run["id"], run)
            runs.append(run)
    (out / "plan.json").write_text(json.dumps({**plan, "runs": runs}), "utf-8")
    shutil.copy(study / "study.yaml", out / "study.yaml")
    return len(runs)


def copy(source: Path, target: Path, run: dict[str, Any]) -> None:
    """One run under another name and seed; some answers change places among examples of one length."""
    target.mkdir(parents=True)
    result = json.loads((source / "result.json").read_text("utf-8"))
    result["run"] |= {"id": run["id"], "seed": run["seed"]}
    (target / "result.json").write_text(json.dumps(result), "utf-8")
    rows = [json.loads(line) for line in (source / "predictions.jsonl").read_bytes().split(b"\n") if line]
    draw = random.Random(run["id"])
    alike: dict[int, list[int]] = {}
    for at in draw.sample(range(len(rows)), int(DEALT * len(rows))):
        reference = rows[at]["reference"]
        alike.setdefault(len(reference) if isinstance(reference, list) else 0, []).append(at)
    for places in alike.values():
        answers = [rows[at]["prediction"] for at in places]
        for at, answer in zip(places, draw.sample(answers, len(answers)), strict=True):
            rows[at]["prediction"] = answer
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (target / "predictions.jsonl").write_text("".join(lines), "utf-8")


def timed(command: list[Any]) -> tuple[float, float]:
    """Seconds of a process from start to end, and its processor time, with that of the processes it started."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
