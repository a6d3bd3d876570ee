"""What a generated answer counts as if it is not a valid label or number."""

NO_LABEL = "(no label)"
"""Stands for a generated answer that is not a class: it matches no class, and averages do not count it as one."""

NO_NUMBER = -1.0
"""The score of a generated answer that is not a number, as in T5's evaluation (Raffel et al. 2020, string_to_float)."""
