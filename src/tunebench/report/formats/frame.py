"""A study's runs as a DataFrame that a notebook shows as a comparison."""

import io
from typing import ClassVar

import pandas

from tunebench.report.formats import records
from tunebench.report.formats.notebook import notebook
from tunebench.report.read.study import StudyResults


class Results(pandas.DataFrame):
    """The columns of `results.csv`, one row per run. Selections and computations give ordinary DataFrames."""

    _metadata: ClassVar[list[str]] = ["_study"]  # pyright: ignore[reportIncompatibleVariableOverride]

    _study: StudyResults | None = None

    @classmethod
    def of(cls, study: StudyResults) -> "Results":
        """The runs of a study."""
        frame = cls(pandas.read_csv(io.StringIO(records.as_csv(study))))
        frame._study = study
        return frame

    @property
    def _constructor(self) -> type[pandas.DataFrame]:
        return pandas.DataFrame

    def _repr_html_(self) -> str | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return notebook(self._study) if self._study else super()._repr_html_()  # pyright: ignore[reportCallIssue]
