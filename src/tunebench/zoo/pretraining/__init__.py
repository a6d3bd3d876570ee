"""Backbones from plain text: a tokenizer and a model. `pretrain.py` walks a recipe from top to bottom."""
