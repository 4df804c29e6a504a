PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2

.PHONY: setup bench benchmark-speed benchmark-recommend gpu test test-slow test-long lint types imports docs check-docs same-bits

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(READY)

bench: $(READY)
	$(BIN)/adaptbench run mini --jobs $(JOBS)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not long"

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

test-long: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "long and not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

# What a step of each online method costs, on a machine that does nothing else meanwhile, and what
# the rest takes.
benchmark-speed: $(READY)
	$(BIN)/python -m tests.speed 1000000
	$(BIN)/adaptbench time speed

# How long the text measures of a recommendation take on a corpus of 50 MB.
benchmark-recommend: $(READY)
	$(BIN)/python -m tests.diagnostic.recommend.speed

# On a machine with a card: the mathematics, resuming and losses there, and the speed of every method.
gpu: $(READY)
	mkdir -p results/published/speed
	$(BIN)/python -m pytest -n 0 tests/golden tests/device --device cuda \
		--junitxml results/published/speed/checks.xml
	for size in mini small paper gpt2; do \
		$(BIN)/adaptbench time speed_$$size --device cuda --results results/published/speed || exit 1; \
	done

# The pages of docs/reference, written from the code.
docs: $(READY)
	$(BIN)/python docs/generate_reference.py

check-docs: $(READY)
	$(BIN)/python docs/generate_reference.py --check

# Whether this tree gives the same bits as the commit BASE.
BASE ?= HEAD
same-bits: $(READY)
	$(BIN)/python -m tests.bits.compare $(BASE)
