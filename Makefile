# Set-up needs Python 3.11 or newer and git; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test lint format bench clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/run ## Set up and run the main job on the embedded fleet
	@$(BIN)/publisher demo

test: .venv/dev ## Set up and run all tests
	$(BIN)/pytest -n $$($(BIN)/python -c 'import os; print(2 * os.cpu_count())') --dist worksteal # half of it waits

lint: .venv/dev ## Style, types, import rules, workflows, Containerfile
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/zizmor --offline --quiet .github config-repo-template/.github
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint Containerfile; \
	else echo "hadolint is not installed on this machine; CI runs it"; fi
	@if command -v actionlint >/dev/null; then \
		actionlint .github/workflows/*.yml config-repo-template/.github/workflows/*.yml; \
	else echo "actionlint is not installed here; CI runs it"; fi

format: .venv/dev ## Put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/run ## Measure on a canned fleet (BENCH="--clusters 100 ...")
	@$(BIN)/python -m bench $(BENCH)

clean: ## Remove what make and the tools left here
	rm -rf .venv build dist .*_cache

.venv/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --constraint constraints.txt pip
	@touch $@

.venv/run: .venv/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --build-constraint constraints.txt --editable .
	@touch $@

.venv/dev: .venv/run
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev
	@touch $@
