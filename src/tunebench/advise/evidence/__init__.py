"""The evidence base: earlier results, from which ranks and learning rates of similar data are known."""
