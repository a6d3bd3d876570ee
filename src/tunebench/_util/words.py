"""Words that depend on a count."""


def plural(number: int, noun: str) -> str:
    """A count with its noun: 1 run, 2 runs."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
