# make demo: the whole method on a synthetic cohort. make test: lint, types and tests. make test-faults: tests that kill processes.
# make lint, make types: parts of make test. make benchmark: refinement on this machine. All install what is missing.
# make clean: removes .venv, runs/demo, runs/benchmark and caches; other runs stay.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
RUN ?= runs/demo

# Tests on real data run where LIVER_DATA names a folder of it (see docs/data.md); elsewhere they are skipped.
ifneq ($(wildcard ../shared/data),)
export LIVER_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test test-faults lint types benchmark clean

demo: $(INSTALLED)
	$(BIN)/python -m jobs.run_all --config demo --run $(RUN)

test: lint types
	$(BIN)/python -m pytest

test-faults: $(INSTALLED)
	$(BIN)/python -m pytest -m faults

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

benchmark: $(INSTALLED)
	$(BIN)/python -m jobs.benchmark --config demo --run runs/benchmark

# One pip call: resolved apart, nnunetv2's dependencies would replace torch by another build.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) runs/demo runs/benchmark build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
