# `make demo` and `make test` set everything up themselves: Python 3.11, pip and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: demo results test lint types imports unit format clean

demo: $(INSTALLED)
	rm -rf demo
	$(BIN)/scenelet demo --out demo

# Lists the commands behind docs/results.md and their minutes; with ESC10=FOLDER it runs them, into results/.
results: $(INSTALLED)
	$(BIN)/python bench/results.py $(if $(ESC10),$(ESC10) --out results)

test: lint types imports unit

lint: $(INSTALLED)
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports --no-logo

unit: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist worksteal

format: $(INSTALLED)
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) demo build dist
