# `make` or `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
ENGINES_STAMP := $(VENV)/.stamp-engines
CLIENTS := $(or $(LSWARM_TEST_CLIENTS),$(VENV)/clients)
SEED ?= 1
ENGINE ?= auto
PYTEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
# pip keeps the wheel and may use it on another machine: not for this very processor.
CMAKE_ARGS ?= -DGGML_NATIVE=OFF
.PHONY: help setup setup-engines setup-clients demo up test test-engines check bench soak clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(STAMP) ## make .venv with everything to run and develop (quick when nothing changed)

# uv is used when it is there; plain venv and pip do the same, slower.
$(STAMP): pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
		uv venv -q --allow-existing --python $(PYTHON) $(VENV) && uv pip install -q --python $(BIN)/python -e '.[dev]'; \
	else \
		$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'; \
	fi
	@touch $(STAMP)

setup-engines: $(ENGINES_STAMP) ## add the engine llama-cpp-python to .venv (compiles for minutes once)

$(ENGINES_STAMP): $(STAMP)
	@echo "Installing llama-cpp-python; without a kept wheel it compiles for some minutes."
	@export CMAKE_ARGS="$(CMAKE_ARGS)"; if command -v uv >/dev/null 2>&1; then \
		uv pip install -q --python $(BIN)/python -e '.[dev,llama-cpp-python]'; \
	else \
		$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev,llama-cpp-python]'; \
	fi
	@touch $(ENGINES_STAMP)

setup-clients: $(CLIENTS)/.stamp ## get the real clients (opencode, SDKs) that the tests drive; needs the network

# Without one their tests skip, and the next `make test` tries again.
$(CLIENTS)/.stamp: bin/setup_clients.sh tests/clients/requirements.txt tests/clients/package.json | $(STAMP)
	@echo "Getting the clients for the tests (a minute or two, once)."
	@if bin/setup_clients.sh $(CLIENTS) $(abspath $(BIN)/python); then touch $@; fi

ifeq ($(ENGINE),llama-cpp-python)
demo: setup-engines
endif
demo: setup ## start a swarm on the builtin model, ask it held-out question SEED, vote, test the answer
	@$(BIN)/lswarm ask --model builtin:demo --engine $(ENGINE) --voters 5 --task $(SEED)

up: setup ## serve until stopped
	@$(BIN)/lswarm up

test: setup setup-clients ## all tests
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-engines: setup-engines ## the engines' tests alone: the conformance suite on each that is here
	@$(BIN)/python -m pytest tests/engines $(PYTEST_ARGS)

check: setup ## format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## measure the gateway and the cost of a vote (BENCH_ARGS="swarm --json FILE")
	@$(BIN)/python -m bench $(BENCH_ARGS)

soak: setup ## the chaos suite at full length: kills, crashes, full disks (20 minutes)
	@LSWARM_SOAK=1 $(BIN)/python -m pytest tests/chaos $(PYTEST_ARGS)

clean: ## remove what make made
	rm -rf $(VENV) build dist .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
