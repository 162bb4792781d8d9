# sysmon: `make run` starts it, `make test` tests it, `make help` lists the rest.

VENV := .venv
PEERS := build/peers
PYTHON_RUN := env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python
ARGS ?=
# Tests mostly wait for real programs, so there are more processes than processors. With ARGS there is one, which a
# debugger can stop and -x ends at once; ARGS="-n 4 tests/tui" has them side by side again.
SIDE_BY_SIDE := -n 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help run test check formatted linted typed layered generated generate format bench venv dev lock build clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: venv ## start sysmon; ARGS="--once" passes arguments on
	@exec env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/sysmon $(ARGS)

test: dev ## run the tests, four at a time; ARGS="tests/store -x" passes arguments on and runs them one by one
	@$(PYTHON_RUN) -m pytest $(or $(ARGS),$(SIDE_BY_SIDE))

check: formatted linted typed layered generated ## format, lint, types, who imports whom, generated files; -k goes on after a failure

formatted: dev
	$(VENV)/bin/ruff format --check --quiet

linted: dev
	$(VENV)/bin/ruff check --quiet

typed: dev
	$(VENV)/bin/mypy
	@if $(VENV)/bin/pyright --version >/dev/null 2>&1; then set -x; $(VENV)/bin/pyright; \
	  else echo "pyright: not installed in $(VENV), left out"; fi

layered: dev
	@echo $(VENV)/bin/lint-imports && $(VENV)/bin/lint-imports --no-logo

generated: dev
	$(PYTHON_RUN) scripts/generate --check

generate: dev ## write completions and the tables of docs/ anew from the code
	@$(PYTHON_RUN) scripts/generate

format: dev ## bring the sources into their one format
	$(VENV)/bin/ruff check --fix-only --quiet
	$(VENV)/bin/ruff format

bench: dev $(PEERS)/.stamp ## measure sysmon beside glances, and btop and htop where they are; ARGS="--seconds 10"
	@PATH="$$PATH:$(PEERS)/bin" $(PYTHON_RUN) -m bench $(ARGS)

$(PEERS)/.stamp: requirements/bench.txt | dev
	@$(VENV)/bin/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check install -qq --require-hashes -r requirements/bench.txt
	@touch $@

venv: ## make .venv with what sysmon runs with
	@scripts/venv runtime

dev: ## make .venv with the tools for tests and checks too
	@scripts/venv dev

lock: ## write requirements/ anew; ARGS=--upgrade takes newer versions
	scripts/lock $(ARGS)

build: dev ## the sdist and the wheel, in dist/
	@rm -rf dist
	@$(PYTHON_RUN) -m build --no-isolation --outdir dist

clean: ## remove everything that was made here, .venv too
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
