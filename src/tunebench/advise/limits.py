"""What an answer must keep to."""

from collections.abc import Iterator

from pydantic import Field

from tunebench._util.base import Strict
from tunebench.advise.prices import ForecastCost


class Limits(Strict):
    """Limits of cost and kind; None or False: no limit.

    Attributes:
        max_saved_bytes: of what one task stores.
        max_memory: peak bytes while it trains.
        max_latency: seconds of one answer.
        mergeable: the tuned model must be an ordinary one: nothing is added to it.
        many_tasks: so many tasks share one backbone; storage then counts as the cost.
        keep_knowledge: no pretrained weight may change.
    """

    max_saved_bytes: float | None = Field(None, gt=0)
    max_memory: float | None = Field(None, gt=0)
    max_latency: float | None = Field(None, gt=0)
    mergeable: bool = False
    many_tasks: int | None = Field(None, ge=1)
    keep_knowledge: bool = False

    def broken_by(self, price: ForecastCost) -> str | None:
        """Which limits a technique breaks, in words; None: it keeps to all."""
        return "; ".join(self._broken(price)) or None

    def cost(self, price: ForecastCost) -> float:
        """What `cheapest` means: seconds of training; with many tasks, the bytes that all of them store."""
        return price.tuning_seconds if self.many_tasks is None else float(self.many_tasks * price.saved_bytes)

    @property
    def cost_in_words(self) -> str:
        """The cost that decides between techniques whose quality is alike."""
        return "seconds of training" if self.many_tasks is None else f"bytes stored for {self.many_tasks} tasks"

    def _broken(self, price: ForecastCost) -> Iterator[str]:
        if self.max_saved_bytes is not None and price.saved_bytes > self.max_saved_bytes:
            yield f"it stores {size(price.saved_bytes)}, more than --max-saved-bytes {self.max_saved_bytes:g}"
        if self.max_memory is not None and price.memory_bytes > self.max_memory:
            yield f"it takes {size(price.memory_bytes)} of memory, more than --max-memory {self.max_memory:g}"
        if self.max_latency is not None and (price.latency_seconds or 0.0) > self.max_latency:
            yield f"an answer takes {price.latency_seconds:.3g} s, more than --max-latency {self.max_latency:g}"
        if self.mergeable and not price.ordinary:
            yield "it adds something that cannot be merged into the model (--mergeable)"
        if self.keep_knowledge and not price.keeps_backbone:
            yield "it changes pretrained weights (--keep-knowledge)"


def size(count: float) -> str:
    """Bytes in words."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} B"
