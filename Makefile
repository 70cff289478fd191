# `make demo` shows the whole line, `make test` checks everything; both set up what they need in .venv first.
PYTHON ?= python3
VENV ?= .venv
# Installed first and pinned. pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS …) apply: pointed at PyTorch's CPU wheels
# they save gigabytes of GPU libraries on a machine without a GPU.
TORCH ?= torch==2.13.0

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: help install demo test lint format openapi integrations bench clean

help:
	@echo "make demo    train, index, serve and search on the documentation of this Python"
	@echo "make test    lint, types, tests with coverage"
	@echo "make lint    formatting, lint and types alone"
	@echo "make format  rewrite the code in the project's format"
	@echo "make openapi       write docs/openapi.json anew"
	@echo "make integrations  the tests of the retrievers for LangChain, LlamaIndex, Haystack, and of MTEB"
	@echo "make bench   the measurements of benchmarks/ (MRL_DATA_DIR names the data)"
	@echo "make clean   delete the environment and what the tools leave"

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) --editable ".[dev]"
	@touch $@

demo: install
	$(BIN)/mrl demo --out demo-output

test: lint
	$(BIN)/python -m pytest --cov --cov-report=term

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: install
	$(BIN)/python -m service.openapi docs/openapi.json

integrations: install
	$(PIP) --editable ".[dev,langchain,llama-index,haystack,mteb]"
	$(BIN)/python -m pytest tests/integrations

bench: install
	$(BIN)/python -m pip install --quiet -e ".[dev,bench]"
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
