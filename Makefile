# Two commands matter: `make demo` shows the main job, `make test` proves it. Both install what they need.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo demo-rollout test test-long lint bench crds lock clean
demo: $(STAMP)
	$(BIN)/millpond demo surge $(DEMO_ARGS)

demo-rollout: $(STAMP)
	$(BIN)/millpond demo rollout $(DEMO_ARGS)

test: lint
	$(BIN)/python -m pytest $(TEST_ARGS)

test-long: lint
	$(BIN)/python -m pytest -m "long or not long" $(TEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

crds: $(STAMP)
	$(BIN)/python -m millpond.api.schema charts/millpond/crds

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	command -v $(BIN)/uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(STAMP)

lock:
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --extra dev --quiet pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
