# The one task runner; `make help` lists the targets. Each of them is safe to run twice.
#
# PYTHON=…  the interpreter .venv is made from (default: the system's, 3.11 or newer)
# PEER=…    what `make bench` measures against: a socket (unix://…) or a dockerd binary
# T=…       arguments for pytest: make test T='-k attach'

BIN := .venv/bin
export PATH := $(PATH):$(CURDIR)/.cache/bin
# Tests of one file stay in one worker, so that they share the engine they started.
# pytest gets a folder of its own: it would else tidy up after earlier runs, and trip over what
# those left when they were killed.
PYTEST = folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
    $(BIN)/python -m pytest --dist loadfile --basetemp="$$folder/tests"
T ?=

.PHONY: help setup venv run stop test test-unit lint format bench image dist clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

setup:  ## install the system packages the engine needs (as root) and make .venv
	@scripts/setup.sh all

venv:
	@scripts/setup.sh venv

run: setup  ## set up, start the engine, run a first container
	@$(BIN)/python scripts/engine.py start

stop: venv  ## stop the engine that `make run` started; containers keep running
	@$(BIN)/python scripts/engine.py stop

test: setup lint  ## every check and every test (as root)
	$(PYTEST) -n auto $(T)

test-unit: venv  ## the tests that need no privileges and no other program
	$(PYTEST) -n auto -m 'not needs' tests/unit tests/property tests/repo $(T)

lint: venv  ## ruff, mypy for three platforms, the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --platform linux
	$(BIN)/mypy --platform linux scripts/engine.py
	$(BIN)/mypy --platform darwin -p pyd_host -p pyd_vm -p pyd_api
	$(BIN)/mypy --platform win32 -p pyd_host -p pyd_vm -p pyd_api
	$(BIN)/lint-imports

format: venv  ## let ruff rewrite the sources
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: setup  ## compare speed and memory with a dockerd (as root)
	@PYTHONPATH=tests $(BIN)/python -m bench

image:  ## the image of the virtual machine
	@echo 'make image: not yet: the virtual machine that this image is for is not built yet' >&2; exit 1

dist: venv  ## the wheel and the source archive, in dist/
	@rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist

clean:  ## remove what the other targets made; not the engine's data
	rm -rf .venv .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
