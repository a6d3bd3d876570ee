"""GPT-2's GELU in one kernel.

transformers computes the tanh approximation (Hendrycks and Gimpel 2016) in eight operations. Each result is rounded to
the model's number format and, in training, kept for the backward pass. torch has one kernel for it.
"""

from torch import nn
from transformers.activations import NewGELUActivation


def use_fused_gelu(model: nn.Module) -> None:
    """Replace every `gelu_new` of a model. Outputs change by less than the rounding that is saved."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is NewGELUActivation:
                setattr(module, name, nn.GELU(approximate="tanh"))
