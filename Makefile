# The front door. `make` alone prints the verbs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3.11
VENV := .venv
CORTEX := $(VENV)/bin/cortex
STAMP := $(VENV)/complete
INFRA := $(or $(CORTEX_HOME),.cortex)/environments/infra
INFRA_STAMP := $(INFRA)/complete
TESTBED := $(or $(CORTEX_HOME),.cortex)/environments/testbed
TESTBED_STAMP := $(TESTBED)/complete
STACK ?= dev
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
ifeq ($(strip $(UV_FIND_LINKS)),)
unexport UV_FIND_LINKS
endif

##@ Start here
.PHONY: help
help: ## print the verbs
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: rehearse
rehearse: setup ## run the whole pipeline on this machine   [PROFILE= RUN= DATA= SEED= CONTAINERS=1 [BASE_IMAGE= OPTIONS=]]
	@$(if $(BASE_IMAGE),CORTEX_BASE_IMAGE="$(BASE_IMAGE)") $(if $(OPTIONS),CORTEX_BUILD_OPTIONS="$(OPTIONS)") $(CORTEX) rehearse $(if $(PROFILE),--profile "$(PROFILE)") $(if $(RUN),--run "$(RUN)") $(if $(DATA),--data "$(DATA)") $(if $(SEED),--seed "$(SEED)") $(if $(CONTAINERS),--containers)

.PHONY: drill
drill: setup ## spoil and kill a small stand-in of a training: what survives?   [PROFILE= STAGE=sft|grpo QUICK=1]
	@$(CORTEX) drill $(if $(PROFILE),--profile "$(PROFILE)") $(if $(STAGE),--stage "$(STAGE)") $(if $(QUICK),--quick)

.PHONY: test
test: setup $(INFRA_STAMP) $(TESTBED_STAMP) ## check everything that this machine can check   [STRICT=1 fails on a skip, TIER=unit is quick]
	@$(VENV)/bin/python scripts/check.py $(if $(TIER),--tier "$(TIER)") $(if $(STRICT),--strict)

##@ After a run
.PHONY: show download teardown
show: setup ## a run's stages, scores and verdict   RUN=<id>
	@$(CORTEX) show "$(or $(RUN),$(error name the run: make $@ RUN=<id>))"
download: setup ## bring a run's release to this disk, verified   RUN=<id> [TO=<folder>] [FROM_CLUSTER=<name> over SSH, with no bucket]
	@$(CORTEX) download "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(TO),--to "$(TO)") $(if $(FROM_CLUSTER),--from-cluster "$(FROM_CLUSTER)")
teardown: setup ## destroy a run's machines, once its release is proven to be here   RUN=<id> [ABANDON=1]
	@$(CORTEX) teardown "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(ABANDON),--abandon)

##@ Work on the kit
.PHONY: setup
setup: $(STAMP) ## make the control environment in .venv

$(STAMP): images/control/requirements.lock pyproject.toml Makefile
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there: install Python 3.11, or name one: make setup PYTHON=..."; exit 78; }
	@echo "making the control environment in $(VENV)"
	@rm -f $(STAMP)
	@test -x $(VENV)/bin/uv || { $(PYTHON) -m venv --clear $(VENV) && $(VENV)/bin/python -m pip -qq --disable-pip-version-check install "$$(grep -oE '^uv==[^ ]+' images/control/requirements.lock)"; }
	@$(VENV)/bin/uv --quiet pip install --python $(VENV)/bin/python --requirement images/control/requirements.lock
	@$(VENV)/bin/uv --quiet pip install --python $(VENV)/bin/python --no-deps --editable .
	@touch $(STAMP)

$(INFRA_STAMP): images/infra/requirements.lock $(STAMP)
	@echo "making the infra environment in $(INFRA)"
	@rm -f $(INFRA_STAMP)
	@$(VENV)/bin/uv --quiet venv --clear --python $(PYTHON) $(INFRA)
	@$(VENV)/bin/uv --quiet pip install --python $(INFRA)/bin/python --requirement images/infra/requirements.lock
	@touch $(INFRA_STAMP)

$(TESTBED_STAMP): images/testbed/requirements.lock $(STAMP)
	@echo "making the test bed's environment in $(TESTBED)"
	@rm -f $(TESTBED_STAMP)
	@$(VENV)/bin/uv --quiet venv --clear --python $(PYTHON) $(TESTBED)
	@$(VENV)/bin/uv --quiet pip install --python $(TESTBED)/bin/python --requirement images/testbed/requirements.lock
	@$(VENV)/bin/uv --quiet pip install --python $(TESTBED)/bin/python --no-deps --editable .
	@touch $(TESTBED_STAMP)

.PHONY: testbed testbed-down
testbed: $(TESTBED_STAMP) ## raise a cloud in a folder, with the real SkyPilot in it (root)
	@$(TESTBED)/bin/python -m tests.testbed up
testbed-down: ## take it down, without a trace
	@$(TESTBED)/bin/python -m tests.testbed down

.PHONY: format
format: setup ## rewrite the code in its one format
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

.PHONY: locks
locks: setup ## re-make every lock under images/   [UPGRADE=1 takes the newest versions]
	@env -u UV_FIND_LINKS $(VENV)/bin/python scripts/lock.py --uv $(VENV)/bin/uv $(if $(UPGRADE),--upgrade)

##@ The cloud's ground
.PHONY: infra-preview infra-up infra-down
infra-preview: $(INFRA_STAMP) ## show what infra-up would change   [STACK=dev|prod]
	@$(INFRA)/bin/python -m infra.stack preview $(STACK)
infra-up: $(INFRA_STAMP) ## raise the cloud's ground, and point the kit at it   [STACK=dev|prod]
	@$(INFRA)/bin/python -m infra.stack up $(STACK)
infra-down: $(INFRA_STAMP) ## take it down, once every release is proven to be here   [STACK=dev|prod]
	@$(INFRA)/bin/python -m infra.stack down $(STACK)

##@ Images
.PHONY: images push sbom
images: setup ## build the images of sky.yaml   [NAME="data sft" VARIANT=cuda|cpu BASE_IMAGE= OPTIONS="--network host"]
	@$(VENV)/bin/python -m scripts.images build $(NAME) $(if $(VARIANT),--variant "$(VARIANT)") $(if $(BASE_IMAGE),--base-image "$(BASE_IMAGE)") $(if $(OPTIONS),--options="$(OPTIONS)")
push: setup ## push them, and write down the digests that machines start from   [NAME= VARIANT= REGISTRY=host/folder DIRTY=1]
	@$(VENV)/bin/python -m scripts.images push $(NAME) $(if $(VARIANT),--variant "$(VARIANT)") $(if $(REGISTRY),--registry "$(REGISTRY)") $(if $(DIRTY),--dirty)
sbom: setup ## write down what is in them   [NAME= VARIANT=]
	@$(VENV)/bin/python -m scripts.images sbom $(NAME) $(if $(VARIANT),--variant "$(VARIANT)")

##@ Housekeeping
.PHONY: clean
clean: ## remove the control environment; runs and other environments stay in .cortex
	@rm -rf $(VENV)
