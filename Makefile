# `make train` trains an agent that remembers; `make test` runs the tests. Both set up what is missing first.

PYTHON ?= python3
PROCESSES ?= 3
VENV := .venv
BIN := $(VENV)/bin
RAY := 2.54.1
EXAMPLE := tmaze-agalite-ppo
RESULT := results/$(EXAMPLE)/summary.txt
# Processes with a Ray of their own; one that is done takes over what others have left. Some wait while others compute, so
# that three are quicker than two on two CPUs.
PYTEST = $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal
MEETS_RLLIB := tests/rl_module tests/oracle tests/model_v2 tests/migration tests/experiment tests/cli tests/test_ray_internals.py
KERNELS := $(wildcard rllib_recattn/models/kernels/*.cpp rllib_recattn/models/kernels/*.h)
SOURCES := $(shell find rllib_recattn -name '*.py')

export OMP_NUM_THREADS ?= 1
# Each of the many processes that tests start would compile the package again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup kernels train test test-slow test-ray check docs docs-screenshots dist wheels clean

help:  ## list what there is to make
	@sed -n 's/^\([a-z-]*\):.*##/\1:/p' Makefile

setup: $(VENV)/.installed $(VENV)/.kernels  ## the environment in .venv, and system packages that it needs

$(VENV)/.installed: pyproject.toml setup.py constraints.txt scripts/system_packages.sh
	PYTHON="$(PYTHON)" sh scripts/system_packages.sh
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, not " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@# It asks for one old release of Gymnasium, which no other package here could share.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps memory-gym
	touch $@

kernels: $(VENV)/.kernels  ## the kernels in C++, again after changes of theirs; `make setup` builds them as well

$(VENV)/.kernels: $(VENV)/.installed $(KERNELS)
	@# Installing has built them, unless a source is newer; without a compiler nothing depends on them but speed.
	$(BIN)/python -c 'import sys; from rllib_recattn.models.kernels.library import kernels; sys.exit(kernels() is None)' \
		|| $(BIN)/python -m rllib_recattn.models.kernels.build || echo 'Without kernels in C++, see docs/kernels.md.' >&2
	touch $@

train: setup  ## train AGaLiTe on T-Maze; again only after changes, or after `make clean`
	@if $(MAKE) --no-print-directory --question $(RESULT); then cat $(RESULT); else $(MAKE) --no-print-directory $(RESULT); fi

$(RESULT): $(SOURCES) tuned_examples/$(EXAMPLE).yaml
	$(BIN)/rllib train file tuned_examples/$(EXAMPLE).yaml --storage-path results

test: setup  ## the tests, but for the slow ones
	$(PYTEST) -m 'not slow'

# Clusters on several addresses are among them, whose nodes wait for each other only so long.
test-slow: PROCESSES = 2
test-slow: setup  ## the tests that take more than half a minute
	$(PYTEST) -m slow

test-ray: setup  ## the tests of what meets RLlib against another version: make test-ray RAY=2.54.1
	sh scripts/ray_environment.sh $(RAY)
	$(PYTEST:$(BIN)%=.venv-ray-$(RAY)/bin%) -m 'not slow' $(MEETS_RLLIB)

check: setup  ## linter, formatter, type checker, and which part imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

SITE := build/site
# Written from code as well, and checked by what a browser gets; mkdocs ends with an error on each of its warnings.
docs: setup  ## the site, from docs/ and from the code, in build/site; warnings and broken links are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --site-dir $(SITE)
	$(BIN)/python -m docs.site.check_links $(SITE)

docs-screenshots: docs  ## pictures of the site, light and dark, wide and narrow, in build/screenshots; needs Chromium
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt playwright
	$(BIN)/python -m docs.site.screenshots $(SITE) build/screenshots

dist:  ## a wheel and an sdist in dist/, checked, installed into a new environment and used from an empty folder
	PYTHON="$(PYTHON)" sh scripts/distribution.sh

wheels:  ## wheels for this kind of processor that any Linux of recent years takes, by cibuildwheel, which needs Docker
	$(PYTHON) -m venv $(VENV)-dist-tools
	$(VENV)-dist-tools/bin/python -m pip install --quiet --disable-pip-version-check 'cibuildwheel>=3'
	$(VENV)-dist-tools/bin/python -m cibuildwheel --platform linux --output-dir dist

clean:  ## remove the environment and the results
	rm -rf $(VENV) $(VENV)-ray-* $(VENV)-dist* results build dist
