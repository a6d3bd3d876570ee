"""The records for programs: `results.json` and `results.csv`."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from tunebench._util.visible import escaped
from tunebench.records import Cost, Done, Parameters, Result
from tunebench.report.read.costs import money
from tunebench.report.read.study import StudyResults


def as_json(study: StudyResults) -> str:
    """The list of result records, one a line, in the order of the plan; a pending run has none."""
    records = (run.result.model_dump(mode="json", by_alias=True) for run in study.runs if run.result)
    lines = (json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def as_csv(study: StudyResults) -> str:
    """One row a run, pending ones too. Seconds and bytes are bare numbers; undefined is NaN, not measured is empty.

    A text that begins like a formula is preceded by an apostrophe.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, _columns(study), restval="", lineterminator="\n")
    writer.writeheader()
    for run in study.runs:
        row = run.plan.model_dump() | {"status": run.status}
        if isinstance(run.result, Done):
            row |= _run(run.result) | _done(run.result) | _price(run.result, study.plan.price_per_hour)
        elif run.result:
            row |= _run(run.result) | {"reason": run.result.reason}
        writer.writerow({name: _harmless(value) for name, value in row.items()})
    return file.getvalue()


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula begins with an apostrophe; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = escaped(value)  # a carriage return would end the row
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def _columns(study: StudyResults) -> list[str]:
    done = [run.result for run in study.runs if isinstance(run.result, Done)]
    columns = [
        "id",
        "status",
        "model",
        "family",
        "task",
        "technique",
        "label",
        "seed",
        "main_metric",
        "main_split",
        "higher_is_better",
        "main_value",
        "main_low",
        "main_high",
    ]
    columns += dict.fromkeys(name for result in done for name in _test(result))
    columns += dict.fromkeys(name for result in done for name in _validation(result))
    columns += [f"parameters_{name}" for name in Parameters.model_fields]
    columns += Cost.model_fields
    columns += ["price"] if study.plan.price_per_hour is not None else []
    columns += ["best_epoch", "data_source", "data_fingerprint"]
    columns += dict.fromkeys(name for result in done for name in _rows(result))
    columns += ["revision", "pooling", "task_version", "settings", "training", "task_settings"]
    return [*columns, "notices", "reason"]


def _run(result: Result) -> dict[str, Any]:
    run = result.run
    dumped = {
        name: json.dumps(getattr(run, name), sort_keys=True) for name in ("settings", "training", "task_settings")
    }
    return {"revision": run.revision, "pooling": _asked(run.pooling), "task_version": run.task_version, **dumped}


def _asked(pooling: str) -> str:
    """What a study says of the pooling; "auto" says nothing of what a run did."""
    return "" if pooling == "auto" else pooling


def _done(result: Done) -> dict[str, Any]:
    main = result.main_metric
    low, high = result.intervals.get(main.name) or (None, None)
    return {
        "main_metric": main.name,
        "main_split": main.split,
        "higher_is_better": main.higher_is_better,
        "main_value": _number(main.value),
        "main_low": low,
        "main_high": high,
        **_test(result),
        **_validation(result),
        **{f"parameters_{name}": value for name, value in result.parameters},
        **dict(result.cost),
        "best_epoch": result.best_epoch,
        "data_source": result.data.source,
        "data_fingerprint": result.data.fingerprint,
        **_rows(result),
        "pooling": result.pooling or _asked(result.run.pooling),
        "notices": ";".join(notice.code for notice in result.notices),
    }


def _price(result: Done, per_hour: float | None) -> dict[str, Any]:
    return {} if per_hour is None else {"price": money(result.cost, per_hour)}


def _test(result: Done) -> dict[str, Any]:
    return dict(_scores(result))


def _scores(result: Done) -> Iterator[tuple[str, Any]]:
    for name, value in result.metrics.test.items():
        low, high = result.intervals.get(name) or (None, None)
        yield from ((f"test_{name}", _number(value)), (f"test_{name}_low", low), (f"test_{name}_high", high))


def _validation(result: Done) -> dict[str, Any]:
    return {f"validation_{name}": _number(value) for name, value in result.metrics.validation.items()}


def _rows(result: Done) -> dict[str, Any]:
    return {f"rows_{split}": number for split, number in result.data.rows.items()}


def _number(value: float | None) -> float | str:
    return "NaN" if value is None else value
