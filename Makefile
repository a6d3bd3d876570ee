# Two commands do everything on a fresh machine with Python 3.11+: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
DATA_ROOT ?= ../shared/data
OUT ?= runs/demo

.PHONY: demo test test-all lint docs benchmark screenshots clean

demo: $(VENV)/installed
	$(VENV)/bin/tunebench run demo --out $(OUT) --workers auto

test: $(VENV)/installed
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

test-all: $(VENV)/installed  # also every technique on every cell, which takes an hour
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal -m ""

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports --no-logo

docs: $(VENV)/docs  # the site, in build/site; a broken link fails
	$(VENV)/bin/python -m docs.generate
	$(VENV)/bin/zensical build --strict

benchmark: $(VENV)/installed
	$(VENV)/bin/python benchmarks/vs_trainer.py --data-root $(DATA_ROOT)

screenshots: $(VENV)/installed
	$(VENV)/bin/python docs/screenshots.py $(OUT)/report.html $(OUT)/screenshots

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "tunebench needs Python 3.11 or newer: make PYTHON=python3.11 ..."'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt torch
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/docs: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist *.egg-info src/*.egg-info
