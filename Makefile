# Two commands do everything on a fresh machine with Python 3.11 or newer, pip, make, gcc and git:
#   make results   sets up, then runs the default workflow (config/config.yaml)
#   make test      sets up, then runs all tests and style checks
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
# one thread per job: Snakemake runs the jobs side by side
export OMP_NUM_THREADS ?= 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup baseline results paper mnist motion mot smoke test kernels lint docs performance

setup: $(VENV)/.complete

# installed with the pinned versions; a stamp tells a whole environment from a half-made one
$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "flatvae needs Python 3.11 or newer; say make PYTHON=…")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[workflow,tracking,parquet,test,docs]'
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps pythae==0.1.2 # for one test, which is skipped without
	touch $@

results: setup
	snakemake --cores $(CORES)

paper: setup
	snakemake --cores $(CORES) --configfile config/paper.yaml

mnist: setup
	snakemake --cores $(CORES) --configfile config/mnist.yaml

motion: setup
	snakemake --cores $(CORES) --configfile config/human_motion.yaml

mot: setup
	snakemake --cores $(CORES) --configfile config/mot.yaml

smoke: setup
	snakemake --cores $(CORES) --configfile config/smoke.yaml

baseline: setup
	python -m baselines "$(NAME)"

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

# One process more than cores, for tests on Slurm mostly wait; tests/conftest.py says which tests go together.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1)')
PYTEST_SIDE_BY_SIDE = --numprocesses $(WORKERS) --no-loadscope-reorder

test: lint
	pytest $(PYTEST_SIDE_BY_SIDE) --durations 10

# the documentation site, offline, into build/docs; a warning is an error
docs: setup
	sphinx-build -W --keep-going -q docs build/docs

# the unit tests under other kernels for matrix products than this processor's own, see tests/kernels.py
kernels: setup
	python tests/kernels.py $(PYTEST_SIDE_BY_SIDE) --ignore tests/cluster --ignore tests/workflow

performance: setup
	pytest tests/performance --override-ini addopts= -s

