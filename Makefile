# `make demo` and `make test` set everything up themselves: Python 3.11, pip and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
TRAIN = $(VENV)/.train
DEV = $(VENV)/.dev
DOCS = $(VENV)/.docs
CODE = src tests fuzz benchmarks tools docs/conf.py docs/_ext docs/walkthrough.ipynb
PIP = $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

LOWEST = $(VENV)/lowest

.PHONY: demo test test-all test-lowest slow bench results fuzz docs audit package chromium onnxruntime-web lint types imports unit format clean

# Synthetic scenes: train, compress, evaluate, predict. Installs only what training needs.
demo: $(TRAIN)
	rm -rf demo
	$(BIN)/scenelet demo --out demo

test: lint types imports unit

# Also the slow tests. CI runs this.
test-all: test slow

# The quick tests with the lowest versions that pyproject.toml allows, in an environment of their own.
test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tools/lowest_versions.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/constraints.txt --editable ".[dev]"
	# old versions may warn about newer ones
	$(LOWEST)/bin/pytest -n 2 --dist worksteal -m "not slow" --override-ini filterwarnings=default

# Speed and memory next to the usual pipeline, into docs/. Leave the machine alone meanwhile.
bench: $(DEV)
	$(BIN)/python -m benchmarks.speed --out docs --data benchmarks/results

# Lists the commands behind docs/results.md and their minutes. With ESC10=FOLDER it runs them, into results/.
results: $(DEV)
	$(BIN)/python tools/results.py $(if $(ESC10),$(ESC10) --out results)

# The site, into docs/_build/html; runs the notebook. It fails on a warning, and on a page that would ask another host.
docs: $(DOCS)
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html

# Known vulnerabilities of the pinned versions, from a public database. The audit fails if the database cannot be reached.
audit:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(VENV)/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

# Wheel and sdist, each in a clean environment, with each extra on its own. Takes long and downloads gigabytes.
package: $(DEV)
	$(BIN)/python tools/check_packages.py

# A short round of every fuzz target, with the same inputs each time. A finding ends it and is stored in found/. Linux only.
FUZZED = table tau recipe systems details output manifest parquet checkpoint record cache part listed stream recording
fuzz: $(DEV)
	$(BIN)/python fuzz/run.py scn --runs 3000
	$(BIN)/python fuzz/run.py model --runs 300
	$(BIN)/python fuzz/run.py meta --runs 300
	for target in $(FUZZED); do $(BIN)/python fuzz/run.py $$target --runs 1000 || exit 1; done

# The runtime for the tests of the web page, from npm into the user's cache.
onnxruntime-web: $(DEV)
	$(BIN)/python -c "from scenelet.export.web.onnxruntime_web import load_runtime; load_runtime()"

# The browser for the tests of pages, on Debian and as root.
chromium:
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium

lint: $(DEV)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: $(DEV)
	$(BIN)/mypy

imports: $(DEV)
	$(BIN)/lint-imports --no-logo

unit: $(DEV)
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

slow: $(DEV)
	$(BIN)/pytest -n 2 --dist worksteal -m slow

format: $(DEV)
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

$(TRAIN): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) ".[train]"
	touch $(TRAIN)

$(DOCS): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) ".[train,docs]"
	touch $(TRAIN) $(DOCS)

$(DEV): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) ".[dev]"
	touch $(TRAIN) $(DOCS) $(DEV)

clean:
	rm -rf $(VENV) demo build dist docs/_build
