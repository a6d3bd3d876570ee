"""How far is a recommendation from the best choice, and what does it cost? Leave-one-data-set-out over the evidence.

    python benchmarks/recommend.py [FOLDER ...]

Each data set is held out with all its sizes and seeds, and with the sets that it is not independent of. A strategy then
spends a share of the seconds of the whole sweep (every technique at every rate), and names one run. Its regret is how
far the test score of that run is below the best of the sweep's, in points, and as a share of what the best gains over
the untuned model, where the evidence has that.

Races are replayed from the recorded scores after each epoch: the answers are not kept, so that a run is dropped by the
binomial error of its score, as if two runs agreed on half of what one of them gets wrong. Seconds are CPU seconds.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunebench.advise.decide import Belief, outlooks
from tunebench.advise.elimination import EARLY_SHARE, level
from tunebench.advise.evidence.base import Evidence, evidence
from tunebench.advise.evidence.expect import PRIOR_DEVIATION, UNKNOWN, expectations
from tunebench.advise.evidence.ranks import Setting, Variant, settings_of
from tunebench.advise.evidence.rates import Rates

SHARES = (0.05, 0.10, 0.25, 0.50)
SEEDS = 20
ALL_LINEAR = '{"targets": ["query", "key", "value", "output", "mlp_in", "mlp_out"]}'


@dataclass(frozen=True)
class Held:
    """A cell that is held out, and what is known of all others."""

    cell: Evidence
    settings: list[Setting]
    others: list[Evidence]

    @property
    def sweep(self) -> float:
        """Seconds of all its settings, one seed each."""
        return sum(one.seconds for one in self.settings)

    @property
    def best(self) -> float:
        """The best test score of the sweep."""
        return max(one.test for one in self.settings)

    def regret(self, chosen: Setting) -> float:
        """In points."""
        return 100 * (self.best - chosen.test)

    def normalised(self, chosen: Setting) -> float:
        """As a share of what the best gains over the untuned model; NaN where the sweep does not have that."""
        untuned = next((one.test for one in self.settings if one.variant.technique == "untuned"), math.nan)
        return (self.best - chosen.test) / (self.best - untuned)


def held_out(base: Sequence[Evidence]) -> list[Held]:
    """Every cell whose sweep is whole enough: full fine-tuning at three rates, and another technique."""
    cells = []
    for one in base:
        settings = [setting for setting in settings_of(one) if math.isfinite(setting.test)]
        full = [setting for setting in settings if setting.variant == Variant("full")]
        if len(full) >= 3 and len({setting.variant for setting in settings}) >= 4:
            others = [other for other in base if other.cell.group != one.cell.group]
            cells.append(Held(one, settings, others))
    return cells


def closest(held: Held, variant: Variant, rate: float | None) -> Setting | None:
    """The setting of a variant whose rate is closest to one."""
    fitting = [one for one in held.settings if one.variant == variant]
    if rate is None or not fitting:
        return fitting[0] if fitting else None
    return min(fitting, key=lambda one: abs(math.log(one.learning_rate / rate)) if one.learning_rate else 0.0)


def suggested(held: Held) -> dict[Variant, Setting]:
    """Each variant at the rate that the other data sets suggest."""
    rates = Rates(held.others)
    found = {}
    for variant in dict.fromkeys(one.variant for one in held.settings):
        steps = next(one for one in held.settings if one.variant == variant).runs[0].steps
        trained = any(one.learning_rate for one in held.settings if one.variant == variant)
        setting = closest(held, variant, rates.suggested(variant, held.cell.cell.hidden, steps) if trained else None)
        if setting is not None:
            found[variant] = setting
    return found


def by_evidence(held: Held, width: float) -> Setting:
    """`recommend --seconds 0` without its preference for what is cheap: the smallest expected regret."""
    expected = expectations(held.others, held.cell.cell, width)
    starts = suggested(held)
    beliefs = {
        variant.technique + variant.settings: Belief(-expected[variant].mean, expected[variant].deviation)
        if variant in expected
        else Belief(-UNKNOWN, PRIOR_DEVIATION)
        for variant in starts
    }
    outlook = outlooks(beliefs)
    return starts[min(starts, key=lambda variant: outlook[variant.technique + variant.settings].regret)]


def race(held: Held, share: float) -> Setting:
    """A race within a share of the sweep's seconds, in the order of the evidence."""
    expected = expectations(held.others, held.cell.cell)
    starts = suggested(held)
    order = sorted(starts, key=lambda variant: expected[variant].mean if variant in expected else UNKNOWN)
    queue = [starts[variant] for variant in order]
    queue += [
        one for variant in order for one in held.settings if one.variant == variant and one is not starts[variant]
    ]
    return _raced(held, [one for one in queue if one.seconds <= share * held.sweep] or [queue[-1]], share * held.sweep)


def _raced(held: Held, queue: list[Setting], seconds: float) -> Setting:
    spent, entered = 0.0, []
    for one in queue:
        first = one.seconds / max(len(_curve(one)), 1)
        if entered and spent + first > 0.4 * seconds:
            break
        spent += first
        entered.append(one)
    epochs = dict.fromkeys(map(id, entered), 1)
    alive = list(entered)
    while True:
        alive = [one for one in alive if not _behind(one, alive, epochs, held)]
        waiting = [one for one in alive if epochs[id(one)] < len(_curve(one))]
        if not waiting:
            break
        following = max(waiting, key=lambda one: _curve(one)[epochs[id(one)] - 1])
        until = min(2 * epochs[id(following)], len(_curve(following)))
        cost = following.seconds / len(_curve(following)) * (until - epochs[id(following)])
        if spent + cost > seconds:
            break
        spent += cost
        epochs[id(following)] = until
    ended = [one for one in alive if epochs[id(one)] == len(_curve(one))] or alive
    return max(ended, key=lambda one: max(_curve(one)[: epochs[id(one)]]))


def _curve(one: Setting) -> list[float]:
    """After each epoch, higher is better; of a baseline its one score. One seed: a race has no more."""
    run = one.runs[0]
    curve = [one.sign * score if score is not None else -math.inf for score in run.curve]
    return curve or [one.sign * (run.validation if run.validation is not None else -math.inf)]


def _behind(one: Setting, alive: list[Setting], epochs: dict[int, int], held: Held) -> bool:
    epoch = epochs[id(one)]
    rivals = [other for other in alive if epochs[id(other)] >= epoch and len(_curve(other)) >= epoch]
    if epoch == len(_curve(one)) or len(rivals) < 2:
        return False
    leader = max(_curve(other)[epoch - 1] for other in rivals)
    score = _curve(one)[epoch - 1]
    if not math.isfinite(score):
        return True
    share = min(max(abs(leader), 0.01), 0.99)
    examples = share * (1 - share) / held.cell.cell.rows["validation"]
    error = math.sqrt(examples + 2 * EARLY_SHARE**2 * share * (1 - share))
    return 1 - math.erf((leader - score) / error / math.sqrt(2)) <= level(3, max(len(alive) - 1, 1))


def always(variant: Variant, rate: float | None) -> Callable[[Held, float], Setting]:
    """One technique at one rate; TF-IDF where a share of the sweep does not pay for it."""

    def strategy(held: Held, share: float) -> Setting:
        one = closest(held, variant, rate)
        affordable = one is not None and one.seconds <= share * held.sweep
        return one if one is not None and affordable else _cheapest(held)

    return strategy


def random_search(held: Held, share: float, seed: int = 0) -> Setting:
    """Whole runs at random until the seconds end; the best on validation."""
    order = np.random.default_rng(seed).permutation(len(held.settings))
    spent, made = 0.0, []
    for place in order:
        one = held.settings[place]
        if spent + one.seconds <= share * held.sweep:
            spent += one.seconds
            made.append(one)
    return max(made, key=lambda one: max(_curve(one)), default=_cheapest(held))


def after_one_epoch(held: Held, share: float) -> Setting:
    """Every setting for an epoch, as many as the seconds pay for; the best then."""
    spent, made = 0.0, []
    for one in held.settings:
        spent += one.seconds / len(_curve(one))
        if spent <= share * held.sweep:
            made.append(one)
    return max(made, key=lambda one: _curve(one)[0], default=_cheapest(held))


def _cheapest(held: Held) -> Setting:
    return min(held.settings, key=lambda one: one.seconds)


def interval(values: Sequence[float]) -> str:
    """The mean, with a 95 % bootstrap interval over data sets."""
    array = np.array(values)
    draws = np.random.default_rng(0).choice(array, (10_000, len(array))).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{array.mean():.1f} ({low:.1f} to {high:.1f})"


def main() -> None:
    """Print a table of each model."""
    base = evidence([Path(folder) for folder in sys.argv[1:]] or None)
    for model in sorted({one.cell.model for one in base}):
        cells = held_out([one for one in base if one.cell.model == model])
        if len(cells) < 3:
            print(f"{model}: {len(cells)} whole data sets are too few.")
            continue
        groups = len({one.cell.cell.group for one in cells})
        print(
            f"\n{model}: {len(cells)} cells of {groups} independent data sets; mean regret in points (95 % interval)\n"
        )
        _table(cells)


def _table(cells: list[Held]) -> None:
    full, lora = Variant("full"), Variant("lora", ALL_LINEAR)
    rows: dict[str, list[list[Setting]]] = {
        "evidence alone, similar data": [[by_evidence(one, 1.0) for one in cells]],
        "evidence alone, all data alike": [[by_evidence(one, math.inf) for one in cells]],
    }
    timed: dict[str, Callable[[Held, float], Setting]] = {
        "race": race,
        "always full, default rate": always(full, 5e-5),
        "always full, ten times the rate": always(full, 5e-4),
        "always LoRA, ten times full's rate": always(lora, 5e-4),
        "best after one epoch": after_one_epoch,
    }
    print("| strategy | 0 s |", " | ".join(f"{share:.0%}" for share in SHARES), "| share of the gain, last column |")
    print("| --- | --- |", " --- |" * (len(SHARES) + 1))
    for name, chosen in rows.items():
        _row(name, cells, [*chosen, *[[]] * len(SHARES)])
    for name, strategy in timed.items():
        _row(name, cells, [[], *([strategy(one, share) for one in cells] for share in SHARES)])
    drawn = [[], *([random_search(one, share, seed) for one in cells for seed in range(SEEDS)] for share in SHARES)]
    _row(f"random search, mean of {SEEDS}", [one for one in cells for _ in range(SEEDS)], drawn)
    oracle = [max(one.settings, key=lambda setting: setting.validation) for one in cells]
    _row("whole sweep, best on validation", cells, [[]] * len(SHARES) + [oracle])


def _row(name: str, cells: list[Held], columns: Sequence[list[Setting]]) -> None:
    regrets = [[one.regret(chosen) for one, chosen in zip(cells, column, strict=bool(column))] for column in columns]
    gains = [
        100 * one.normalised(chosen) for one, chosen in zip(cells, next(c for c in columns[::-1] if c), strict=True)
    ]
    share = f"{np.mean(gains):.0f} %" if np.isfinite(gains).all() else "no untuned model"
    print(f"| {name} |", " | ".join(interval(one) if one else "" for one in regrets), f"| {share} |")


if __name__ == "__main__":
    main()
