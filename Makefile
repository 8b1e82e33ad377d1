# Two commands are enough: `make demo` and `make test`. Each does all the set-up it needs; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
DEMO_ARGS ?=
TEST_ARGS ?=
SIM_ARGS ?= --sessions 2000 --seed 1
PROTOS := $(wildcard proto/attend/v1/*.proto)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check sim bench soak protos lock fmt clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

setup: $(STAMP) ## only the set-up: .venv and generated code

$(STAMP): requirements/dev.txt pyproject.toml hatch_build.py $(PROTOS)
	@echo "setup: Python environment in $(VENV) (first time: some minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "setup: Attend needs Python 3.11 or newer; run: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(call make_venv,$(VENV))
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@echo "setup: generated code in build/gen"
	@$(BIN)/python hatch_build.py
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Debian splits venv from Python; where it is missing, virtualenv from pip does the same.
define make_venv
if [ ! -x $(1)/bin/python ]; then \
  $(PYTHON) -m venv $(1) 2>/dev/null \
  || { rm -rf $(1); $(PYTHON) -m pip install -q --disable-pip-version-check --target build/virtualenv virtualenv \
       && PYTHONPATH=build/virtualenv $(PYTHON) -m virtualenv -q $(1); } \
  || { echo "setup: could not make a virtual environment; install python3-venv and run again"; exit 1; }; \
fi
endef

demo: setup ## the main job: a whole session on real input, then the server keeps serving
	@$(BIN)/attend demo $(DEMO_ARGS)

test: setup ## every test
	@$(BIN)/python -m pytest $(TEST_ARGS)

check: setup ## format, lint, types, floors, the contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint build/attend.binpb --path attend/v1
	$(BIN)/buf breaking build/attend.binpb --against proto/baseline.binpb --path attend/v1
	$(BIN)/python -m pytest -q tests/house

sim: setup ## the simulation (SIM_ARGS="--sessions 2000 --seed 1")
	@$(BIN)/attend simulate $(SIM_ARGS)

bench: setup ## the benchmarks, each beside its peer in the same run
	@$(BIN)/python -m benchmarks

soak: setup ## the long forms of the proofs
	@ATTEND_SOAK=1 $(BIN)/python -m pytest -m soak --timeout 7200 $(TEST_ARGS)
	@ATTEND_SOAK=1 $(BIN)/python -m pytest --timeout 7200 tests/store/test_sqlite.py tests/runtime/test_crash.py

protos: $(STAMP) ## generate the stubs again
	@$(BIN)/python hatch_build.py

fmt: $(STAMP) ## format and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: ## pin requirements/dev.txt again from pyproject.toml
	$(BIN)/pip-compile -q --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --extra dev --extra peers -o requirements/dev.txt pyproject.toml

clean: ## remove what the set-up made
	rm -rf $(VENV) build dist demo-out
