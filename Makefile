# `make demo` and `make test` do all the set-up on a fresh machine: Python ≥ 3.11 and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRA ?= cpu
# One more than there are cores, as each waits now and then; each has a PostgreSQL of its own, and up to 2 GB of networks.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 6 ? cores + 1 : 6)))
# Your music and that of the demo are two catalogues.
DEMO_HOME := $(CURDIR)/var/demo$(if $(MUSIC),-own)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test tests lint coverage bench clean

demo: $(VENV)/.installed
	SOUNDALIKE_HOME="$(DEMO_HOME)" $(BIN)/soundalike demo $(if $(MUSIC),"$(MUSIC)")

test: $(VENV)/.installed-dev
	$(MAKE) --no-print-directory --jobs 2 lint tests

tests: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --cov --cov-report=term

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.encoders.ingest
	$(BIN)/python -m benchmarks.encoders.spaces
	$(BIN)/python -m benchmarks.encoders.throughput

clean:
	rm -rf $(VENV) var build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The constraints pin torch exactly: a range would pull a build with gigabytes of CUDA where an index offers one.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing Soundalike and what it needs into $(VENV): some minutes the first time, in silence"
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRA)]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRA),dev]'
	touch $@
