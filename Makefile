# The commands of a checkout; `make` alone lists them. Set-up needs nothing sourced.

DURATION ?= 30
GPU ?= auto
PYTHON3 := $(shell command -v python3.11 || command -v python3)
BOOTSTRAP = $(PYTHON3) tools/bootstrap.py
BIN = .venv/bin
ifeq ($(GPU),1)
override GPU := yes
else ifeq ($(GPU),0)
override GPU := no
endif
# Files that are compiled stay for the next process, whatever the environment says.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
EVERY_CORE = -n auto --dist loadfile --no-loadscope-reorder
# What talks over DDS in real time mostly waits: two at a time, each in a DDS domain of its own,
# whatever the number of cores.
TWO_AT_A_TIME = -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo bench test test-fast test-timing coverage mutate lint clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## set everything up in .venv and .ros (GPU=1 or GPU=0 decides where inference runs)
	@$(BOOTSTRAP) runtime --gpu $(GPU)

setup-tests:
	@$(BOOTSTRAP) tests --gpu $(GPU)

demo: setup ## play a simulated drive through the four nodes (DURATION=30); results in out/demo/
	@$(BIN)/avdet demo --duration $(DURATION)

bench: setup ## measure what a window costs and how late tracks come
	@$(BIN)/avdet bench steps
	@$(BIN)/avdet bench latency

test: setup-tests lint ## every check and every test, at most 20 minutes on 2 cores
	@OMP_NUM_THREADS=1 $(PYTEST) -q $(EVERY_CORE) -m 'not ros and not timing'
	@$(PYTEST) -q $(TWO_AT_A_TIME) -m 'ros and not timing'

test-fast: setup-tests lint ## the quick tests that need no DDS, below 2 minutes on 2 cores
	@OMP_NUM_THREADS=1 AVDET_TEST_QUICK=1 $(PYTEST) -q $(EVERY_CORE) \
	  -m 'not slow and not ros and not timing'

test-timing: setup-tests ## how fast and how even, on an idle machine; no gate
	@$(PYTEST) -q -m timing

lint: setup-tests ## style, formatting, spelling, types of the rooms named in pyproject.toml
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/codespell
	@$(BIN)/mypy

coverage: setup-tests ## which lines the tests without DDS run; takes half as long again as they do
	@OMP_NUM_THREADS=1 $(PYTEST) -q $(EVERY_CORE) -m 'not ros and not timing' \
	  --cov=avdet_ros --cov-report=term

MOST ?= 0
SEED ?= 0
mutate: setup-tests ## how many small bugs a room's tests notice (ROOM=audio; MOST=80 for a sample)
	@$(BIN)/python -m pip install -q -c tools/requirements/constraints.txt \
	  -r tools/requirements/mutate.txt
	@$(BIN)/python tools/mutate.py $(ROOM) --most $(MOST) --seed $(SEED) --page

clean: ## undo set-up: .venv, .ros, build folders and caches (out/ and runs/ stay: they are yours)
	@if [ -s .ros/system-packages ]; then \
	  echo "set-up also installed these system packages, which stay: $$(tr '\n' ' ' < .ros/system-packages)"; fi
	@rm -rf .venv .ros build install log *.egg-info
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .numba_cache .coverage
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
