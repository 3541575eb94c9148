# `make demo` and `make test` set everything up themselves: Python 3.11, pip and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
CODE = src tests fuzz benchmarks tools docs/conf.py docs/_ext docs/walkthrough.ipynb

.PHONY: demo results test fuzz docs audit package chromium lint types imports unit format clean

demo: $(INSTALLED)
	rm -rf demo
	$(BIN)/scenelet demo --out demo

# Lists the commands behind docs/results.md and their minutes; with ESC10=FOLDER it runs them, into results/.
results: $(INSTALLED)
	$(BIN)/python tools/results.py $(if $(ESC10),$(ESC10) --out results)

test: lint types imports unit

# The site, into docs/_build/html; runs the notebook. It fails on a warning, and on a page that would ask another host.
docs: $(INSTALLED)
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html

# Are there known vulnerabilities in the versions that the tests run with? Asks a public database of advisories; where
# that cannot be asked about a package, the audit fails: nothing was found out.
audit:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(VENV)/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

# Wheel and sdist, each in a clean environment, with each extra alone: takes a while, and gigabytes on their way.
package: $(INSTALLED)
	$(BIN)/python tools/check_packages.py

# A short round of every fuzz target, the same inputs each time: what it finds ends it, and lies in found/. Linux only.
FUZZED = table tau recipe systems details output manifest parquet checkpoint record cache part listed stream recording
fuzz: $(INSTALLED)
	$(BIN)/python fuzz/run.py scn --runs 3000
	$(BIN)/python fuzz/run.py model --runs 300
	$(BIN)/python fuzz/run.py meta --runs 300
	for target in $(FUZZED); do $(BIN)/python fuzz/run.py $$target --runs 1000 || exit 1; done

# The browser of the tests that look at pages, on Debian and as root.
chromium:
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium

lint: $(INSTALLED)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports --no-logo

unit: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist worksteal

format: $(INSTALLED)
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) demo build dist docs/_build
