"""What a study's models are called, and which of them are folders."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from tunebench._util.base import Strict
from tunebench._util.files import absolute, is_folder

_FORMS = "{id: HUB-ID, name: NAME} or {path: FOLDER, name: NAME}"


class ModelChoice(Strict):
    """A model with a name of your choice. `model: TEXT` without a name means a hub id or a local folder.

    Attributes:
        name: stands in reports, in folders of runs and in `--model NAME=PATH`; by default the hub id, or the folder's
            own name.
        id: hub id, or the name of a model that tunebench ships; it counts as content.
        path: local folder, which may be moved: only the model's name and the bytes in the folder count.
    """

    name: str | None = Field(None, pattern=r"^\w[\w.-]*$", max_length=60)
    id: str | None = Field(None, min_length=1)
    path: str | None = Field(None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str) and value:
            return {"path" if is_path(value) else "id": value}
        if not isinstance(value, dict):
            raise ValueError(f"it should be a hub id, a local folder, or {_FORMS}, not {value!r}.")
        given = [key for key in ("id", "path") if value.get(key) is not None]
        if len(given) != 1 and not set(value) - set(cls.model_fields):
            raise ValueError(f"give either id or path: {_FORMS}.")
        return value

    @property
    def written(self) -> str:
        """The hub id or the folder, as the study writes it."""
        return self.id or self.path or ""

    @property
    def called(self) -> str:
        """The model's name, which is the same on every machine, whatever folders there are."""
        return self.name or self.id or Path(absolute(self.written)).name or self.written

    @property
    def hub(self) -> str | None:
        """The hub id, where the model has a name of its own."""
        return self.id if self.id != self.called else None

    @property
    def folder(self) -> str | None:
        """The local folder, absolute; None for a model of the hub."""
        if self.path is not None:
            return absolute(self.path)
        return absolute(self.written) if is_folder(self.written) else None

    @property
    def located(self) -> str:
        """What two models with one name differ in, where they are two: the folder, or else the hub id."""
        return self.written if self.path is None else absolute(self.path)


def is_path(model: str) -> bool:
    """Whether a study's text names a folder: it begins with `/`, `~`, `./` or `../`. `models/bert` is a hub id."""
    return model in (".", "..", "~") or model.startswith(("./", "../", "~/")) or Path(model).is_absolute()
