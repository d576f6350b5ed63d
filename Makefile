# The one door. Every target makes its own environment in .venv/ first.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.stamp
MEMBERS := schemas/pyproject.toml installer/pyproject.toml bundler/pyproject.toml
T ?= tests

.PHONY: help env demo test test-slow check lint types contracts fmt fuzz bench compare commands pins clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP)  ## make .venv/ from the hashed pins, with the three members in it

$(STAMP): requirements/dev.txt $(MEMBERS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sealift needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-index --no-deps --no-build-isolation -e ./schemas -e ./installer -e ./bundler
	@touch $@

demo: env  ## bundle a real interpreter and a real tool, install them without a network, run them
	$(BIN)/python tests/demo.py

test: env  ## run the tests (T=path or T='-k word' narrows them)
	$(BIN)/python -m pytest -n auto --dist loadscope -m 'not slow' $(T)

test-slow: env  ## the long sweeps
	$(BIN)/python -m pytest -m slow $(T)

check: lint types contracts test  ## everything that must hold before a change lands

lint: env  ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: env  ## mypy, strict
	$(BIN)/mypy

contracts: env  ## the import contracts between the three members
	$(BIN)/lint-imports --no-logo

fmt: env  ## format, and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

SECONDS ?= 60
CHOICE ?= 0
fuzz: env  ## fuzz every reader for SECONDS each (60); T=... names targets, finds are in .cache/fuzz
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all: \
		-r requirements/fuzz.txt || echo "no wheel of atheris for $$($(BIN)/python -V)" >&2
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) --choice $(CHOICE) $(filter-out tests,$(T))

bench: env  ## measure against the counterparts, write docs/benchmarks.md (S='start' for one table)
	$(BIN)/python tests/bench/run.py $(S)

compare: env  ## run other extractors over the hostile archives, write docs/reference/hostile-archives.md
	$(BIN)/python tests/hostile/compare.py docs/reference/hostile-archives.md

commands: env  ## write docs/reference/commands.md from the parsers of both programs
	$(BIN)/python tests/commands_page.py

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-package sealift-schemas \
	--no-emit-package sealift-installer --no-emit-package sealift
pins: env  ## resolve the hashed pins anew
	$(COMPILE) --upgrade $(MEMBERS) --group pyproject.toml:dev -o requirements/dev.txt
	$(COMPILE) --upgrade --group pyproject.toml:fuzz -o requirements/fuzz.txt
	$(COMPILE) --upgrade installer/pyproject.toml -o requirements/installer.txt
	cp requirements/installer.txt bundler/src/sealift_bundler/pins/installer.txt

clean:  ## remove everything that was made here
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
