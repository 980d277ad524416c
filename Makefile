# Cortez: every command a person needs. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header
export DATABASE_URL CORTEZ_PORT
unexport PYTHONDONTWRITEBYTECODE # else each of the many processes that tests start compiles every module anew

.DEFAULT_GOAL := help
.PHONY: help install run demo test lint types check reliability bench soak trace structure migrate migration migrations lock

help: ## List the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/installed ## Make the environment from the lock

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv-bench/installed: tests/bench/requirements.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --require-hashes --only-binary :all: -r tests/bench/requirements.lock
	@touch $@

run: install ## Serve on the embedded database, with a demo course to look at
	$(BIN)/cortez migrate
	$(BIN)/cortez demo
	$(BIN)/cortez serve

demo: install ## Load the demo course
	$(BIN)/cortez demo

test: install ## Run the tests on SQLite and PostgreSQL
	$(BIN)/pytest

lint: install ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install ## Check types
	$(BIN)/mypy

migrate: install ## Bring the database of DATABASE_URL to the newest revision
	$(BIN)/cortez migrate

migration: install ## Write a revision from the models: make migration m="what it does"
	$(BIN)/alembic revision --autogenerate -m "$(m)"

migrations: install
	$(BIN)/python tests/migrations.py

trace: install ## Print requirement -> tests
	$(BIN)/python tests/requirements.py

structure: install ## Print figures of how the code is built
	$(BIN)/python tests/structure.py

reliability: install ## Try to break every promise, and print what was measured: make reliability [figures="S1 S3"] [quick=1]
	PYTHONPATH=tests $(BIN)/python -m reliability $(figures) $(if $(quick),--quick)

bench: install .venv-bench/installed ## Measure: make bench [figures="F1 F3"] [quick=1]
	PYTHONPATH=tests $(BIN)/python -m bench $(figures) $(if $(quick),--quick)

soak: install ## Half an hour of faults, then 50,000 requests made from the document: make soak [minutes=30]
	PYTHONPATH=tests $(BIN)/python -m reliability.soak --minutes $(or $(minutes),30)
	CORTEZ_PROPERTY_CASES=80 PYTHONPATH=tests $(BIN)/python -m reliability R5

check: lint types migrations trace test ## Everything that CI runs
	$(MAKE) reliability quick=1
	$(MAKE) bench quick=1

lock: install
	$(BIN)/pip install --quiet uv
	$(LOCK) --extra dev --extra build -o requirements.lock pyproject.toml
	$(LOCK) --extra build -c requirements.lock -o docs/deploy/requirements.lock pyproject.toml
	$(LOCK) --extra bench -c requirements.lock -o tests/bench/requirements.lock pyproject.toml
