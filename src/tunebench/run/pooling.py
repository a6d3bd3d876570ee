"""How the vector of a text is made: as the study asks, as the checkpoint's files say, or in the model's own way."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebench._util.errors import shown
from tunebench.families.base import Pooling
from tunebench.records import Notice
from tunebench.study.run import PoolingChoice
from tunebench.zoo.sentence_files import SentenceFiles, sentence_files

_MODES: dict[str, Pooling] = {"cls": "first", "mean": "mean", "lasttoken": "last"}
"""The modes of sentence-transformers that are known here."""
_VECTORS: dict[Pooling, str] = {
    "first": "the first token's vector",
    "mean": "the mean of the tokens' vectors",
    "last": "the last token's vector",
}


@dataclass(frozen=True)
class ChosenPooling:
    """How the vector of a text is made, and what a reader of the figures should know of it.

    Attributes:
        way: which vector stands for a text.
        notices: empty where nothing but the model's own way was asked for.
    """

    way: Pooling
    notices: tuple[Notice, ...] = ()


def choose(
    wanted: PoolingChoice, folder: Path | None, possible: Sequence[Pooling], *, together: bool = False
) -> ChosenPooling:
    """The pooling of a model.

    Args:
        wanted: what the study asks for, one of `possible` or auto.
        folder: the model's files, if they are here.
        possible: the ways that there are, the one without any wish first.
        together: whether two texts are read as one, which the checkpoint's files do not speak of.
    """
    if wanted != "auto":
        return ChosenPooling(wanted, (_notice(f"A text's vector is {_VECTORS[wanted]}, as the study asks."),))
    files = sentence_files(folder) if folder else None
    if files is None:
        return ChosenPooling(possible[0])
    way = _MODES.get(files.pooling)
    if together:
        why = (
            f"The vector of a pair, whose texts are read together, is {_VECTORS[possible[0]]}: the checkpoint's "
            "sentence-transformers files say how the vector of a single text is made."
        )
        return ChosenPooling(possible[0], (_notice(why),))
    if way in possible:
        assert way is not None, "None is no way"
        why = f"A text's vector is {_VECTORS[way]}, as the checkpoint's sentence-transformers files say."
        return ChosenPooling(way, (_notice(why + _left_out(files)),))
    why = (
        f"A text's vector is {_VECTORS[possible[0]]}: the checkpoint's sentence-transformers files ask for "
        f"{files.pooling}, which is unavailable here."
    )
    return ChosenPooling(possible[0], (_notice(why + _left_out(files)),))


def _left_out(files: SentenceFiles) -> str:
    modules = f" Modules of these files that are ignored: {', '.join(files.others)}." if files.others else ""
    prompt = f' Their default prompt, "{shown(files.prompt)}", is ignored.' if files.prompt else ""
    return modules + prompt


def _notice(message: str) -> Notice:
    return Notice(code="pooling", message=message)
