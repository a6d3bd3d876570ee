"""The instrument: batches, frozen prefix, training loop, evaluation, checkpoints, measurement."""
