# Two commands to begin with: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test dev soak bench lock setup

demo: setup  ## three invented tools, read over HTTP into data/demo: the picture and its gaps
	$(BIN)/fullpicture demo

# Types are checked beside the tests, which leave a core alone now and then.
test: setup  ## everything that must hold: style, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy & types=$$!; \
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -rs -m "not soak and not bench" && wait $$types

dev: setup  ## the Dagster UI on 127.0.0.1:3000; DEMO=1 shows the demo's data
	$(BIN)/fullpicture dev $(if $(DEMO),--demo)

soak: setup  ## the long drills
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m soak

bench: setup  ## the measurements, on a disk
	PYTEST_DEBUG_TEMPROOT=$${TMPDIR:-/tmp} $(BIN)/pytest -m bench -s

lock:  ## resolves requirements.lock anew; needs uv
	uv pip compile --universal --generate-hashes --no-strip-extras --no-emit-index-url --no-annotate --no-header \
		--extra dev --upgrade --quiet --output-file requirements.lock pyproject.toml

setup: .venv/installed

# pip compiles bytecode as it installs: every later start takes half as long.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q orchestration connectors warehouse
	touch $@
