# `make demo` and `make test` are all that a new user needs: each makes .venv from requirements.lock if it is missing.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PEER := .venv-peers/bin
PEERS := .venv-peers/.installed
CUDA := cuda-bindings cuda-toolkit nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton

.PHONY: demo test test-slow test-peers lint format docs bench wheel lock lock-peers clean

demo: $(INSTALLED)
	$(BIN)/geodl demo segmentation --overwrite

# Two processes, file by file; tests that share what is dear to make lie in one file.
test: $(INSTALLED)
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -n 2 --dist loadfile
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n 2 --dist loadfile tests/models tests/losses

test-slow: $(INSTALLED)
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m slow --timeout 3600
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m slow tests/models tests/losses tests/benchmarks --timeout 3600

test-peers: $(PEERS)
	KERAS_BACKEND=tensorflow $(PEER)/python -m pytest -m peers

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site, in site/; a broken link is an error.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Half an hour on two cores that do nothing else; each waits until the machine is quiet. See docs/benchmarks.md.
bench: $(PEERS)
	$(PEER)/python benchmarks/startup.py
	$(PEER)/python benchmarks/predict.py
	$(PEER)/python benchmarks/training.py torch
	$(PEER)/python benchmarks/training.py input
	$(PEER)/python benchmarks/denoising.py
	$(PEER)/python benchmarks/convlstm.py
	$(PEER)/python benchmarks/nowcast_domain.py
	$(PEER)/python benchmarks/neural_ode.py
	$(PEER)/python benchmarks/series.py
	$(PEER)/python benchmarks/checkpoints.py
	$(PEER)/python benchmarks/cluster.py
	$(PEER)/python benchmarks/memory.py
	$(PEER)/python benchmarks/table.py

wheel: $(INSTALLED)
	$(BIN)/python -m hatchling build -t wheel

# Needs uv on the PATH. Wheels only, hashes, no index lines, one file for every platform and Python.
lock:
	uv pip compile pyproject.toml --group test --group docs --extra tensorboard --extra onnx --extra openvino --extra s3 --extra cluster --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate --no-header --generate-hashes --only-binary :all: -o requirements.lock
	$(MAKE) lock-peers

# Keeps the versions of requirements.lock where the peers allow it, and leaves out what torch brings for CUDA.
lock-peers:
	cp requirements.lock requirements-peers.tmp
	printf '%s\n' $(CUDA) | uv pip compile pyproject.toml --group test --group docs --group peers --extra tensorboard --extra onnx --extra openvino --extra s3 --extra cluster \
	  --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --only-binary :all: \
	  --no-binary pysteps --no-binary jsmin --excludes - -o requirements-peers.tmp --quiet
	$(PYTHON) benchmarks/cpu_torch.py < requirements-peers.tmp > requirements-peers.lock
	rm requirements-peers.tmp

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "geodl needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.11 or newer.")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv: about 4.5 GB, some minutes."
	$(BIN)/python -m pip install --quiet --only-binary :all: --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Nothing is said of wheels here: pysteps has none, and pip would refuse what it is built with.
$(PEERS): requirements-peers.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.platform == "linux" and sys.version_info[:2] != (3, 11) and "On Linux the peers are locked for Python 3.11; this is " + sys.version.split()[0] + ". Set PYTHON=python3.11.")'
	test -x $(PEER)/python || $(PYTHON) -m venv .venv-peers
	$(PEER)/python -m pip install --quiet --requirement requirements-peers.lock
	$(PEER)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv .venv-peers dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
