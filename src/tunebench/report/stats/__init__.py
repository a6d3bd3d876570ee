"""Paired tests, verdicts, checks and notices."""
