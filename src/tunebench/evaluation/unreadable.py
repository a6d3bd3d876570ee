"""What a written answer counts as that is none of those that were asked for."""

NO_LABEL = "(no label)"
"""A written answer that is no class: it matches none, and is no class of its own to average over."""

NO_NUMBER = -1.0
"""The score of a written answer that is no number, as in T5's own evaluation (Raffel et al. 2020, string_to_float)."""
