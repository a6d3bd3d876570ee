"""The energy that a run consumes, measured or estimated by CodeCarbon without a network."""

from importlib.util import find_spec
from typing import Any

from tunebench._util.errors import UserError


class EnergyMeter:
    """Counts the energy of this process, in kWh; a context.

    Args:
        wanted: else it counts nothing, and needs no CodeCarbon.

    Raises:
        UserError: CodeCarbon is not installed.
    """

    def __init__(self, wanted: bool):
        self._counted: list[float] = []
        self._tracker = _new_tracker(self._counted) if wanted else None

    def __enter__(self) -> "EnergyMeter":
        if self._tracker is not None:
            self._tracker.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def until_now(self) -> float | None:
        """What was consumed since the start, until `stop` at most; None where nothing was counted."""
        if self._tracker is not None:
            self._tracker.flush()
        return max(self._counted, default=0.0) or None

    def stop(self) -> None:
        """What follows is not counted."""
        if self._tracker is not None:
            self._tracker.stop()
            self._tracker = None


def require_codecarbon() -> None:
    """Check that CodeCarbon is there.

    Raises:
        UserError: it is not.
    """
    if find_spec("codecarbon") is None:
        raise UserError("measure: energy: CodeCarbon is not installed. Run: pip install 'tunebench[energy]'.")


def _new_tracker(counted: list[float]) -> Any:
    """A tracker of this process alone, which writes and sends nothing; each flush appends to `counted`, in kWh.

    Emissions depend on the country, energy does not. What a user's own configuration of CodeCarbon says of files and
    addresses is overruled.
    """
    require_codecarbon()
    from codecarbon import OfflineEmissionsTracker  # pyright: ignore[reportMissingImports]  # an extra
    from codecarbon.output import BaseOutput  # pyright: ignore[reportMissingImports]

    class Counted(BaseOutput):
        def out(self, total: Any, delta: Any) -> None:
            counted.append(total.energy_consumed)

    return OfflineEmissionsTracker(
        country_iso_code="USA",
        tracking_mode="process",
        output_methods=[],
        emissions_endpoint=None,
        log_level="critical",
        allow_multiple_runs=True,
        output_handlers=[Counted()],
    )
