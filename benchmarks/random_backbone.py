"""A random network of a backbone's shape, with its tokenizer: what pretraining is to be compared with."""

import argparse
from pathlib import Path

import torch
import transformers

from tunebench.zoo import checkpoints


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a shipped backbone, a hub id or a local folder")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder, _ = checkpoints.fetch(checkpoints.find(options.model))
    config = transformers.AutoConfig.from_pretrained(folder)
    torch.manual_seed(options.seed)
    model = getattr(transformers, config.architectures[0])(config)  # with transformers' own initial values
    pooler = getattr(model.base_model, "pooler", None)
    if pooler is not None:  # not zero, so that it counts as part of the backbone, as the pretrained one does
        torch.nn.init.normal_(pooler.dense.bias, std=config.initializer_range)
    model.save_pretrained(options.out)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(options.out)


if __name__ == "__main__":
    main()
