"""Formats of a report: HTML, Markdown, LaTeX, CSV, JSON, data frame."""
