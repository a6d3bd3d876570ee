"""What a page shows of a study, as JSON: its head, its runs at work, all runs, charts, what happened, and logs."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebench._util.visible import escaped_within
from tunebench._util.words import plural
from tunebench.evaluation.metrics import METRICS
from tunebench.records import Done, PlannedRun
from tunebench.report import text
from tunebench.report.charts import vega
from tunebench.report.charts.base import FIELD, Chart, Looks, looks
from tunebench.report.charts.curves import curve_rows, curves
from tunebench.report.charts.losses import loss_chart
from tunebench.watch.study import WatchedStudy
from tunebench.watch.work import AtWork, name_of

_LOG_BYTES, _LOGS = 4_000, 4
_LATEST = 60  # lines of what happened


def now(study: WatchedStudy) -> dict[str, Any]:
    """What changes every second, by name."""
    planned = {run.id: run for run in study.runs}
    content = {
        "head": _head(study),
        "work": [_at_work(study, one, planned) for one in study.work.at_work.values()] if study.live else [],
        "happened": [[round(when), words] for when, words in list(study.work.happened)[-_LATEST:]],
        "logs": _logs(study.folder),
    }
    return escaped_within(content)


def runs(study: WatchedStudy) -> list[dict[str, Any]]:
    """A row for each run."""
    return escaped_within([_run(study, run) for run in study.runs])


def charts(study: WatchedStudy) -> list[dict[str, Any]]:
    """Learning curves and losses."""
    return [_drawn(key, chart) for key, chart in _charts(study)]


def as_json(part: Any) -> str:
    """A part in one line."""
    return json.dumps(part, ensure_ascii=True, separators=(",", ":"))


def _head(study: WatchedStudy) -> dict[str, Any]:
    counts, total = study.counts(), len(study.runs)
    # Not yet ended, in the command's sense: a failed run is made again, but it has ended.
    waiting = sum(counts[status] for status in ("pending", "running", "interrupted", "paused"))
    left = study.left()
    return {
        "name": study.plan.study if study.plan else study.folder.name,
        "folder": str(study.folder),
        "state": study.state,
        "sentence": _sentence(study, total - waiting),
        "counts": ", ".join(f"{number} {status}" for status, number in sorted(counts.items(), key=_order)),
        "done": total - waiting + sum(_share(one) for one in study.work.at_work.values() if not one.placed.trial),
        "total": total,
        "left": None if left is None else text.seconds(left),
        "version": study.version,
        "results": sum(isinstance(result, Done) for result in study.results.values()),
    }


def _order(item: tuple[str, int]) -> tuple[int, str]:
    known = ("running", "done", "failed", "stopped", "skipped", "not applicable", "paused", "interrupted", "pending")
    return known.index(item[0]) if item[0] in known else len(known), item[0]


def _sentence(study: WatchedStudy, ended: int) -> str:
    total = plural(len(study.runs), "run")
    match study.state:
        case "running" if not study.runs:
            return "Runs are made; the plan is not written yet."
        case "running":
            return f"{ended} of {total} have ended."
        case "absent":
            gone = not (study.folder / "plan.json").exists()
            return "No study here yet. This page shows it as soon as it begins." if gone else study.trouble
        case "ended":
            return f"The study has ended: {total}."
        case _:
            command = study.plan.command if study.plan else ""
            return f"No command makes runs now: {ended} of {total} have ended. The same command continues: {command}"


def _share(one: AtWork) -> float:
    return one.step / one.steps if one.steps else 0.0


def _at_work(study: WatchedStudy, one: AtWork, known: Mapping[str, PlannedRun]) -> dict[str, Any]:
    placed, clock = one.placed, time.time()
    run = placed.folder.rpartition("/")[2]
    planned = known.get(run)
    left = one.left(clock)
    detail = [f"{one.done:,} of {one.total:,} {'steps' if one.phase == 'trains' else 'batches'}"] if one.total else []
    if one.epoch and one.phase == "trains":
        detail.insert(0, f"epoch {one.epoch[0]} of {one.epoch[1]}")
    if one.loss is not None and one.phase == "trains":
        detail.append(f"loss {one.loss:.4f}")
    history = study.history(planned) if planned else []
    if history:
        name, value = next(iter(history[-1].validation.items()), ("", None))
        detail.append(f"validation {text.metric_title(name)} {text.score(value)}" if name in METRICS else "")
    return {
        "run": run,
        "name": _name(study, planned) if planned and not placed.trial else name_of(placed),
        "model": planned.model if planned else placed.model,
        "phase": one.phase,
        "share": one.done / one.total if one.total else None,
        "detail": ", ".join(filter(None, detail)),
        "since": text.seconds(max(0.0, clock - one.since)),
        "left": None if left is None else text.seconds(left),
        "label": None if placed.trial or planned is None else planned.label,
        "technique": _title(study, planned) if planned else placed.label,
    }


def _title(study: WatchedStudy, run: PlannedRun) -> str:
    return study.titles.get((run.model, run.task, run.label), run.label)


def _name(study: WatchedStudy, run: PlannedRun) -> str:
    return f"{_title(study, run)} on {run.task}, seed {run.seed}"


def _run(study: WatchedStudy, run: PlannedRun) -> dict[str, Any]:
    result, status = study.results.get(run.id), study.statuses[run.id]
    row = {
        "model": run.model,
        "task": run.task,
        "technique": _title(study, run),
        "seed": run.seed,
        "status": status,
        "score": "",
        "seconds": "",
        "note": getattr(result, "reason", None) or "",
    }
    if isinstance(result, Done):
        main = result.main_metric
        row |= {
            "score": f"{text.metric_title(main.name)} {text.score(main.value)}",
            "seconds": text.seconds(result.cost.total_seconds),
        }
    return row


def _charts(study: WatchedStudy) -> list[tuple[str, Chart]]:
    """Learning curves and losses by task and model; those of runs at work first."""
    look = looks([run.label for run in study.runs])
    cells: dict[tuple[str, str], list[PlannedRun]] = {}
    for run in study.runs:
        cells.setdefault((run.task, run.model), []).append(run)
    works = study.work.at_work if study.live else {}
    busy = {run.id: works[f"runs/{run.id}"] for run in study.runs if f"runs/{run.id}" in works}
    order = sorted(cells, key=lambda key: not any(run.id in busy for run in cells[key]))
    found: list[tuple[str, Chart]] = []
    for key in order:
        place = f"{key[0]} with {key[1]}"
        for chart in (_curves(study, place, cells[key], look), _losses(place, cells[key], busy, look)):
            if chart is not None:
                found.append((f"{place} {chart.name}", chart))
    return found


def _curves(study: WatchedStudy, place: str, runs: list[PlannedRun], look: Looks) -> Chart | None:
    histories = [(run, study.history(run)) for run in runs]
    metric = next((name for _, epochs in histories for epoch in epochs for name in epoch.validation), None)
    if metric is None or metric not in METRICS:
        return None
    rows: list[dict[str, Any]] = []
    levels: dict[str, dict[str, Any]] = {}
    for run, epochs in histories:
        result = study.results.get(run.id)
        done = result if isinstance(result, Done) else None
        rows += curve_rows(run.label, run.seed, epochs, metric, done.best_epoch if done else None)
        if done and not epochs:
            levels.setdefault(run.label, {FIELD: run.label, "level": done.metrics.validation.get(metric)})
    return curves(place, metric, rows, list(levels.values()), look)


def _losses(place: str, runs: list[PlannedRun], busy: dict[str, AtWork], look: Looks) -> Chart | None:
    rows = [
        {FIELD: run.label, "run": f"{run.label}, seed {run.seed}", "step": step, "loss": loss}
        for run in runs
        if run.id in busy
        for step, loss in busy[run.id].losses
    ]
    return loss_chart(place, rows, look) if rows else None


def _drawn(key: str, chart: Chart) -> dict[str, Any]:
    return {"key": key, "title": chart.title, "choice": chart.choice, **vega.data(chart)}


def _logs(folder: Path) -> list[dict[str, str]]:
    """The ends of the newest logs of workers."""
    found = []
    for path in folder.glob("worker-*.log"):
        try:
            there = path.stat()
            with path.open("rb") as file:
                file.seek(max(0, there.st_size - _LOG_BYTES))
                end = file.read(_LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        if end.strip():
            found.append((there.st_mtime, path.name, end))
    newest = sorted(found, reverse=True)[:_LOGS]
    return [{"name": name, "text": end} for _, name, end in sorted(newest, key=lambda one: one[1])]
