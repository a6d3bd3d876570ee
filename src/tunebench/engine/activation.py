"""GPT-2's GELU in one kernel.

transformers writes the tanh approximation (Hendrycks and Gimpel 2016) as eight operations, whose results
are each rounded to the model's number format and, in training, kept for the backward pass. torch has it as one.
"""

from torch import nn
from transformers.activations import NewGELUActivation


def use_fused_gelu(model: nn.Module) -> None:
    """Replace every `gelu_new` of a model; its last bits change, by less than the rounding that is left out."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is NewGELUActivation:
                setattr(module, name, nn.GELU(approximate="tanh"))
