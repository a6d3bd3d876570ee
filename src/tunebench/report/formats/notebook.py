"""What to use, and techniques by tasks, as a notebook's output."""

from tunebench.evaluation.choice import ACCEPTED
from tunebench.report.formats.html import environment
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.predictions import read_all
from tunebench.report.read.study import StudyResults
from tunebench.report.sections.across import Cell, family_table
from tunebench.report.sections.cards import card
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.paired import paired


def notebook(study: StudyResults) -> str:
    """The cards, then one table per family."""
    kept, cards = Kept(study.folder), []
    families: dict[str, list[Cell]] = {}
    for comparison in comparisons(study):
        given = read_all(study.folder, comparison)
        tests = paired(comparison, given.answers, kept, groups=given.groups)
        cards.append(card(comparison, tests, ACCEPTED))
        families.setdefault(comparison.family, []).append((comparison, tests, cards[-1]))
    overviews = [(family, family_table(group)) for family, group in families.items()]
    return environment().get_template("notebook.html.j2").render(study=study, cards=cards, overviews=overviews)
