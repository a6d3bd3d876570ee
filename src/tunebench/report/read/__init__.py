"""Reads a study's files as comparisons, rows and costs."""
