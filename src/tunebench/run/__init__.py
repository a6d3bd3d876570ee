"""From a study's runs to their results: cells, the execution of a run, workers. Read `execute.py` first."""
