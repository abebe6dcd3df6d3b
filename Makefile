.PHONY: help demo test check prove bench proto clean
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

help: ## Say what each command does
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.run: pyproject.toml
	@echo "Setting up: making $(VENV) and installing what Accord needs (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Setting up: installing the tools that tests need (once)"
	@$(BIN)/python -c "import tomllib;print('\n'.join(tomllib.load(open('pyproject.toml','rb'))['dependency-groups']['dev']))" > $(VENV)/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(VENV)/dev.txt
	@touch $@

demo: $(VENV)/.run ## Tell the story of one family, with real processes (ARGS=--stay leaves it running)
	@$(BIN)/python -m deploy.demo $(ARGS)

test: $(VENV)/.dev ## Run the tests that need no privileges and no optional tools
	@$(BIN)/python -m pytest -m "not prove" $(ARGS)

check: $(VENV)/.dev ## Format, lint, types, import rules, contract and policies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf breaking --against baseline.binpb

prove: $(VENV)/.dev ## Run the fault and proof trials, each printing its figures
	@$(BIN)/python -m pytest -m prove -s $(ARGS)

proto: $(VENV)/.dev ## Make the code in protos/accord/v1 anew from the .proto files
	@cd protos && PATH="../$(BIN):$$PATH" ../$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. accord/v1/*.proto

clean: ## Remove what make made
	rm -rf $(VENV) build dist
