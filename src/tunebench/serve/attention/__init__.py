"""Attention maps of a finished run over a text's tokens: tuned, untuned, and their difference."""
