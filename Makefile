# `make demo` and `make test` are all that a new user needs: each makes .venv from requirements.lock if it is missing.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PEERS := .venv/.peers

.PHONY: demo test test-slow test-peers lint format bench wheel lock clean

demo: $(INSTALLED)
	$(BIN)/geodl demo segmentation --overwrite

test: $(INSTALLED)
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest
	KERAS_BACKEND=jax $(BIN)/python -m pytest tests/models tests/metrics tests/test_losses.py

test-slow: $(INSTALLED)
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m slow --timeout 3600

test-peers: $(PEERS)
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m peers

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	$(BIN)/python benchmarks/memory.py

wheel: $(INSTALLED)
	$(BIN)/python -m hatchling build -t wheel

# Needs uv on the PATH. Wheels only, hashes, no index lines, one file for every platform and Python.
lock:
	uv pip compile pyproject.toml --group test --extra tensorboard --extra onnx --extra openvino --extra s3 --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate --no-header --generate-hashes --only-binary :all: -o requirements.lock

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "geodl needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.11 or newer.")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --only-binary :all: --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
