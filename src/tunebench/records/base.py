"""What all records share."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tunebench._util.base import Strict
from tunebench._util.files import read_json

SCHEMA: Literal[2] = 2
"""Of results, plans and run files. Results of schema 1 are read, with their names mapped to today's."""


class Record(Strict):
    """Base of all records: no NaN."""

    model_config = ConfigDict(allow_inf_nan=False)


class StudyRecord(BaseModel):
    """Base of a study's own records: a later version may say more, so unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_Read = TypeVar("_Read", bound=BaseModel)


def read_record(path: Path, record: type[_Read]) -> _Read | None:
    """A record from its file; None where there is none, or it is damaged."""
    stored = read_json(path)
    try:
        return None if stored is None else record.model_validate(stored)
    except ValidationError:
        return None
