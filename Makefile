# Two commands: `make demo` and `make test`. Each sets up what is missing (Python 3.11+ and its venv module are all it needs).
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help install demo test test-all check bench compile fuzz clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## the virtual environment .venv with everything, for development

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hie-hub needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Set PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) (once; about a minute, 1.1 GB on disk) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]' | \
	  { n=0; while read -r what next _; do case "$$what $$next" in \
	    Collecting*) (( ++n % 25 )) || echo "  $$n packages found" ;; \
	    "Installing collected") echo "  unpacking $$n packages" ;; esac; done; }
	@touch $(READY)

demo: $(READY) ## the whole story end to end on real Kafka, then the books
	@$(BIN)/hie demo

test: $(READY) ## the suite that a user runs (about half an hour, longer on a busy machine)
	@$(BIN)/python -m pytest -m "not slow"

test-all: $(READY) ## the suite with the slow fault tests (about an hour, longer on a busy machine)
	@$(BIN)/python -m pytest

check: $(READY) ## format, lint, strict types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

bench: $(READY) ## measure; one JSON line a figure
	@$(BIN)/hie bench

compile: $(READY) ## the hub with its hot modules compiled, in build/compiled (needs a C compiler): PYTHONPATH=build/compiled hie …
	@rm -rf build/compiled build/wheel
	@COMPILE_HIE=1 $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/compiled build/wheel/*.whl
	@echo "built; use it with: PYTHONPATH=$(CURDIR)/build/compiled $(BIN)/hie bench translate"

FUZZ_SECONDS ?= 600
fuzz: $(READY) ## coverage-guided fuzzing of framer, reader, charset and XML (FUZZ_SECONDS each, 600 by default)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,fuzz]'
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

clean: ## remove the virtual environment and caches of tools (fetched Kafka and data stay: see `hie status`)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
