"""Where jobs are executed, one way per file: today worker processes on this machine (`local.py`)."""
