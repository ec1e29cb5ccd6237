# demo, test, bench, lint and docs each do all their own set-up: `make demo` on a bare machine is enough.
# The set-up itself is in tests/lab/environment.sh (Python packages) and tests/lab/prepare.py (browser, Docker).

MAKEFLAGS += --no-print-directory
SHELL := bash
BIN := .venv/bin
LAB := $(BIN)/python tests/lab/prepare.py

.PHONY: demo test checks lint style types script format notebooks containers processes services browsers units test-models test-mlrun bench bench-widget faults soak docs clean

demo:
	@bash tests/lab/environment.sh flights
	@$(LAB) --image-only $(BIN)/python notebooks/demo.py

# A test that fails is tried once more, and told apart (RERUN) even if it passes then: browsers, brokers and containers
# share two cores with all the others.
AGAIN := --reruns 1

# --keep-going: a finding of the linter must not hide what the tests have to say. Containers, processes, browsers,
# notebooks and all other tests run side by side: much of their time is waiting.
test:
	@bash tests/lab/environment.sh flights,test
	@$(LAB) $(MAKE) --keep-going --jobs=4 --output-sync=line checks

checks: style types script containers processes units notebooks services browsers

lint: style types script

style:
	@bash tests/lab/environment.sh flights,test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	@bash tests/lab/environment.sh flights,test
	$(BIN)/mypy --strict

# The widgets' JavaScript: eslint, prettier, and tsc, which reads its types in comments.
script:
	@bash tests/lab/script.sh lint

format:
	@bash tests/lab/environment.sh flights,test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@bash tests/lab/script.sh format

notebooks:
	$(BIN)/python -m pytest $(AGAIN) --nbmake --nbmake-timeout=300 -o addopts=-raR notebooks

# Real PyTorch and Transformers, several gigabytes: in an environment of its own, and not part of `make test`.
test-models:
	@VENV=.venv-models bash tests/lab/environment.sh flights,test,torch,huggingface
	.venv-models/bin/python -m pytest tests/models_heavy

# MLRun itself builds the specs anew and answers, in an environment of its own; not part of `make test`, which has what is
# stored. MLRUN=1.7.2 asks another version. `make test-mlrun STORE=1` stores what was found.
MLRUN ?= 1.12.1
test-mlrun:
	@test -x .venv-mlrun/bin/python || python3 -m venv .venv-mlrun
	.venv-mlrun/bin/python -m pip install --quiet "mlrun==$(MLRUN)"
	.venv-mlrun/bin/python tests/mlrun_reference/record.py build/mlrun_answers.json
	NBGRAPH_MLRUN_ANSWERS=build/mlrun_answers.json $(BIN)/python -m pytest tests/graph/mlrun/test_answers.py
	@test -z "$(STORE)" || cp build/mlrun_answers.json tests/graph/mlrun/data/mlrun_answers.json

# Tests that mostly wait, for containers or for processes, run side by side.
DEPLOYMENTS := tests/deploy
SERVICES := tests/brokered tests/jobs tests/serve

containers:
	$(BIN)/python -m pytest $(AGAIN) -m docker tests/deploy tests/jobs

processes:
	$(BIN)/python -m pytest $(AGAIN) -m "not docker" $(DEPLOYMENTS)

services:
	$(BIN)/python -m pytest $(AGAIN) -m "not docker" $(SERVICES)

browsers:
	$(BIN)/python -m pytest $(AGAIN) tests/browser

# tests/test_errors.py comes by itself: it forks, which a process with the threads of other tests should not.
units:
	$(BIN)/python -m pytest $(AGAIN) tests/test_errors.py
	$(BIN)/python -m pytest $(AGAIN) $(patsubst %,--ignore=%,$(DEPLOYMENTS) $(SERVICES) tests/browser tests/test_errors.py)

bench:
	@bash tests/lab/environment.sh flights,test
	@$(BIN)/python -m benchmarks

# The live widget in a real JupyterLab: frames a second, pause clicks, messages.
bench-widget:
	@bash tests/lab/environment.sh flights,test
	@$(LAB) $(BIN)/python -m benchmarks.widget

# Parts of a deployment are killed while flights go through it: FAULTS="docker worker" for some of them.
faults:
	@bash tests/lab/environment.sh flights,test
	@$(LAB) $(BIN)/python -m benchmarks.faults $(FAULTS)

# One deployment for MINUTES, something killed every few seconds: the history of answers and effects. SEED for the same again.
MINUTES ?= 10
soak:
	@bash tests/lab/environment.sh flights,test
	@$(BIN)/python -m benchmarks.soak $(MINUTES) $(SEED)

docs:
	@bash tests/lab/environment.sh flights,test
	$(BIN)/jupyter nbconvert --log-level=WARN --to html --output-dir build/docs notebooks/*.ipynb
	@echo "The notebooks as pages: build/docs"

clean:
	rm -rf .venv .venv-models .venv-mlrun node_modules .bench build dist .mypy_cache .pytest_cache .ruff_cache
