# Everything that is done to Meshgate from a clone. `make help` lists it.
#
# The first target that needs it makes .venv and fills it from requirements.lock, which holds
# a hash for every file; nothing else is downloaded, not even a build tool. Where pip finds
# packages is pip's own configuration (pip.conf, PIP_INDEX_URL).

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test check lint format typecheck imports lock clean distclean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := src tests examples bench setup.py
# The whole run uses two processes; tests/schedule.py says which tests are where.
PARALLEL = $(if $(ARGS),,-n 2 --dist loadscope)

# python3 where it is new enough, else the newest one that is.
PYTHON ?= $(firstword $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done))

# What belongs to the caller's own Python must not reach into .venv.
unexport PYTHONHOME
unexport PYTHONPATH
# Nor what would make each process compile all of its modules again.
unexport PYTHONDONTWRITEBYTECODE
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What is run finds .venv's own commands first, redis-server among them.
demo test check: export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## List what can be made
	@awk 'BEGIN { FS = ":.*## "; print "make <target> [ARGS=...]\n" } \
		/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Put meshgate and all it needs into .venv
	@echo "meshgate is $(BIN)/meshgate"

demo: $(STAMP) ## Run the shop with traffic and a live view; as a tour that ends with ARGS=--once or without a terminal
	@if [ -n "$(ARGS)" ] || [ -t 1 ]; then $(BIN)/meshgate demo $(ARGS); else $(BIN)/meshgate demo --once; fi

test: $(STAMP) ## Run the tests (ARGS='-k canary' and the like go to pytest)
	@$(BIN)/pytest $(PARALLEL) $(ARGS)

check: lint typecheck imports test ## All that a change must pass: lint, typecheck, imports, test

lint: $(STAMP) ## Style and likely mistakes (ruff), formatting too
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## Let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

typecheck: $(STAMP) ## Types (mypy --strict)
	@$(BIN)/mypy --strict

imports: $(STAMP) ## Who may import whom (import-linter; docs/architecture.md)
	@NO_COLOR=1 $(BIN)/lint-imports

lock: $(BIN)/python ## Renew requirements.lock to the newest versions that pyproject.toml allows
	@.ci/lock $(BIN)/python

clean: ## Remove what tools left behind, .venv excepted
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## Remove .venv too
	@rm -rf $(VENV)

$(STAMP): requirements.lock pyproject.toml setup.py $(wildcard src/meshgate/native/*.[ch]) | $(BIN)/python
	@echo "Installing what requirements.lock names into $(VENV) (a minute the first time) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install -q --no-deps --only-binary :all: --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation --no-index -e .
	@$(BIN)/python -m pip check >/dev/null
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "meshgate needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
