"""What two studies did differently: settings, data, model and code of the runs that belong together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunebench.records import Done
from tunebench.report import text
from tunebench.report.read.matches import Match

_SHOWN = 12
"""Digits of a fingerprint that a reader is shown."""


@dataclass(frozen=True)
class StudyChange:
    """One field with its values in two studies, and the techniques that it is true of: "LoRA on emotion with tiny"."""

    field: str
    before: str
    after: str
    rows: tuple[str, ...]


def changes(matched: Sequence[Match]) -> list[StudyChange]:
    """Every field that differs between matched results, each pair of values once."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for match in matched:
        if not match.before.done or not match.after.done:
            continue
        was, now = dict(_facts(match.before.done)), dict(_facts(match.after.done))
        for field in dict.fromkeys([*was, *now]):
            values = was.get(field, text.ABSENT), now.get(field, text.ABSENT)
            if values[0] != values[1]:
                rows.setdefault((field, *values), []).append(f"{match.title} on {match.where}")
    return [StudyChange(*key, tuple(names)) for key, names in rows.items()]


def _facts(results: Sequence[Done]) -> Iterator[tuple[str, str]]:
    """What can change a figure, or a time, by the name that a reader knows it by."""
    first = results[0]
    run, data, backbone = first.run, first.data, first.backbone
    yield "seeds", ", ".join(str(result.run.seed) for result in results)
    yield "model", run.model
    yield "model's revision", run.revision or text.ABSENT
    yield "model's files (fingerprint)", backbone.fingerprint[:_SHOWN] if backbone else text.ABSENT
    yield "vector of a text", first.pooling or text.ABSENT
    yield "technique", run.technique
    yield from _each("", run.settings)
    yield from _each("training: ", run.training)
    yield from _each("task: ", run.task_settings)
    yield "task: main metric", first.main_metric.name
    yield from _each("rows: ", data.rows)
    yield "examples (fingerprint)", data.fingerprint[:_SHOWN]
    yield from _each("code: ", first.environment.get("packages", {}))
    for name in ("python", "processor", "cores", "threads", "workers", "device", "precision"):
        if name in first.environment:
            yield f"machine: {name}", text.plain(first.environment[name])


def _each(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        yield f"{prefix}{name}", text.plain(value)
