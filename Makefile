# Thin shortcuts; every line works by hand too (see README.md). The environment is made once and renewed when the files
# that name dependencies change.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
DEPENDENCIES := setup.cfg pyproject.toml

.PHONY: demo table test test-oldest test-newest style quality docs wheel clean

demo: $(VENV)/.ready
	$(BIN)/ovparts demo

# Toy versions of all families at equal compute; interrupted, the same command continues.
table: $(VENV)/.ready
	$(BIN)/ovparts demo --table
	cp outputs/table/table.json docs/table.json
	$(BIN)/ovparts demo --table --rows clipseg clipseg-crops --seeds 0 1 2 3 4
	cp outputs/table/table.json docs/table_crops.json
	$(BIN)/python docs/generate.py

test: $(VENV)/.ready
	$(BIN)/python -m pytest

# The suite with the lower bound of everything in setup.cfg (less export, whose extras need newer libraries), and with the
# newest releases; each in an environment made anew.
# PYTHON names the interpreter, for the oldest python3.11.
test-oldest: EXTRA = test
test-oldest: PIP_OPTIONS = --constraint $(VENV)-oldest/bounds.txt
test-newest: EXTRA = dev
test-oldest test-newest: test-%:
	rm -rf $(VENV)-$*
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python tests/lower_bounds.py > $(VENV)-$*/bounds.txt
	$(VENV)-$*/bin/python -m pip install --quiet -e ".[$(EXTRA)]" $(PIP_OPTIONS)
	$(VENV)-$*/bin/python -m pytest

style: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

quality: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Writes the generated pages anew, then builds the site into `site/`; a broken link or an unknown name is an error.
docs: $(VENV)/.ready
	$(BIN)/python docs/generate.py
	$(BIN)/python -m mkdocs build --strict

# A source distribution and, from it, a wheel in `dist/`, which is then tried without extras in an environment made anew.
wheel:
	rm -rf dist $(VENV)-wheel
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install --quiet build
	$(VENV)-wheel/bin/python -m build
	$(VENV)-wheel/bin/python -m pip install --quiet dist/*.whl
	$(VENV)-wheel/bin/python -P tests/check_wheel.py

$(VENV)/.ready: $(DEPENDENCIES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest $(VENV)-wheel build dist site *.egg-info
