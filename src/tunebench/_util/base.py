"""The base of what studies, recipes and records are made of."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Immutable; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
