# Two commands: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := $(READY)
.PHONY: help demo up test browser screenshots torture simulate bench bench-clocks bench-delivery bench-fairness \
    bench-streams bench-catch-up bench-outside bench-board schemas lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --no-deps after the lock: the project itself brings nothing that the lock does not name.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY) ## play a day and a night of referrals through a network of its own
	$(BIN)/tsunagu demo

up: $(READY) ## keep a network running on http://127.0.0.1:8700 (Ctrl-C stops it)
	$(BIN)/tsunagu up

# Several files at a time, for a test waits for its network more than it works; those of one file share
# their networks, so they stay together.
test: $(READY) ## lint, types and every test (JOBS=how many files at a time)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),3) --dist loadfile

browser: $(READY) ## the console in a real Chromium only
	$(BIN)/python -m pytest tests/in_a_browser

screenshots: $(READY) ## take the pictures in docs/screenshots anew
	TSUNAGU_PICTURES=1 $(BIN)/python -m pytest tests/in_a_browser/test_a_day.py tests/in_a_browser/test_wall_screen.py

torture: $(READY) ## kill everything at random for ten minutes (DURATION=seconds, SEED=)
	$(BIN)/python -m tests.torture --seconds $(or $(DURATION),600) $(if $(SEED),--seed $(SEED))

simulate: $(READY) ## a year of a ward in a second, many times (SEEDS=how many, SEED=only this one)
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000))

bench: $(READY) ## measure, side by side in one run
	$(BIN)/python -m benchmarks.run

bench-clocks: $(READY) ## measure how late clocks strike, idle and under load
	$(BIN)/python -m benchmarks.lateness

bench-fairness: $(READY) ## measure what others notice while one partner floods the door
	$(BIN)/python -m benchmarks.fairness

bench-delivery: $(READY) ## measure how soon events reach agencies' systems, 5 of 20 of them bad
	$(BIN)/python -m benchmarks.delivery

bench-streams: $(READY) ## measure an inbox's stream alone and among 1,000 open ones
	$(BIN)/python -m benchmarks.streams

bench-catch-up: $(READY) ## measure how an agency that was away gets 100,000 events, each way
	$(BIN)/python -m benchmarks.catch_up

bench-outside: $(READY) ## measure the door by wrk, where that is installed
	$(BIN)/python -m benchmarks.outside

bench-board: $(READY) ## measure the board: 5,000 calls drawn, and 50 open boards
	$(BIN)/python -m benchmarks.board
	$(BIN)/python -m benchmarks.board_live

schemas: $(READY) ## write schemas/published/ anew from the types
	$(BIN)/python -m services.publish

lock: ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-emit-index-url --quiet -o requirements.lock
