# Two commands matter: `make demo` shows the main job, `make test` proves it. Both install what they need.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
PYTHON_BASE_IMAGE ?= python:3.11-slim-bookworm
IMAGE_PYTHON := 3.11
IMAGE_ARCH ?= $(subst arm64,aarch64,$(shell uname -m))
WHEELHOUSE := build/wheelhouse
SBOM := build/sbom/millpond.cdx.json
HELM ?= helm

.PHONY: demo demo-rollout test test-long test-kind lint programs bench crds manifests docs helm wheelhouse sbom image lock clean
demo: $(STAMP)
	$(BIN)/millpond demo surge $(DEMO_ARGS)

demo-rollout: $(STAMP)
	$(BIN)/millpond demo rollout $(DEMO_ARGS)

# Side by side, first what is quick, then the product, which waits more than it works; at last what judges time, with the
# machine for itself.
PYTEST = $(BIN)/python -m pytest --durations 10
USUAL = not long and not kind
test: lint
ifdef TEST_ARGS
	$(BIN)/python -m pytest $(TEST_ARGS)
else
	$(PYTEST) -n 3 -m "$(USUAL)" --ignore tests/e2e
	$(PYTEST) -n 3 -m "$(USUAL) and not alone" tests/e2e
	$(PYTEST) -m "$(USUAL) and alone" tests/e2e
endif

test-long: lint
	$(BIN)/python -m pytest -m "not kind" $(TEST_ARGS)

# Images and a kind cluster of four nodes, and what only they can show. `make wheelhouse` before does all that needs the network.
test-kind: wheelhouse
	$(BIN)/python -m pytest -m kind --durations 10 tests/kind tests/image $(TEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Fetched or built before any test waits for them: with empty caches six minutes on two cores.
programs: $(STAMP)
	@$(BIN)/python -c "from millpond.local.programs import programs; programs.find(print)"

bench: $(STAMP)
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

crds: $(STAMP)
	$(BIN)/python -m millpond.api.schema charts/millpond/crds

# For the embedded cluster, which has no helm.
manifests: $(STAMP)
	{ echo "# Made by \`make manifests\` from charts/millpond: what the embedded cluster applies, where there is no helm."; \
	  printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: millpond-system\n'; \
	  $(HELM) template millpond charts/millpond --namespace millpond-system --kube-version 1.37.0 --show-only templates/operator/rbac.yaml; \
	} > operator/millpond/local/cluster/manifests/identity.yaml

# The tables in the chart's README.
docs: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m chart.tables

# Where a Helm is, built from Go modules if need be: make manifests HELM=$$(make -s helm)
HELM_MAJOR ?= 3
helm: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m chart.helms $(HELM_MAJOR)

# What the images are built from, for Linux with this machine's processor: the only step that needs the network.
wheelhouse: $(WHEELHOUSE)/runtime.done $(WHEELHOUSE)/sample-app.done $(WHEELHOUSE)/project.done $(SBOM)

MANYLINUX = $(foreach glibc,$(shell seq 5 36),--platform manylinux_2_$(glibc)_$(IMAGE_ARCH)) \
	$(foreach year,1 2010 2014,--platform manylinux$(year)_$(IMAGE_ARCH))
DOWNLOAD = $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
	--implementation cp --python-version $(IMAGE_PYTHON) --abi cp$(subst .,,$(IMAGE_PYTHON)) --abi abi3 --abi none $(MANYLINUX)

$(WHEELHOUSE)/runtime.done: requirements-runtime.lock | $(STAMP)
	rm -rf $(@:.done=)
	$(DOWNLOAD) --requirement $< --dest $(@:.done=)
	touch $@

$(WHEELHOUSE)/sample-app.done: examples/sample_app/requirements.lock $(WHEELHOUSE)/runtime.done
	rm -rf $(@:.done=)
	$(DOWNLOAD) --no-index --find-links $(WHEELHOUSE)/runtime --requirement $< --dest $(@:.done=)
	touch $@

$(WHEELHOUSE)/project.done: pyproject.toml README.md LICENSE $(shell find operator policies charts/millpond examples -not -name '*.pyc' -not -name __pycache__) | $(STAMP)
	rm -rf $(@:.done=)
	$(BIN)/python -m hatchling build --target wheel --directory $(@:.done=) >/dev/null
	touch $@

sbom: $(SBOM)
$(SBOM): requirements-runtime.lock pyproject.toml | $(STAMP)
	mkdir -p $(@D)
	PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o $@ $<
	touch $@

# ENGINE is docker or podman, else the first of them that runs; the build itself has no network.
image: wheelhouse
	@engine="$(ENGINE)"; for each in docker podman; do \
		[ -n "$$engine" ] || ! $$each info >/dev/null 2>&1 || engine=$$each; done; \
	[ -n "$$engine" ] || { echo "make image: neither docker nor podman runs here; start one, or name it: make image ENGINE=podman" >&2; exit 1; }; \
	set -e; $$engine image inspect $(PYTHON_BASE_IMAGE) >/dev/null 2>&1 || $$engine pull $(PYTHON_BASE_IMAGE); \
	build() { echo "$$engine builds $$1 from $(PYTHON_BASE_IMAGE)"; $$engine build --quiet --network none --tag $$1 --file $$2 \
		--build-arg BASE=$(PYTHON_BASE_IMAGE) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) .; }; \
	build millpond:$(VERSION) Containerfile; \
	build millpond.dev/sample-app:$(VERSION) examples/sample_app/Containerfile

# Without the network when all of it has been fetched before.
SYNC = $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	command -v $(BIN)/uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(SYNC) --offline 2>/dev/null || $(SYNC)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(STAMP)

COMPILE = $(BIN)/uv pip compile --generate-hashes --no-header --no-emit-index-url --quiet
FOR_IMAGE = --no-annotate --constraint requirements.lock --python-version $(IMAGE_PYTHON) --python-platform x86_64-manylinux_2_31

lock:
	$(COMPILE) --universal --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) $(FOR_IMAGE) pyproject.toml -o requirements-runtime.lock
	$(COMPILE) $(FOR_IMAGE) examples/sample_app/requirements.in -o examples/sample_app/requirements.lock

clean:
	rm -rf $(VENV) build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
