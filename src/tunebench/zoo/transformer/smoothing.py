"""The loss (Vaswani et al. 2017, section 5.4, label smoothing)."""

from torch import Tensor
from torch.nn import functional

IGNORED = -100


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """-sum_k q(k) log p(k), where q is 1 - eps for the right token, and eps spread evenly over all V (5.4).

    The target is never certain (Szegedy et al. 2016), which worsens perplexity and improves answers.

    Args:
        logits: (batch, targets, V).
        labels: (batch, targets) of token ids; -100 is ignored.
        smoothing: eps; the paper's is 0.1.

    Returns:
        The mean over all labels.
    """
    return functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
    )
