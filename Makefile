.PHONY: help demo test check prove bench bench-linkage bench-index proto lock clean
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(abspath $(VENV)/bin)
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

help: ## Say what each command does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

$(VENV)/.run: .ci/requirements.lock pyproject.toml
	@echo "Setting up: making $(VENV) and installing what Accord needs (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --require-hashes -r .ci/requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run .ci/requirements-dev.lock
	@echo "Setting up: installing the tools that tests need (once)"
	@$(PIP) install --quiet --require-hashes -r .ci/requirements-dev.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.dev .ci/requirements-bench.lock
	@echo "Setting up: installing what others use for linkage, and public data (once; about 300 MB)"
	@$(PIP) install --quiet --require-hashes -r .ci/requirements-bench.lock
	@touch $@

demo: $(VENV)/.run ## Tell the story of one family, with real processes (ARGS=--stay leaves it running)
	@$(BIN)/python -m deploy.demo $(ARGS)

test: $(VENV)/.dev ## Run the tests that need no privileges and no optional tools
	@$(BIN)/python -m pytest -m "not prove" -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.dev ## Format, lint, types, import rules, contract, policies, generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && $(BIN)/buf lint && $(BIN)/buf breaking --against baseline.binpb
	$(BIN)/python -m pytest tests/shape tests/policies -m "not prove"

prove: $(VENV)/.dev ## Run the fault and proof trials, each printing its figures
	@$(BIN)/python -m pytest -m prove -s $(ARGS)

bench: $(VENV)/.dev ## Measure each step of a question on this machine; writes build/bench.json
	@$(BIN)/python -m tests.bench $(ARGS)

bench-linkage: $(VENV)/.bench ## Measure how well people are found, on public sets and beside Splink; writes build/bench-linkage.json
	@$(BIN)/python -m tests.bench.linkage $(ARGS)

bench-index: $(VENV)/.bench ## Measure indexes of growing size; writes build/bench-index.json
	@$(BIN)/python -m tests.bench.index $(ARGS)

proto: $(VENV)/.dev ## Make the code in protos/accord/v1 anew from the .proto files
	@cd protos && PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. accord/v1/*.proto

lock: $(VENV)/.dev ## Choose versions anew and pin each with its hashes (ARGS=--upgrade for the newest)
	@$(BIN)/uv pip compile pyproject.toml --group build $(LOCK) $(ARGS) -o .ci/requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --group build --group dev $(LOCK) $(ARGS) -c .ci/requirements.lock -o .ci/requirements-dev.lock
	@$(BIN)/uv pip compile pyproject.toml --group build --group dev --group bench $(LOCK) $(ARGS) -c .ci/requirements-dev.lock -o .ci/requirements-bench.lock

clean: ## Remove what make made
	rm -rf $(VENV) build dist
