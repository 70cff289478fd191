# `make demo` runs the whole pipeline, `make test` checks everything. Both create .venv first.
PYTHON ?= python3
VENV ?= .venv
# Pinned, and installed before the rest. pip's settings apply (PIP_INDEX_URL, PIP_FIND_LINKS …): point them at PyTorch's CPU
# wheels to save gigabytes of GPU libraries.
TORCH ?= torch==2.13.0

# Options that spread the tests over processes; PARALLEL= runs them in one.
PARALLEL ?= --numprocesses 2 --dist loadfile
UNCOMPILED := tests/indexer/kernels tests/indexer/search/test_stopping.py tests/indexer/lexical/test_base.py \
  tests/models/test_nesting.py tests/models/evaluation/test_neighbours.py \
  -k "not as_often_as_stated and not lie_in_their_prefix"

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: help install demo test test-slow lint format openapi integrations bench pins image smoke audit sbom clean

help:
	@echo "make demo    train, index, serve and search the documentation of this Python"
	@echo "make test    lint, types, tests with coverage; make test-slow the slow tests"
	@echo "make lint    formatting, lint and types alone"
	@echo "make format  rewrite the code in the project's format"
	@echo "make openapi       regenerate docs/openapi.json"
	@echo "make integrations  the tests of the retrievers for LangChain, LlamaIndex, Haystack, and of MTEB"
	@echo "make bench   the measurements of benchmarks/ (MRL_DATA_DIR names the data)"
	@echo "make image   the container image; make smoke tests it from build to kill; make pins, audit, sbom for its packages"
	@echo "make clean   delete the environment and the tools' output"

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) --editable ".[dev]"
	@touch $@

demo: install
	$(BIN)/mrl demo --out demo-output

# Compiled loops run once uncompiled, because coverage does not see compiled lines.
test: lint
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest $(UNCOMPILED) --cov --cov-report= --cov-fail-under=0
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL) --cov --cov-append --cov-report=term

test-slow: install
	$(BIN)/python -m pytest -m slow

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
	$(BIN)/python -m pytest tests/service/integrations tests/models/test_mteb_model.py tests/models/evaluation/test_mteb_model.py

bench: install
	$(BIN)/python -m pip install --quiet -e ".[dev,bench]"
	$(BIN)/python -m benchmarks

pins: install
	$(BIN)/python docker/pin.py

image:
	docker build -f docker/Dockerfile -t adaptive-retrieval .

smoke:
	docker/smoke.sh

# These tools get their own environment, to keep their dependencies out of the project's.
$(VENV)-tools/installed:
	$(PYTHON) -m venv $(VENV)-tools
	$(VENV)-tools/bin/python -m pip --disable-pip-version-check install --quiet pip-audit cyclonedx-bom
	@touch $@

audit: $(VENV)-tools/installed
	$(VENV)-tools/bin/pip-audit --disable-pip --no-deps --requirement docker/requirements-serve.txt
	$(VENV)-tools/bin/pip-audit --disable-pip --no-deps --requirement docker/requirements-full.txt

sbom: $(VENV)-tools/installed
	$(VENV)-tools/bin/cyclonedx-py requirements docker/requirements-serve.txt --output-file sbom-serve.json
	$(VENV)-tools/bin/cyclonedx-py requirements docker/requirements-full.txt --output-file sbom-full.json

clean:
	rm -rf $(VENV) $(VENV)-tools sbom-*.json build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
