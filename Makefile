# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow lint docs ci

help: ## say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## install puce from this folder, with everything that its tests need
	$(PYTHON) -m pip install --quiet --editable '.[dev]'

test: ## all fast tests, on every core
	$(PYTHON) -m pytest -q -n auto --dist loadfile -m 'not slow'

test-slow: ## the tests that take minutes
	$(PYTHON) -m pytest -q -m slow

lint: ## ruff, its formatter, mypy --strict
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

docs: ## write the reference pages that are generated from the code
	$(PYTHON) -m puce.cli ops --markdown > docs/reference/operators.md.part
	mv docs/reference/operators.md.part docs/reference/operators.md

ci: lint test test-slow ## what CI runs
