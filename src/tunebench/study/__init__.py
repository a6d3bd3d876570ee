"""A study: what to compare. Parsing, expansion to runs, identity, places. No torch, no network, no data is read."""

from tunebench.study.document import Searched, Study, built_in_studies, read_study
from tunebench.study.experiment import Experiment, TechniqueChoice
from tunebench.study.models import ModelChoice
from tunebench.study.run import OWN, RUN_FILE, Places, Run, earlier_notices, read_run, write_run
from tunebench.study.search import Search
from tunebench.study.training import Training

__all__ = [
    "OWN",
    "RUN_FILE",
    "Experiment",
    "ModelChoice",
    "Places",
    "Run",
    "Search",
    "Searched",
    "Study",
    "TechniqueChoice",
    "Training",
    "built_in_studies",
    "earlier_notices",
    "read_run",
    "read_study",
    "write_run",
]
