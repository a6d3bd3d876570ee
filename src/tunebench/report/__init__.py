"""A study's results for people: tables, figures and words, made from files only."""

from pathlib import Path

from tunebench.report import records, render
from tunebench.report.reading import read_study
from tunebench.results import write_atomically


def build(out: Path) -> Path:
    """Write `results.json`, `results.csv`, `report.md` and `report.html` into a study's output folder.

    Runs without a result are shown as pending: a report can be made at any time. The same results give the same bytes.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: the folder holds no study.
    """
    study = read_study(out)
    content = render.page(study)
    files = {
        "results.json": records.as_json(study),
        "results.csv": records.as_csv(study),
        "report.md": render.markdown(content),
        "report.html": render.html(content),
    }
    for name, text in files.items():
        write_atomically(out / name, text.encode())
    return out / "report.html"
