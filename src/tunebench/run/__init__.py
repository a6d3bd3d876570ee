"""From a study to its results: pending runs, schedulers, executors, and one run from top to bottom in `execute.py`.

The package is called as a function, too: `tunebench.run(study)` makes a study's runs (decision 0032).
"""

import inspect
import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package. Whoever imports a part of it makes it `tunebench.run`, in place of a function of that name."""

    @property
    def __signature__(self) -> inspect.Signature:
        from tunebench.cli.from_python import run

        return inspect.signature(run)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Make all runs of a study that have no result yet; see `tunebench.cli.from_python.run`."""
        from tunebench.cli.from_python import run

        return run(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
