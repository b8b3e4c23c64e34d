# Shortcuts for the console script and the development tools. Needs only Python 3.11 to 3.13 and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := $(PIP) install --quiet --require-hashes --no-deps --requirement
COMPILE := $(BIN)/uv pip compile --system-certs --universal --generate-hashes --no-emit-index-url \
	--python-version 3.11 --custom-compile-command "make lock" --quiet pyproject.toml \
	--extra app --group build

ifneq ($(words x$(VENV)x),1)
$(error VENV must be a path without spaces: make VENV=/path/to/folder ...)
endif
# The programs of a virtual environment point to the folder where it was created. If the checkout has been copied or
# renamed since then, create the environment again.
STALE := $(shell test ! -e '$(VENV)/.installed' || test "$$(cat '$(VENV)/.installed')" = "$$(pwd -P)" || echo stale)

.DEFAULT_GOAL := help
.PHONY: help up ingest status down reset test compose-test resilience lint docs bench lock audit sbom release

help: ## Show this help
	@echo 'make TARGET [ARGS="--lots 3 ..."]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

up: $(VENV)/.installed ## Start the local stack and load 50 batches of 10,000 purchases (options: ARGS="--help")
	@$(BIN)/purchase-pipeline up $(ARGS)

ingest status down reset: $(VENV)/.installed
	@$(BIN)/purchase-pipeline $@ $(ARGS)

ingest: ## Load every missing batch now, without daemon or UI
status: ## Show loaded, rejected, failed and in-progress batches
down: ## Stop all services; the data is kept
reset: ## Stop all services and remove all local state

test: $(VENV)/.installed-dev ## Run the tests
	@$(BIN)/python -m pytest $(ARGS)

compose-test: $(VENV)/.installed-dev ## Run the Docker Compose stack and kill each of its containers (needs Docker)
	@$(BIN)/python -m pytest purchase_pipeline_tests/compose --numprocesses=0 --timeout=1200 --verbose --capture=no $(ARGS)

resilience: $(VENV)/.installed-dev ## Break the real system in every way, and count what is lost: hours (ARGS="--help" tells more)
	@$(BIN)/python -m resilience $(or $(ARGS),all)

lint: $(VENV)/.installed-dev ## Check formatting, lint rules and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.installed-dev ## Build the documentation site into dist/docs; a broken link is an error
	@$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --conf-dir docs/site \
		--doctree-dir dist/doctrees . dist/docs
	@echo "Wrote dist/docs/index.html"

bench: $(VENV)/.installed-bench ## Run the benchmarks, which take most of an hour (options: ARGS="--help")
	@$(BIN)/python -m benchmarks $(or $(ARGS),--all)

lock: $(VENV)/.installed-dev ## Pin the newest versions allowed by pyproject.toml
	$(COMPILE) --upgrade --output-file requirements.lock
	$(COMPILE) --upgrade --extra kubernetes --extra s3 --extra scale --constraint requirements.lock --output-file requirements-scale.lock
	$(COMPILE) --upgrade --group dev --group docs --constraint requirements-scale.lock --output-file requirements-dev.lock
	$(COMPILE) --upgrade --group dev --group docs --group bench --constraint requirements-dev.lock \
		--output-file requirements-bench.lock

audit: $(VENV)/.installed-dev ## Check requirements.lock for known vulnerabilities (needs the package index)
	@$(BIN)/pip-audit --requirement requirements.lock --disable-pip --strict --progress-spinner off $(ARGS) || { \
		echo 'FAILED: a pin above is vulnerable, or its advisories could not be fetched.'; \
		echo 'If vulnerable: raise its bound in pyproject.toml, then run `make lock`. If not fetched: run this where the'; \
		echo 'package index is reachable, or use another service: make audit ARGS="--vulnerability-service osv".'; \
		exit 1; } >&2

sbom: $(VENV)/.installed-dev ## Write dist/sbom.cdx.json: the pinned dependencies with hashes and licences (CycloneDX)
	@$(BIN)/python .ci/sbom.py

release: $(VENV)/.installed-dev ## Build, check and test the sdist and the wheel, with SBOM and changes, in dist/release
	@VENV=$(VENV) .ci/release

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); print("" if ok else "Python 3.11 to 3.13 is required; $(PYTHON) is " + sys.version.split()[0] + ". Choose another: make PYTHON=python3.13 ..."); sys.exit(not ok)'
	@mkdir -p $(VENV) 2>/dev/null && test -w $(VENV) || { \
		echo "$(VENV) is not writable. Choose another folder: make VENV=/path/to/folder ..." >&2; exit 1; }
	@echo "Installing the pinned dependencies into $(VENV), which takes a minute or two ..."
	@$(if $(STALE),rm -rf $(foreach part,bin include lib lib64 pyvenv.cfg,'$(VENV)/$(part)'))
	@$(PYTHON) -m venv $(VENV)
	@$(LOCKED) requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@pwd -P >$@

ifneq ($(STALE),)
.PHONY: $(VENV)/.installed
endif

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing the pinned development tools into $(VENV) ..."
	@$(LOCKED) requirements-dev.lock
	@touch $@

$(VENV)/.installed-bench: requirements-bench.lock $(VENV)/.installed-dev
	@echo "Installing the pinned benchmark dependencies into $(VENV) ..."
	@$(LOCKED) requirements-bench.lock
	@touch $@
