PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2

.PHONY: setup bench benchmark-speed test test-slow test-slurm test-examples test-wheel lint types imports docs check-docs same-bits

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(READY)

bench: $(READY)
	$(BIN)/adaptbench run mini --jobs $(JOBS)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

test-slurm: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow \
		tests/slurm/test_faults.py tests/slurm/test_executors.py tests/slurm/test_sweep.py

test-examples: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow tests/examples tests/methods tests/cli

# The built wheel, in an environment of its own.
test-wheel: $(READY)
	$(BIN)/python -m pytest -m slow tests/test_wheel.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

# What a step of each online method costs, on a machine that does nothing else meanwhile.
benchmark-speed: $(READY)
	$(BIN)/adaptbench time speed

# The pages of docs/reference, written from the code.
docs: $(READY)
	$(BIN)/python docs/generate_reference.py

check-docs: $(READY)
	$(BIN)/python docs/generate_reference.py --check

# Whether this tree gives the same bits as the commit BASE.
BASE ?= HEAD
same-bits: $(READY)
	$(BIN)/python -m tests.bits.compare $(BASE)
