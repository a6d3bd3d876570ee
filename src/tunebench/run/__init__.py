"""From a study to its results: pending runs, schedulers, executors, and one run from top to bottom in `execute.py`."""
