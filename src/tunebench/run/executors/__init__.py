"""Where jobs are executed, one way per file: worker processes on this machine (`local.py`), SLURM (`slurm.py`)."""
