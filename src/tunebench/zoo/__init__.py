"""Models and data that tunebench ships or makes: checkpoints, embedded data, pretraining, the original Transformer."""
