# Two commands do everything: 'make repro' and 'make test'. The others are short-cuts.
SHELL := /bin/bash
PYTHON ?= python3
# Quoted wherever it is used: the folder's name may hold spaces.
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
# Two processes with two threads each on two cores wait for one another; stages set their own number.
export OMP_NUM_THREADS ?= 1

.PHONY: repro test lint types use serve ui stop

repro: .venv/ready
	@python -m sigforge.config check
	@dvc repro report
	@echo "report:  $(CURDIR)/data/report/index.html"
	@echo "shards:  $(CURDIR)/data/synth/{vif,mif,mfif,mef}/*.tar"
	@echo "ledger:  $(CURDIR)/mlflow.db   (pages: make ui)"

test: lint types
	python -m pytest

lint: .venv/ready
	ruff check .
	ruff format --check .

types: .venv/ready
	mypy

use: .venv/ready
	@python -m sigforge.config use $(CONF)

serve: .venv/ready
	@python -m flows.server.serve

ui: .venv/ready
	@python -m flows.server.ui

stop: .venv/ready
	@python -m flows.server.ui --stop

.venv/ready: pyproject.toml constraints.txt
	@echo "installing into .venv (about two minutes the first time)"
	@"$(PYTHON)" -m venv .venv
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dask,dev,s3,test]'
	@touch .venv/ready
