# A thin face over the console script and the tools. Needs Python 3.11 to 3.13 and make, nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := $(PIP) install --quiet --require-hashes --no-deps --requirement
COMPILE := $(BIN)/uv pip compile --system-certs --universal --generate-hashes --no-emit-index-url \
	--python-version 3.11 --custom-compile-command "make lock" --quiet pyproject.toml --group build

ifneq ($(words x$(VENV)x),1)
$(error VENV must be a folder without blanks in its name: make VENV=/path/to/folder ...)
endif
# An environment's programs name the folder that it was made in, and run the code there on the data there. Where the
# checkout was copied or renamed since, that is another folder than this: the environment is made again.
STALE := $(shell test ! -e '$(VENV)/.installed' || test "$$(cat '$(VENV)/.installed')" = "$$(pwd -P)" || echo stale)

.DEFAULT_GOAL := help
.PHONY: help up ingest status down reset test compose-test resilience lint bench lock audit sbom

help: ## Show this list
	@echo 'make TARGET [ARGS="--lots 3 ..."]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

up: $(VENV)/.installed ## Load 50 lots of 10,000 purchases, and keep the Dagster UI up (ARGS="--help" tells more)
	@$(BIN)/purchase-pipeline up $(ARGS)

ingest status down reset: $(VENV)/.installed
	@$(BIN)/purchase-pipeline $@ $(ARGS)

ingest: ## The same lots, headless, as fast as possible
status: ## What is loaded, rejected, failed, in flight
down: ## Stop the embedded PostgreSQL, and whatever a killed `up` left
reset: ## Remove all local state

test: $(VENV)/.installed-dev ## Run the tests
	@$(BIN)/python -m pytest $(ARGS)

compose-test: $(VENV)/.installed-dev ## Run the Docker Compose stack, and kill each container in it (needs Docker)
	@$(BIN)/python -m pytest purchase_pipeline_tests/compose --numprocesses=0 --timeout=1200 --verbose --capture=no $(ARGS)

resilience: $(VENV)/.installed-dev ## Break the real system in every way, and count what came of it: hours (ARGS="--help" tells more)
	@$(BIN)/python -m resilience $(or $(ARGS),all)

lint: $(VENV)/.installed-dev ## Check format, lint rules and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed-bench ## Measure how fast it is, beside other ways to do it: most of an hour (ARGS="--help" tells more)
	@$(BIN)/python -m benchmarks $(or $(ARGS),--all)

lock: $(VENV)/.installed-dev ## Pin the newest versions that pyproject.toml allows
	$(COMPILE) --upgrade --output-file requirements.lock
	$(COMPILE) --upgrade --extra s3 --extra scale --constraint requirements.lock --output-file requirements-scale.lock
	$(COMPILE) --upgrade --group dev --constraint requirements-scale.lock --output-file requirements-dev.lock
	$(COMPILE) --upgrade --group dev --group bench --constraint requirements-dev.lock \
		--output-file requirements-bench.lock

audit: $(VENV)/.installed-dev ## Look for known vulnerabilities in requirements.lock (asks the package index; needs it)
	@$(BIN)/pip-audit --requirement requirements.lock --disable-pip --strict --progress-spinner off $(ARGS) || { \
		echo 'NOT PASSED: a pin above is vulnerable, or no advisory was to be had for it, and then nothing is known.'; \
		echo 'Vulnerable: raise its bound in pyproject.toml, then `make lock`. No advisories: run this where the'; \
		echo 'package index is reached, or ask another service: make audit ARGS="--vulnerability-service osv".'; \
		exit 1; } >&2

sbom: $(VENV)/.installed-dev ## Write dist/sbom.cdx.json: what is locked, with hashes (CycloneDX; same lock, same file)
	@mkdir -p dist
	@$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file dist/sbom.cdx.json requirements.lock
	@echo "Wrote dist/sbom.cdx.json"

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); print("" if ok else "This needs Python 3.11 to 3.13; " + sys.version.split()[0] + " is $(PYTHON). Choose another: make PYTHON=python3.13 ..."); sys.exit(not ok)'
	@mkdir -p $(VENV) 2>/dev/null && test -w $(VENV) || { \
		echo "$(VENV) cannot be written to: choose another folder with make VENV=/path/to/folder ..." >&2; exit 1; }
	@echo "Installing the locked dependencies into $(VENV): a minute or two, once$(if $(STALE), (it was made in another folder))."
	@$(if $(STALE),rm -rf $(foreach part,bin include lib lib64 pyvenv.cfg,'$(VENV)/$(part)'))
	@$(PYTHON) -m venv $(VENV)
	@$(LOCKED) requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@pwd -P >$@

ifneq ($(STALE),)
.PHONY: $(VENV)/.installed
endif

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing the locked development tools into $(VENV)."
	@$(LOCKED) requirements-dev.lock
	@touch $@

$(VENV)/.installed-bench: requirements-bench.lock $(VENV)/.installed-dev
	@echo "Installing the locked peers of the benchmarks into $(VENV)."
	@$(LOCKED) requirements-bench.lock
	@touch $@
