"""How a model is trained and measured: batches, frozen trunk, training loop, predictions, checkpoints, costs.

Nothing here names a technique, a task or a family. The engine derives what it does from the parameters that train, and
asks the objective and the family for the rest. Randomness is a function of seed, epoch and step, and every file can be
read again after a kill.
"""
