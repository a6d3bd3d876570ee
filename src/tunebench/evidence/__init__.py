"""Results of earlier runs that ship with tunebench, as data: `sources.yaml` and `results/<model>/<data set>.jsonl`.

The code that reads and makes them is `tunebench.advise.evidence`.
"""
