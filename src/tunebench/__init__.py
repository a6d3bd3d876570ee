"""tunebench: which fine-tuning technique should I use, and what does it cost me?

Importing this package imports no torch; the names below load what they need when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunebench.cli.from_python import load_study as load_study
    from tunebench.cli.from_python import run as run
    from tunebench.report import results as results
    from tunebench.serve.attention.maps import attention as attention
    from tunebench.serve.finished import load_finetuned as load_finetuned
    from tunebench.study import Study as Study

__version__ = "0.1.0"
__all__ = ["Study", "__version__", "attention", "load_finetuned", "load_study", "results", "run"]

_PLACES = {
    "Study": "tunebench.study",
    "attention": "tunebench.serve.attention.maps",
    "load_finetuned": "tunebench.serve.finished",
    "load_study": "tunebench.cli.from_python",
    "results": "tunebench.report",
}


def __getattr__(name: str) -> Any:
    if name == "run":
        return import_module("tunebench.run")  # a package that is called as a function
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'tunebench' has no attribute '{name}'")
