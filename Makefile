# Everything a user types first. `make run` and `make test` are the two that matter.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
# Relative, since the folder's own path may have spaces, which make can't have in the name of a target.
VENV := .venv
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# In a log (stdout or stderr is no terminal) the libraries' bars would be thousands of lines.
ifneq ($(shell [ -t 2 ] && echo terminal),terminal)
export HF_HUB_DISABLE_PROGRESS_BARS ?= 1
export PIP_PROGRESS_BAR ?= off
endif
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1
# One process more than there are cores, since many tests wait for servers.
PARALLEL := --numprocesses $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder
.PHONY: help install run test test-fast campaign up down status bench docs check format lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/run.stamp ## make the environment in .venv, and nothing else

run: $(VENV)/run.stamp ## from a clean clone to a promoted encoder: data, training, comparison, gate
	dvc repro
	cseflow experiment

up: $(VENV)/run.stamp ## start Prefect's and MLflow's servers and workers on this machine, and deploy
	cseflow up $(OPTIONS)

down: $(VENV)/run.stamp ## stop exactly those
	cseflow down

status: $(VENV)/run.stamp ## say what of it runs, and where
	cseflow status

test: $(VENV)/test.stamp ## install what the tests need and run them
	python -m components.sources encoder stsb
	python -m pytest $(PARALLEL)

test-fast: $(VENV)/test.stamp ## the tests that need no server, no real model and no long subprocess
	python -m pytest $(PARALLEL) -m "not e2e and not slow"

campaign: $(VENV)/test.stamp ## kill every long command at random moments and compare what was made; docs/reliability.md
	python -m tests.campaign --into docs/reliability.md

bench: $(VENV)/bench.stamp ## measure cseflow against its peers; results in benchmarks/results and docs/performance.md
	python -m components.sources corpus encoder llm
	python -m benchmarks

docs: $(VENV)/test.stamp ## build the documentation as a site into .state/site; a broken link or anchor fails
	python -m components.config.reference > docs/configuration.md
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

check: $(VENV)/test.stamp ## lint, format check and types
	ruff check .
	ruff format --check .
	mypy

format: $(VENV)/test.stamp ## put the code in its canonical form
	ruff check --fix .
	ruff format .

lock: ## remake constraints.txt, the full lock, from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --all-extras --no-annotate --upgrade \
	  --custom-compile-command "make lock" pyproject.toml --output-file constraints.txt

clean: ## remove the environment, the data and the servers' state; keep answers, runs, mlflow.db and the DVC cache
	rm -rf .venv data .state

# constraints.txt names torch's version, so that nothing else chooses a build of it. Byte code is made when a module is
# first imported: most of what is installed never is, and compiling all of it takes a third of the installation.
INSTALL := python -m pip install --quiet --no-compile --no-build-isolation --constraint constraints.txt
$(VENV)/run.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --no-compile --upgrade --constraint constraints.txt pip setuptools
	$(INSTALL) --editable .
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(INSTALL) --editable '.[test]'
	touch $@

$(VENV)/bench.stamp: $(VENV)/run.stamp
	$(INSTALL) --editable '.[bench]'
	touch $@
