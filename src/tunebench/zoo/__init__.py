"""Models and data that tunebench ships or makes.

`checkpoints` finds the files of a model by its name. `embedded/` holds the data sets and backbones in the package,
`studies/` and `recipes/` the built-in YAML files. `pretraining/` makes backbones, and `transformer/` is the original
Transformer, written to be read.
"""
