"""The Transformer of Vaswani et al. 2017, "Attention Is All You Need" (https://arxiv.org/abs/1706.03762), to be read.

From the equation up: `attention` (3.2), `masks` (3.2.3), `feed_forward` (3.3), `embeddings` (3.4, 3.5), `residual` and
`layers` (3.1), `stacks` (3.1), `smoothing` (5.4), and `model`, which is a model of the transformers library: it saves
and loads, and generates with beams and a cache. The schedule of 5.3 is `tunebench.engine.schedule`.

Importing this package makes the model known to `AutoConfig` and `AutoModelForSeq2SeqLM`: no remote code is needed.
"""

from transformers import AutoConfig, AutoModelForSeq2SeqLM

from tunebench.zoo.transformer.config import TransformerConfig
from tunebench.zoo.transformer.model import Transformer

AutoConfig.register("transformer", TransformerConfig)
AutoModelForSeq2SeqLM.register(TransformerConfig, Transformer)

__all__ = ["Transformer", "TransformerConfig"]
