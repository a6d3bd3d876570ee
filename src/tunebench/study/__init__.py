"""A study: what to compare. Parsing, expansion to runs, identity, places. No torch, no network, no data is read."""

from tunebench.study.document import Searched, Study, Unsettled, built_in_studies, read_study, study_of
from tunebench.study.experiment import Experiment, TechniqueChoice
from tunebench.study.models import ModelChoice
from tunebench.study.run import OWN, RUN_FILE, Places, Run, earlier_notices, read_run, write_run
from tunebench.study.search import Search
from tunebench.study.training import AutoEpochs, Training

__all__ = [
    "OWN",
    "RUN_FILE",
    "AutoEpochs",
    "Experiment",
    "ModelChoice",
    "Places",
    "Run",
    "Search",
    "Searched",
    "Study",
    "TechniqueChoice",
    "Training",
    "Unsettled",
    "built_in_studies",
    "earlier_notices",
    "read_run",
    "read_study",
    "study_of",
    "write_run",
]
