# Charla: few verbs.  `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CLIENT := $(VENV)-client
LOCK   := tests/constraints.txt
PYZ    := charla.pyz
SOURCES := $(wildcard *.py) charla tests bench docs

.DEFAULT_GOAL := help
.PHONY: help server serv client cli test check format lock pyz bench bench-client pictures chaos attacks fuzz clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  Options go in ARGS: make server ARGS="--host 0.0.0.0"; the interpreter in PYTHON.'

# The programs say themselves how they ended: of that make is silent (with -s, and the - before a command).
ifneq ($(filter server serv client cli,$(MAKECMDGOALS)),)
MAKEFLAGS += --silent
endif

server serv:  ## run the server (nothing to install)
	-$(PYTHON) server.py $(ARGS)

client cli:  ## run the client (the first time installs prompt_toolkit for it, where that can be done)
	@$(MAKE) --silent --no-print-directory $(CLIENT)/installed 2>/dev/null \
		|| echo 'That cannot be done here (no network? no venv?): the client runs without it.'
	-@if test -e $(CLIENT)/installed -a -x $(CLIENT)/bin/python; \
		then exec $(CLIENT)/bin/python client.py $(ARGS); else exec $(PYTHON) client.py $(ARGS); fi

test: $(VENV)/installed  ## run the tests (makes its own virtual environment)
	$(BIN)/python -m pytest -n auto $(ARGS)

check: $(VENV)/installed  ## ruff and mypy --strict
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)

format: $(VENV)/installed  ## lay the code out as `make check` wants it
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# uv resolves for all Pythons and systems at once; pip, which installs, cannot.
lock:  ## bring the versions of the development tools up to date (tests/constraints.txt)
	$(PYTHON) -m venv --clear $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	UV_PYTHON_DOWNLOADS=never $(VENV)-lock/bin/uv pip compile --quiet --universal --upgrade --python-version 3.10 \
		--extra dev --extra fuzz --custom-compile-command 'make lock' --output-file $(LOCK) pyproject.toml

# The package, and its __main__ at the top; all of one date, so that the same files make the same bytes.
pyz:  ## write charla.pyz: both programs in one file, to hand round
	rm -rf $(PYZ).d && mkdir $(PYZ).d && cp -R charla charla/__main__.py $(PYZ).d
	find $(PYZ).d -name __pycache__ -prune -exec rm -rf {} +
	find $(PYZ).d -exec touch -t 198001010000 {} + && chmod -R u=rwX,go=rX $(PYZ).d
	$(PYTHON) -m zipapp $(PYZ).d --compress --python '/usr/bin/env python3' --output $(PYZ)
	chmod a+rx $(PYZ)
	rm -rf $(PYZ).d
	@echo "Hand $(PYZ) round: python3 $(PYZ) is the client, python3 $(PYZ) server the server."

bench:  ## measure against ncat --broker and ngIRCd (apt install ncat ngircd gcc)
	$(PYTHON) bench/bench.py $(ARGS)

bench-client: $(VENV)/installed  ## measure the client on a terminal: keys to echo, start, memory
	$(BIN)/python bench/client_bench.py $(ARGS)

pictures: $(VENV)/installed  ## draw the pictures of the READMEs from a real run (port 9000 must be free)
	PYTHONPATH=.:tests $(BIN)/python docs/pictures.py

chaos:  ## the fault test: links cut 2,000 times, the server killed 20 times, nothing may be lost
	PYTHONPATH=tests $(PYTHON) -m chaos.run $(ARGS)

attacks:  ## floods, silence, stalls, TLS on which much goes wrong: each with a target (Linux; apt install ncat)
	PYTHONPATH=tests $(PYTHON) -m attacks.run $(ARGS)

fuzz: $(VENV)-fuzz/installed  ## 10 million inputs that look for new paths (first, also for --help: a venv with atheris)
	PYTHONPATH=tests $(VENV)-fuzz/bin/python -m fuzz.run $(ARGS)

clean:  ## remove what was made
	rm -rf $(VENV) .venv-* build dist bench/build *.egg-info $(PYZ) $(PYZ).d .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Editable, so that the console scripts `charla` and `charla-server` run this very tree.  In the mode "compat" that
# is a path in a file, and not an import hook, which costs every program 20 ms at its start.
$(VENV)/installed: pyproject.toml $(LOCK)
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(LOCK) \
		--config-settings editable_mode=compat --editable '.[dev]'
	touch $@

# Quick to give up: whoever has no network wants to talk all the same, and it is tried again the next time.
$(CLIENT)/installed: pyproject.toml
	echo 'Installing prompt_toolkit for the client, this once...'
	mkdir -p $(CLIENT)
	test -x $(CLIENT)/bin/pip || $(PYTHON) -m venv --clear $(CLIENT)
	PIP_RETRIES=0 PIP_DEFAULT_TIMEOUT=5 $(CLIENT)/bin/python -m pip install --quiet \
		--disable-pip-version-check --editable '.[prompt]'
	touch $@

$(VENV)-fuzz/installed: pyproject.toml $(LOCK)
	$(PYTHON) -m venv --clear $(VENV)-fuzz
	$(VENV)-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOCK) --editable '.[dev,fuzz]' \
		|| { echo 'atheris cannot be installed for this Python: make fuzz PYTHON=python3.11'; exit 2; }
	touch $@
