# Everything a person types; each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Telemetry of every library off; nothing but the package indexes is reached.
export DO_NOT_TRACK := 1
export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export GX_ANALYTICS_ENABLED := false
export TOKENIZERS_PARALLELISM := false
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup chromium java demo test test-slow test-browser check backbone bench clean help
help: ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/'

setup: $(STAMP) ## install into .venv (safe to repeat)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "no virtual environment: run 'apt-get install python3-venv' and try again" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	@touch $(STAMP)

chromium: # Debian's, which the tests of the annotators' pages drive
	@command -v chromium >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; \
	} >/dev/null 2>&1 || { \
	  echo "no Chromium, and it may not be installed from here: run 'sudo apt-get install chromium'" >&2; exit 1; }

java: # Debian's, which the tests start Spark with
	@test -x "$${JAVA_HOME:-/nowhere}/bin/java" || command -v java >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq default-jre-headless; \
	} >/dev/null 2>&1 || { \
	  echo "no Java, and it may not be installed from here: run 'sudo apt-get install default-jre-headless'" >&2; exit 1; }

demo: setup ## turn the wheel twice and write reports/demo.html
	$(BIN)/flywheel demo

test: setup chromium java ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not browser"

test-slow: setup chromium java ## run the tests that take minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m slow

test-browser: setup chromium ## label in Chromium; a part of test-slow
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/annotation/label_studio

check: setup ## lint, types, walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

backbone: setup ## make the tiny checkpoint again (about four hours on one core)
	$(BIN)/python -m pipelines.world.pretrain --out backbone/tiny
	$(BIN)/python -m pipelines.world.pretrain --out backbone/tiny --language-from backbone/tiny \
	  --film-steps 3000
	$(BIN)/python -m pipelines.world.pretrain --out backbone/tiny --language-from backbone/tiny \
	  --scenes-seed 10 --film-steps 6000 --films 70000 --film-scenes 47000

bench: setup ## measure; one file a claim
	$(BIN)/python -m benchmarks

clean: ## remove what was made, but not .venv
	rm -rf .flywheel reports build dist
