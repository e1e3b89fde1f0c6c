# Two commands are enough on a fresh machine with Python 3.11 or newer, pip, make, gcc and git:
#   make results   sets up, then runs the default workflow (config/config.yaml)
#   make test      sets up, then runs all tests and style checks
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
# one thread per job: Snakemake runs jobs in parallel
export OMP_NUM_THREADS ?= 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup baseline results paper mnist motion mot smoke test kernels lint docs performance

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'CORES=2 after a target uses two cores instead of all; PYTHON=python3.12 sets up with that Python.'

setup: $(VENV)/.complete ## .venv with the pinned versions; other targets create it if it is missing

# installs the pinned versions; the stamp .complete marks a finished environment
$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "flatvae needs Python 3.11 or newer; use make PYTHON=…")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[workflow,tracking,parquet,test,docs]'
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps pythae==0.1.2 # for one test, which is skipped without it
	touch $@

results: setup ## the default benchmark (minutes on two cores), into results/
	snakemake --cores $(CORES)

paper: setup ## the reference: every claim on every data set, for hours; into results/paper/
	snakemake --cores $(CORES) --configfile config/paper.yaml

mnist: setup ## MNIST, into results/mnist/
	snakemake --cores $(CORES) --configfile config/mnist.yaml

motion: setup ## human motion, into results/human_motion/
	snakemake --cores $(CORES) --configfile config/human_motion.yaml

mot: setup ## people in real videos, into results/mot/
	snakemake --cores $(CORES) --configfile config/mot.yaml

smoke: setup ## every step once, in a minute or two: a check that everything works
	snakemake --cores $(CORES) --configfile config/smoke.yaml

baseline: setup ## the file of a new baseline: make baseline NAME=my_method
	python -m baselines "$(NAME)"

lint: setup ## style checks
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

# One process more than cores, because the Slurm tests mostly wait; tests/conftest.py groups tests.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1)')
PYTEST_SIDE_BY_SIDE = --numprocesses $(WORKERS) --no-loadscope-reorder

test: lint ## style checks and all tests
	pytest $(PYTEST_SIDE_BY_SIDE) --durations 10

docs: setup ## the documentation site, offline, into build/docs; a warning is an error
	sphinx-build -W --keep-going -q docs build/docs

kernels: setup ## the unit tests with matrix-product kernels of other processors
	python tests/kernels.py $(PYTEST_SIDE_BY_SIDE) --ignore tests/cluster --ignore tests/workflow

performance: setup ## times and memory against limits; run nothing else meanwhile
	pytest tests/performance --override-ini addopts= -s

