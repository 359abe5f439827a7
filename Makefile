# Every target sets up what it needs: `make test` and `make demo` work from a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Stamped when the installation is complete, and redone when the dependencies change.
STAMP := $(VENV)/installed
SOURCES := fitrec tests
DEMO := results/demo-recording

.PHONY: venv test lint gpu demo schemas format clean

venv: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy fitrec
	$(BIN)/snakefmt --check Snakefile workflows
	$(BIN)/snakemake --lint --configfile config/default.yaml

# Tests and benchmarks of a GPU with what PYTHON has there, within ten minutes and without a network: docs/gpu.md.
gpu:
	$(PYTHON) -m fitrec.bench --device cuda --out results/gpu

# A ground-truth network makes a small recording; the pipeline fits it and the report compares the fit with the truth.
demo: $(DEMO)/recording.nwb
	$(BIN)/fitrec run config/demo.yaml --out results/demo
	@echo "Open results/demo/demo/report/index.html"

$(DEMO)/recording.nwb: | $(STAMP)
	$(BIN)/fitrec simulate --out $@ --truth $(DEMO)/truth.zarr --overwrite

# The files generated from the config models.
schemas: $(STAMP)
	$(BIN)/python -m fitrec.config.generate

format: $(STAMP)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/snakefmt Snakefile workflows

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
