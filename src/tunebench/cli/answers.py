"""Answers as text, csv or JSON Lines."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

OutputFormat = Literal["text", "csv", "jsonl"]
Answer = Mapping[str, Any]

_BREAKS = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def lines(answers: Sequence[Answer], form: OutputFormat) -> Iterator[str]:
    """The output, one line per answer; csv has a header before, and a cell may hold line breaks."""
    if form == "csv":
        yield from _csv(answers)
    else:
        yield from map(_json if form == "jsonl" else _text, answers)


def _json(answer: Answer) -> str:
    """JSON in which no program sees a line break."""
    text = json.dumps(answer, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _csv(answers: Sequence[Answer]) -> Iterator[str]:
    """Texts as they are; lists and scores as JSON."""
    columns = list(dict.fromkeys(key for answer in answers for key in answer))
    for row in [columns, *([_cell(answer.get(key)) for key in columns] for answer in answers)]:
        written = io.StringIO()
        csv.writer(written).writerow(row)
        yield written.getvalue().removesuffix("\r\n")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else _json(value)


def _text(answer: Answer) -> str:
    """The answer, then the text, separated by a tab."""
    if "tags" in answer:
        return " ".join(f"{_flat(word)}/{tag}" for word, tag in zip(answer["tokens"], answer["tags"], strict=True))
    return "\t".join(map(_flat, (*_short(answer), answer["text"])))


def _short(answer: Answer) -> Iterator[str]:
    if "labels" in answer:
        yield ", ".join(answer["labels"]) or "(no label)"
    elif "label" in answer:
        yield answer["label"]
        if isinstance(answer["scores"], Mapping):
            scores = sorted(answer["scores"].items(), key=lambda item: -item[1])
            yield ", ".join(f"{label} {value:.3f}" for label, value in scores)
    elif "response" in answer:
        yield f"{answer['response']}{'' if answer['ended'] else ' …'}"
    elif "answer" in answer:
        yield answer["answer"]
    else:
        yield f"{answer['score']:.3f}"


def _flat(text: str) -> str:
    """A text without line breaks and control characters, which are shown escaped."""
    return "".join(letter if _is_plain(letter) else _BREAKS.get(letter, f"\\u{ord(letter):04x}") for letter in text)


def _is_plain(letter: str) -> bool:
    return unicodedata.category(letter) not in ("Cc", "Zl", "Zp", "Cs")
