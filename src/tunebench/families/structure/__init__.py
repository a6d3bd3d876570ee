"""How a family finds the parts of a model by looking at it.

`trace` watches a forward pass of the model on the meta device, `stacks` finds its layers and what lies below and above
them, `roles` tells its linear modules apart, `types` says which shape transformers gives a `model_type`.
"""
