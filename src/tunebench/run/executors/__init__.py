"""Where jobs are executed, one way per file: worker processes on this machine, SLURM, Ray."""
