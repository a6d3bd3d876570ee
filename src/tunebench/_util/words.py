"""Words that depend on a count, or on their place in a sentence."""

from collections.abc import Sequence


def plural(number: int, noun: str) -> str:
    """A count with its noun: 1 run, 2 runs."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def counted(number: int, nouns: str, verb: str = "") -> str:
    """A count with a plural noun that something else names, and its verb: 1 train prompt was, 2 train prompts were."""
    noun = nouns.removesuffix("s") if number == 1 else nouns
    return f"{number:,} {noun}" + (f" {_ONE.get(verb, verb)}" if number == 1 and verb else f" {verb}" if verb else "")


def listed(words: Sequence[str]) -> str:
    """At least one, as in a sentence: one, two and three."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def inside(title: str) -> str:
    """A title inside a sentence: ordinary words lose their capital, names such as LoRA or P-tuning keep it."""
    first, _, _ = title.partition(" ")
    ordinary = len(first) > 1 and first.replace("-", "x").isalpha() and first[1:].islower() and first[1] != "-"
    return title[0].lower() + title[1:] if ordinary else title


_ONE = {"were": "was", "have": "has", "are": "is", "leave": "leaves"}
