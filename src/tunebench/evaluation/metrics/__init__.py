"""Metrics, one file per form of answer; the folder is the registry: every module-level `Metric` is one."""

import functools
import sys
from collections.abc import Iterator, Mapping

from tunebench._util.registry import definitions_in
from tunebench.evaluation.metrics.base import Metric, Predictions

__all__ = ["METRICS", "Metric", "Predictions"]


class _Registry(Mapping[str, Metric]):
    """The folder's metrics, then those of plugins (entry points `tunebench.metrics`), imported when first asked for."""

    @functools.cached_property
    def _metrics(self) -> dict[str, Metric]:
        metrics: dict[str, Metric] = {}
        for definition in definitions_in(sys.modules[__name__], "tunebench.metrics"):
            for metric in vars(definition.module).values():
                if isinstance(metric, Metric) and metrics.setdefault(metric.name, metric) is not metric:
                    raise definition.error(f"there is another metric '{metric.name}'")
        return metrics

    def __getitem__(self, name: str) -> Metric:
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)


METRICS: Mapping[str, Metric] = _Registry()
