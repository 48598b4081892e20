# SPDX-License-Identifier: Apache-2.0
# make run    - run the checks of the bundled machine provider here, write plainbox-report.html
# make test   - install what the tests need and run all of them
# make check  - lint, types, layers, documentation
# make docs   - the documentation and the manual pages, in docs/_build
# make bench  - measure, beside the figures to reach
# make crash  - kill it, cut its power, fill its disk and break its files, thousands of times
# make fuzz   - feed the readers of foreign text with whatever breaks them

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

.PHONY: run test check bench crash fuzz docs clean debian-packages

run: $(VENV)/.base
	@$(BIN)/plainbox run --no-input -o html:plainbox-report.html org.plainbox::machine-automated

test: $(VENV)/.test debian-packages
	$(PY) -m pytest -n 2 --dist loadfile

check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	$(MAKE) --no-print-directory docs

docs: $(VENV)/.check
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b man docs docs/_build/man

bench: $(VENV)/.test
	$(PY) -m benchmarks

crash: $(VENV)/.test debian-packages
	$(PY) -m tests.crash $(CRASH)

fuzz: $(VENV)/.fuzz
	$(PY) -m tests.fuzz

$(VENV)/.python:
	@sh .ci/make-venv $(VENV)
	@touch $@

$(VENV)/.base: $(VENV)/.python setup.cfg
	@echo "Installing plainbox into $(VENV) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[test,docs]'
	@touch $@

$(VENV)/.fuzz: $(VENV)/.test
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@touch $@

$(VENV)/.check: $(VENV)/.base
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[test,check,docs]'
	@touch $@

# Programs that tests drive for real. Installed where that may be done, named where not.
debian-packages:
	@sh .ci/debian-packages chromium make gcc libc6-dev gettext shellcheck dpkg-dev strace systemd openssh-server sudo

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info
