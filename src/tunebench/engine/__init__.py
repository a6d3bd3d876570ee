"""The instrument: batches, frozen trunk, training loop, evaluation, checkpoints, measurement."""
