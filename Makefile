# nmtkit: everything sets itself up in .venv; only Python 3.11 or newer is needed.

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= runs/demo
MULTI30K ?= ../shared/multi30k

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check format bench bench-gpu bench-corpora multi30k

help: ## show this
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 18

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nmtkit needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[dev]"
	touch $(READY)

demo: $(READY) ## train on data/jane, translate, evaluate, blame: the whole pipeline (under 10 minutes)
	$(BIN)/python data/demo.py --output $(DEMO)

test: $(READY) ## run the tests (about 8 minutes on two cores)
	$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal

test-slow: $(READY) ## run the long tests too
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(READY) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure training speed and layer types; with FOLDER=runs/multi30k searches and engines, too
	MULTI30K=$(MULTI30K) $(BIN)/python tests/benchmarks/speed.py --presets transformer-tiny,rnn-small
	MULTI30K=$(MULTI30K) $(BIN)/python tests/benchmarks/speed.py --presets transformer-tiny,transformer-base --precisions float32,bfloat16 --updates 10
	MULTI30K=$(MULTI30K) $(BIN)/python tests/benchmarks/ranks.py
	MULTI30K=$(MULTI30K) $(BIN)/python tests/benchmarks/loops.py
	KINETO_LOG_LEVEL=6 $(BIN)/python tests/benchmarks/layers.py 2> /dev/null
	test -z "$(FOLDER)" || $(BIN)/python tests/benchmarks/search.py --folder $(FOLDER) --source $(MULTI30K)/val.en --reference $(MULTI30K)/val.de
	test -z "$(FOLDER)" || $(BIN)/python tests/benchmarks/startup.py --folder $(FOLDER)
	test -z "$(FOLDER)" || $(BIN)/python tests/benchmarks/bulk.py --folder $(FOLDER) --source $(MULTI30K)/val.en
	test -z "$(FOLDER)" || $(BIN)/python tests/benchmarks/engines.py --folder $(FOLDER) --source $(MULTI30K)/val.en --reference $(MULTI30K)/val.de

bench-gpu: $(READY) ## measure training on a GPU: Transformer-big, precisions and batch sizes, and a profile
	MULTI30K=$(MULTI30K) $(BIN)/python tests/benchmarks/speed.py --device cuda --presets transformer-base,transformer-big --precisions float32,bfloat16 --batch-tokens 4096,16384,65536 --profile

bench-corpora: $(READY) ## measure memory and time of corpora of 0.2 to 20 million pairs (half an hour, 10 GB of disk)
	$(BIN)/python tests/benchmarks/corpora.py --pairs 200000 1000000 5000000 20000000

multi30k: $(READY) ## train and evaluate the Multi30k recipe (MULTI30K=folder with train, val and test_2016_flickr)
	$(BIN)/nmtkit train --config multi30k-tiny --train $(MULTI30K)/train --dev $(MULTI30K)/val --output runs/multi30k
	$(BIN)/nmtkit evaluate runs/multi30k --source $(MULTI30K)/test_2016_flickr.en --reference $(MULTI30K)/test_2016_flickr.de
