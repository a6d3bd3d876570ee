"""Learning rates: techniques that were tried with one only, and grids whose best rate is at their edge."""

import json
from collections.abc import Iterator

from tunebench._util.words import inside
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.costs import validation_mean

Rated = tuple[float, Row]
"""A row, and its learning rate."""


def trains(row: Row) -> bool:
    """Whether it trained weights in epochs."""
    return row.parameters is not None and row.parameters.trainable > 0 and bool(row.done and row.done[0].best_epoch)


def grids(comparison: Comparison) -> list[list[Rated]]:
    """Rows that differ in nothing but their learning rate, of which there may be one."""
    found: dict[str, list[Rated]] = {}
    for row in comparison.rows:
        rate = row.done[0].run.settings.get("learning_rate") if trains(row) else None
        if rate is not None:
            run = row.done[0].run
            others = {name: value for name, value in run.settings.items() if name != "learning_rate"}
            same = json.dumps([run.technique, others, run.training], sort_keys=True)
            found.setdefault(same, []).append((rate, row))
    return list(found.values())


def untuned_rates(comparison: Comparison) -> str | None:
    """What to know of a comparison in which techniques ran at one learning rate each, if there are two of them."""
    every = grids(comparison)
    single = [_technique(grid[0][1]) for grid in every if len({rate for rate, _ in grid}) == 1]
    if len(every) < 2 or not single:
        return None
    who = "each technique" if len(single) == len(every) else ", ".join(dict.fromkeys(single))
    return (
        f"Only one learning rate was tried for {who}, and a grid of rates can change the order. Give the study a "
        "search (search: {trials: 9}), or list a technique once for each rate."
    )


def _technique(row: Row) -> str:
    return inside(row.cell.title) if row.cell and row.cell.title else row.done[0].run.technique


def edges(comparison: Comparison) -> Iterator[tuple[str, Row]]:
    """Rows whose learning rate is the best of its grid on validation, and the lowest or the highest of it."""
    for grid in grids(comparison):
        scored = [(rate, validation_mean(comparison, row), row) for rate, row in grid]
        known = [(rate, score, row) for rate, score, row in scored if score is not None]
        rates = sorted({rate for rate, _, _ in known})
        choose = max if comparison.main and comparison.main[1] else min
        chosen = [(rate, row) for rate, score, row in known if score == choose(score for _, score, _ in known)]
        if len(rates) < 2 or any(rates[0] < rate < rates[-1] for rate, _ in chosen):
            continue
        for rate, row in chosen:
            where, way = ("lowest", "lower") if rate == rates[0] else ("highest", "higher")
            message = (
                f"Of {len(rates)} learning rates ({', '.join(f'{r:g}' for r in rates)}) the {where} is the best on "
                f"validation: a {way} one may be better."
            )
            yield message, row
