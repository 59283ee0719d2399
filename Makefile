# Putthrough. Everything sets itself up: `make demo` and `make test` need Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: help demo test lint serve docs lock clean
help:                ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: $(VENV)/.ready ## real calls through the real server, on a simulated network: see and hear them
	@$(RUN) server.py demo

test: $(VENV)/.ready ## the whole test suite
	@$(RUN) -m pytest -q

lint: $(VENV)/.ready ## style and types
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/pyright

serve: $(VENV)/.ready ## answer calls
	@$(RUN) server.py

docs: $(VENV)/.ready ## print what the documentation shows of the code
	@PYTHONPATH=.:tests $(RUN) tests/test_law_table.py

lock: $(VENV)/.ready ## pin the newest versions that pyproject.toml allows
	@$(VENV)/bin/uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--group dev --extra voice pyproject.toml -o requirements.lock

clean:               ## forget the environment and what calls left behind
	@rm -rf $(VENV) demo-calls *.db *.db-shm *.db-wal .pytest_cache .ruff_cache .hypothesis

# uv installs in seconds what pip takes a minute for; where uv cannot reach its index, pip does it.
$(VENV)/.ready: requirements.lock
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install -q --disable-pip-version-check uv
	@$(VENV)/bin/uv pip install -q --python $(RUN) --require-hashes -r requirements.lock 2>/dev/null || \
		$(RUN) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
