# Nengliu 能流.  `make help` lists the targets; nothing but Python 3.11 or 3.12 and make is needed.
# Variables: PYTHON=... the interpreter to build .venv with; PORT=... the page's port; ARGS=... more arguments;
# DATA=... the folder of the data sets for `make prove-a`, `prove-c` and `prove-d`; CASES=... random plants of the last;
# SLOW=1 runs the slow tests too.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test check format bench prove-a prove-b prove-c prove-d prove-e wheel lock clean

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet --no-input
RUN_STAMP := $(VENV)/.nengliu-run
DEV_STAMP := $(VENV)/.nengliu-dev
DATA ?= data
COMPILE := $(VENV)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url --generate-hashes

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

run: $(RUN_STAMP) ## Start everything with a simulated province, and its pages (PORT=8501)
	@NENGLIU_HOME="$${NENGLIU_HOME:-$(CURDIR)/.nengliu}" exec $(PY) -P -m nengliu.cli demo $(if $(PORT),--port $(PORT)) $(ARGS)

test: $(DEV_STAMP) ## Run the tests (SLOW=1: the slow ones too; ARGS=... for pytest)
	@$(PY) -m pytest $(if $(SLOW),-m "not server") $(ARGS)

check: $(DEV_STAMP) ## Check style, types and who imports whom
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: $(DEV_STAMP) ## Lay out the code as `make check` wants it
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(DEV_STAMP) ## Measure throughput beside named peers (ARGS="--scale 0.1": a small load)
	@$(PY) -P -m nengliu.cli bench --write docs/benchmarks.md $(ARGS)

prove-a: $(DEV_STAMP) ## Prove the laws on real data (DATA=folder of the data sets)
	@$(PY) tests/prove/prove_a.py --data "$(DATA)" $(ARGS)

prove-b: $(DEV_STAMP) ## Prove the live edge: Modbus, both buses, kills at every joint, cuts (needs a JVM and Maven)
	@$(PY) tests/prove/prove_b.py $(ARGS)

prove-c: $(DEV_STAMP) ## Prove the watch: rules, incidents, replay, the first minutes (DATA=folder of the data sets)
	@$(PY) tests/prove/prove_c.py --data "$(DATA)" $(ARGS)

prove-d: $(DEV_STAMP) ## Prove the rollups: laws, kills, cases, figures, recomputation, audit (DATA=folder of the data sets)
	@$(PY) tests/prove/prove_d.py --data "$(DATA)" $(if $(CASES),--cases $(CASES)) $(ARGS)

prove-e: $(DEV_STAMP) ## Prove the acquisition: frames, a fleet with forty faults, fifteen days without a way up, late answers
	@$(PY) tests/prove/prove_e.py $(ARGS)

wheel: $(DEV_STAMP) ## Build the wheel into dist/
	@$(PY) -m build --wheel --no-isolation --outdir dist .

lock: ## Pin the dependencies anew (needs uv in .venv)
	$(COMPILE) --group dev -o requirements/dev.txt
	$(COMPILE) --group build --constraint requirements/dev.txt -o requirements/run.txt

clean: ## Remove caches and built files; keeps .venv and the data in .nengliu
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The first interpreter that works and is of a version with wheels of everything (bytewax has none above 3.12).
$(PY):
	@fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'; \
	for python in "$(PYTHON)" $(if $(PYTHON),,python3.12 python3.11 python3 python); do \
		if [ -n "$$python" ] && "$$python" -c "$$fits" 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Python 3.11 or 3.12 is needed$(if $(PYTHON), and $(PYTHON) is not one)." \
			"Install one of them, or name yours: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; \
	fi; \
	"$$found" -m venv "$(VENV)" || { rm -rf "$(VENV)"; \
		echo "$$found cannot make a virtual environment; install its venv module (Debian: apt install python3-venv)" >&2; \
		exit 1; }

# `dev` holds all of `run`, so it marks both as done.  The project itself is linked, not copied.
$(RUN_STAMP): requirements/run.txt pyproject.toml | $(PY)
	@echo "Installing what nengliu needs to run (once; about 350 MB to fetch) ..."
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): requirements/dev.txt pyproject.toml | $(PY)
	@echo "Installing what nengliu needs to run and to be tested (once; about 450 MB to fetch) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(RUN_STAMP) $@
