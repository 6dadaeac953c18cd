# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow lint docs bench golden diff ci

help: ## say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## install puce from this folder, with everything that its tests need
	$(PYTHON) -m pip install --quiet --editable '.[dev]'
	@# Keras 2 judges old .h5 files; without --no-deps it would bring a second TensorFlow.
	@$(PYTHON) -m pip install --quiet --no-deps tf-keras || echo "note: no tf-keras; some old .h5 files have no oracle"

test: ## all fast tests, on every core
	$(PYTHON) -m pytest -q -n auto --dist loadfile -m 'not slow'

test-slow: ## the tests that take minutes, on every core
	$(PYTHON) -m pytest -q -n auto -m slow

lint: ## ruff, its formatter, mypy --strict
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

docs: ## write the reference pages that are generated from the code
	$(PYTHON) -m puce.cli ops --markdown > docs/reference/operators.md.part
	mv docs/reference/operators.md.part docs/reference/operators.md

bench: ## measure the models that others publish figures of, and write docs/benchmarks.md (PUCE_TEST_DATA: the models)
	$(PYTHON) tools/bench.py

golden: ## write down what the golden models take now; say in the commit why it changed
	$(PYTHON) tools/measure.py > tests/golden/expected.json.part
	mv tests/golden/expected.json.part tests/golden/expected.json

diff: ## C text, flash, RAM and cycles of the golden models: main against the working tree
	PYTHON=$(PYTHON) tools/diff.sh

ci: lint test test-slow ## what CI runs
