# make book | test | serve | lint | clean        PYTHON=python3.13 make book   picks the interpreter
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
STAMP := $(VENV)/.installed-for-$(VERSION)
MODEL := smollm2-135m
NOTEBOOKS = $(wildcard book/*.ipynb)

.PHONY: book test serve lint clean install
.DEFAULT_GOAL := book

# The book shows a pretrained model; where it cannot be fetched, the pages say so and show stored runs.
book: $(STAMP)
	@if $(BIN)/companion fetch $(MODEL); then $(BIN)/companion build; \
	else echo "going on without $(MODEL): the book shows its stored runs"; COMPANION_OFFLINE=1 $(BIN)/companion build; fi

test: book
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

serve: book
	$(BIN)/companion serve

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/nbstripout --keep-id --verify $(NOTEBOOKS)
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: PYTHON=python3.11 make book")'
	test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,lint]'
	touch $@
