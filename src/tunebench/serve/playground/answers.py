"""Answers as a page shows them: ranked labels, a number, a text, or a text with its entities marked."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunebench._util.visible import escaped_within
from tunebench.evaluation.entities import spans

_MOST = 8  # labels


def shown(content: Mapping[str, Any], pair: str | None) -> dict[str, Any]:
    """What a page shows of an answer of `FinishedRun.predict`.

    `answer` is the answer in words. `ranked` are labels with their probabilities, the likeliest first; `marked` are
    pieces of the text, each with the kind of its entity or None.
    """
    made: dict[str, Any] = {"answer": _in_words(content), "ranked": [], "marked": []}
    scores = content.get("scores")
    if isinstance(scores, Mapping):
        numbers = [(label, value) for label, value in scores.items() if isinstance(value, int | float)]
        made["ranked"] = sorted(numbers, key=lambda one: -one[1])[:_MOST]
    if "tags" in content:
        made["marked"] = marked(content["tokens"], content["tags"])
    elif pair and isinstance(content.get("answer"), str):
        made["marked"] = _found(content["answer"], pair)
    return escaped_within(made)


def marked(tokens: Sequence[str], tags: Sequence[str]) -> list[tuple[str, str | None]]:
    """A tagged text as pieces: entities with their kind, and what lies between them."""
    pieces: list[tuple[str, str | None]] = []
    place = 0
    for kind, first, last in spans(tags):
        if first > place:
            pieces.append((" ".join(tokens[place:first]), None))
        pieces.append((" ".join(tokens[first : last + 1]), kind))
        place = last + 1
    if place < len(tokens):
        pieces.append((" ".join(tokens[place:]), None))
    return pieces


def _found(answer: str, context: str) -> list[tuple[str, str | None]]:
    """A context with the answer marked where it first occurs; nothing where it does not."""
    at = context.find(answer) if answer.strip() else -1
    if at < 0:
        return []
    pieces = [(context[:at], None), (answer, "answer"), (context[at + len(answer) :], None)]
    return [(piece, kind) for piece, kind in pieces if piece]


def _in_words(content: Mapping[str, Any]) -> str:
    if "tags" in content:
        found = len(spans(content["tags"]))
        return "no entity" if not found else f"{found} {'entity' if found == 1 else 'entities'}"
    if "labels" in content:
        return ", ".join(content["labels"]) or "no label"
    for name in ("label", "answer", "response"):
        if name in content:
            return str(content[name]) or "(an empty text)"
    score = content.get("score")
    return f"{score:.4f}" if isinstance(score, int | float) else "undefined"
