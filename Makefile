# mixtrace: `make demo` runs everything on real text, `make test` passes the tests.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(VENV)-uv/bin/uv
CORPORA := build/demo-corpora

.DEFAULT_GOAL := help
SCIENCE := science science-factorial science-swarm science-lds science-ladder
# What the demo's corpora allow: with apt and npm `demo`, from pip alone `demo-pip`
DEMO = $(shell cd $(CORPORA) 2>/dev/null && ls web/help-*.gz text/speeches >/dev/null 2>&1 && echo demo || echo demo-pip)
.PHONY: help demo corpora curated $(SCIENCE) test lint bench test-bounds test-engines test-oracles requirements clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(UV):
	$(PYTHON) -m venv $(VENV)-uv
	$(VENV)-uv/bin/pip install --quiet --require-hashes --requirement requirements/uv.txt

$(VENV)/.run: requirements/run.txt $(UV)
	test -x $(BIN)/python || $(UV) venv --quiet --seed --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes --requirement requirements/run.txt
	touch $@

$(VENV)/.dev: requirements/dev.txt requirements/eval.txt $(UV)
	test -x $(BIN)/python || $(UV) venv --quiet --seed --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes --requirement requirements/dev.txt \
	  --requirement requirements/eval.txt
	touch $@ $(VENV)/.run

demo: curated  ## fetch corpora, curate, train, report (minutes; see README for GB and time)
	for design in $(DEMO)-swarm $(DEMO)-ngram $(DEMO); do \
	  test -f designs/$$design.yaml || continue; \
	  $(BIN)/python beam_runner.py design plan build/$(DEMO) designs/$$design.yaml && \
	  $(BIN)/python beam_runner.py train build/$(DEMO) designs/$$design.yaml && \
	  $(BIN)/python beam_runner.py effects build/$(DEMO) || exit 1; \
	  test $$design != $(DEMO)-swarm || $(BIN)/python beam_runner.py laws build/$(DEMO) --confirm || exit 1; \
	done
	$(BIN)/python beam_runner.py ladder build/$(DEMO)
	$(BIN)/python beam_runner.py report build build/$(DEMO)

corpora: $(VENV)/.run
	$(BIN)/python recipes/demo/fetch.py $(CORPORA)
	cd $(CORPORA) && ls web/help-*.gz web/guide-*.gz web/anarchism-*.gz text/speeches >/dev/null 2>&1 || \
	  $(CURDIR)/$(BIN)/python $(CURDIR)/recipes/demo/fetch.py . --plan pip

curated: corpora  ## fetch corpora and curate
	$(BIN)/python beam_runner.py curate recipes/$(DEMO).yaml --out build/$(DEMO)

science: ## simulations, oracles, truth, controls: can the numbers be trusted? (at most 10 minutes on 2 cores)
science-factorial: ## curation decisions and their interactions (each of these at most 10 minutes, resumable)
science-swarm: ## mixture laws on our own runs
science-lds: ## attribution against retraining
science-ladder: ## which rung decides a question?
$(SCIENCE): curated
	$(BIN)/python -m benchmarks.science --target $@ --workspace build/$(DEMO) --design designs/$(DEMO).yaml $(if $(KEEP),--keep)

test: $(VENV)/.dev  ## set up and pass all tests (under 20 minutes on 2 cores, cold)
	tests/setup.sh
	$(BIN)/python -m pytest

lint: $(VENV)/.dev  ## check style and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

bench: $(VENV)/.dev  ## the product's speed and memory, then the whole chain against datatrove, paired in one run
	$(BIN)/python -m benchmarks.product
	$(BIN)/python -m benchmarks.chain

test-bounds: $(VENV)/.dev  ## kernel tests with every array index checked (about 1.5 minutes; nothing is cached)
	MIXTRACE_BOUNDSCHECK=1 $(BIN)/python -m pytest tests/pipelines/kernels --deselect tests/pipelines/kernels/test_compile.py

test-engines: $(VENV)/.dev  ## byte equality on Prism, Flink and Spark (builds what it needs outside the tree)
	tests/engines/setup.sh
	MIXTRACE_TEST_ENGINES=1 $(BIN)/python -m pytest tests/engines

test-oracles: $(VENV)/.dev  ## every statistic against datatrove and dolma, in an environment of their own
	MIXTRACE_TEST_ORACLES=1 $(BIN)/python -m pytest -s tests/oracles

requirements: $(UV)  ## pin all requirements again, with hashes and without addresses
	for set in "run --extra=analysis --extra=reports --extra=classifier" "dev --extra=analysis --extra=reports --extra=classifier --extra=dev" "curate"; do \
	  set -- $$set; file=$$1; shift; \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --override requirements/overrides.txt "$$@" pyproject.toml --output-file requirements/$$file.txt || exit 1; \
	done
	for options in oracles "oracles-nodeps --no-deps"; do \
	  set -- $$options; file=$$1; shift; \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    "$$@" requirements/$$file.in || exit 1; \
	done > requirements/oracles.txt
	$(UV) pip compile --quiet --no-deps --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  requirements/eval.in --output-file requirements/eval.txt

clean:  ## remove everything that was built
	rm -rf build $(VENV) $(VENV)-uv
