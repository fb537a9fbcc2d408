# Thin shortcuts; every line works by hand too (see README.md). The environment is made once and renewed when the files
# that name dependencies change.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
DEPENDENCIES := setup.cfg pyproject.toml

.PHONY: demo test style quality clean

demo: $(VENV)/.ready
	$(BIN)/ovparts demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest

style: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

quality: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/.ready: $(DEPENDENCIES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
