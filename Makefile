# Putthrough. Everything sets itself up: `make demo` and `make test` need Python >= 3.11 and make, nothing else.
PYTHON ?= python3
UV := uv==0.13.9
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: help demo test evals chaos lint bench serve docs lock clean
help:                ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-7s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.ready ## real calls through the real server, on a simulated network: see and hear them
	@$(RUN) server.py demo $(STORY)

chaos: $(VENV)/.ready ## calls on which things break: CALLS=100 SEED=7 ONLY=7-12,7-40
	@PYTHONPATH=.:tests $(RUN) -m chaos $(if $(CALLS),--calls $(CALLS)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

test: $(VENV)/.ready ## the whole test suite
	@$(RUN) -m pytest -q

evals: $(VENV)/.ready ## how the bot behaves, offline; with real models: python -m evals PIPELINE … --repeat 5
	@$(RUN) -m evals --offline $(ARGS)

lint: $(VENV)/.ready ## style and types
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/pyright

bench: $(VENV)/.ready ## what a call costs beside other servers, in ten minutes; ARGS="--quick" for one
	@$(RUN) -m bench $(ARGS)

serve: $(VENV)/.ready ## answer calls
	@$(RUN) server.py

docs: $(VENV)/.ready ## write what the documentation shows of the code
	@PYTHONPATH=.:tests $(RUN) tests/test_law_table.py
	@$(RUN) -m pipelines.schema

lock: $(VENV)/.ready ## pin the newest versions that pyproject.toml allows
	@$(VENV)/bin/uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--group dev --group bench --group local --extra voice pyproject.toml -o requirements.lock

clean:               ## forget the environment and the demo; the record of your calls stays
	@rm -rf $(VENV) demo-calls .pytest_cache .ruff_cache .hypothesis

# uv makes the environment exactly what the lock says, in seconds. It does not read pip's configuration: where it finds
# no index, pip does the same more slowly, from wherever this machine's pip gets its packages.
$(VENV)/.ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@{ $(RUN) -m pip install -q --disable-pip-version-check $(UV) && \
		$(VENV)/bin/uv pip sync -q --python $(RUN) --require-hashes requirements.lock; } 2>/dev/null || \
		$(RUN) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
