"""tunebench: which fine-tuning technique should I use, and what does it cost me?

Importing this package imports no torch; the names below load what they need when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunebench.report import results as results
    from tunebench.serve.attention.maps import attention as attention
    from tunebench.serve.finished import load_finetuned as load_finetuned

__version__ = "0.1.0"
__all__ = ["__version__", "attention", "load_finetuned", "results"]


def __getattr__(name: str) -> Any:
    if name == "attention":
        from tunebench.serve.attention.maps import attention

        return attention
    if name == "load_finetuned":
        from tunebench.serve.finished import load_finetuned

        return load_finetuned
    if name == "results":
        from tunebench.report import results

        return results
    raise AttributeError(f"module 'tunebench' has no attribute '{name}'")
