# The kit's commands. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= $(or $(shell for name in python3.11 python3.12 python3.13; do $$name -c "" 2>&- && echo $$name && break; done),python3.11)
VENV := .venv
CORTEX := $(VENV)/bin/cortex
STAMP := $(VENV)/complete
KIT := $(or $(CORTEX_HOME),.cortex)
INFRA := $(KIT)/environments/infra
TESTBED := $(KIT)/environments/testbed
DOCS := $(KIT)/environments/docs
BROWSER := $(KIT)/environments/browser
# Spaces separate targets, so a space within a target's name is escaped; in recipes the name is quoted.
SPACE := $(subst ,, )
INFRA_STAMP := $(subst $(SPACE),\ ,$(INFRA))/complete
TESTBED_STAMP := $(subst $(SPACE),\ ,$(TESTBED))/complete
DOCS_STAMP := $(subst $(SPACE),\ ,$(DOCS))/complete
BROWSER_STAMP := $(subst $(SPACE),\ ,$(BROWSER))/complete
STACK ?= dev
SETS = $(foreach change,$(SET),--set "$(change)")
ELSEWHERE = $(if $(CLOUD),--cloud "$(CLOUD)")
ASKED = $(if $(YES),--yes) $(if $(DRYRUN),--dry-run)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
ifeq ($(strip $(UV_FIND_LINKS)),)
unexport UV_FIND_LINKS
endif
# Files are UTF-8 in any locale.
export PYTHONUTF8 := 1
# If HOME is not writable, uv's cache lies beside the environments. Outside of make, cortex/variables/surroundings.py does the same.
ifeq ($(shell folder="$${XDG_CACHE_HOME:-$${HOME:-/nowhere}/.cache}"; while [ ! -e "$$folder" ]; do folder=$$(dirname "$$folder"); done; [ -d "$$folder" ] && [ -w "$$folder" ] && echo writable),)
export XDG_CACHE_HOME := $(shell realpath -m "$(KIT)/cache")
endif
# An environment holds exactly the packages of its lock. Every file is checked against the lock's hash, and nothing is built
# from source, since build backends are in no lock. Python compiles what it imports, unless it may not write it.
INSTALL := $(VENV)/bin/uv --quiet pip sync $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode) --require-hashes --no-build

##@ Start here
.PHONY: help
help: ## list the commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: rehearse
rehearse: setup ## run the whole pipeline on this machine   [PROFILE= SET="key=value ..." RUN= DATA= SEED= CONTAINERS=1 [BASE_IMAGE= OPTIONS=]]
	@$(if $(BASE_IMAGE),CORTEX_BASE_IMAGE="$(BASE_IMAGE)") $(if $(OPTIONS),CORTEX_BUILD_OPTIONS="$(OPTIONS)") $(CORTEX) rehearse $(SETS) $(if $(PROFILE),--profile "$(PROFILE)") $(if $(RUN),--run "$(RUN)") $(if $(DATA),--data "$(DATA)") $(if $(SEED),--seed "$(SEED)") $(if $(CONTAINERS),--containers)

.PHONY: rehearse-all
rehearse-all: setup ## rehearse every recipe, go on where it stopped, and print their scores   [SEEDS=0,1,2 PROFILES="a b" RECORD=1 enters them in README]
	@$(VENV)/bin/python -m scripts.rehearse_all $(if $(SEEDS),--seeds "$(SEEDS)") $(foreach name,$(PROFILES),--profile "$(name)") $(if $(RECORD),--record)

.PHONY: drill
drill: setup ## damage and kill a small stand-in of a training, and report what survives   [PROFILE= STAGE=sft|grpo QUICK=1]
	@$(CORTEX) drill $(if $(PROFILE),--profile "$(PROFILE)") $(if $(STAGE),--stage "$(STAGE)") $(if $(QUICK),--quick)

.PHONY: test
test: setup $(INFRA_STAMP) $(TESTBED_STAMP) $(DOCS_STAMP) $(BROWSER_STAMP) ## check everything that this machine can check   [TIER=unit is quick, STRICT=1 fails on a skip, FULL=1 takes hours]
	@$(VENV)/bin/python scripts/check.py $(if $(TIER),--tier "$(TIER)") $(if $(STRICT),--strict) $(if $(FULL),--full)

##@ In the cloud
.PHONY: doctor roadtest preflight plan estimate forecast train stop resume workbench teacher tinker
doctor: setup ## list what a first launch needs, what is there, and what to do next   [PROFILE= SET=]
	@$(CORTEX) doctor $(SETS) "$(or $(PROFILE),cortex-8b)"
roadtest: setup ## try everything that a run needs of your account, for a few dollars, and clean up   [STEP= PROFILE= YES=1 JSON=1 END=<id>]
	@$(VENV)/bin/python -m scripts.roadtest $(if $(STEP),--step "$(STEP)") $(if $(PROFILE),--profile "$(PROFILE)") $(if $(YES),--yes) $(if $(JSON),--json) $(if $(END),--end "$(END)")
preflight: setup ## check everything that a launch needs, in 20 seconds   [PROFILE= SET=]
	@$(CORTEX) preflight $(SETS) "$(or $(PROFILE),cortex-70b)"
plan: setup ## compute memory, time and dollars of every phase: does it fit?   [PROFILE= SET=]
	@$(CORTEX) plan $(SETS) "$(or $(PROFILE),cortex-70b)"
estimate: setup ## estimate the hours and dollars of a run, on spot and on-demand   [PROFILE= SET= TRACES=<folder> PLOT=<file.svg>]
	@$(CORTEX) estimate $(SETS) "$(or $(PROFILE),cortex-70b)" $(if $(TRACES),--traces "$(TRACES)") $(if $(PLOT),--plot "$(PLOT)")
forecast: estimate
train: setup ## run the whole pipeline on rented GPUs, after showing a plan and asking   [PROFILE= SET= CLOUD=vast|ssh/<pool>|... RUN= DEADLINE=<hours> YES=1 DRYRUN=1]
	@$(CORTEX) launch $(SETS) --profile "$(or $(PROFILE),cortex-70b)" $(if $(RUN),--run "$(RUN)") $(if $(DEADLINE),--deadline "$(DEADLINE)") $(ELSEWHERE) $(ASKED)
stop: setup ## give a run's machines back; its checkpoints stay   RUN=<id>
	@$(CORTEX) stop "$(or $(RUN),$(error name the run: make $@ RUN=<id>))"
resume: setup ## continue a run that was stopped, failed or is over budget   RUN=<id> [BUDGET=<dollars> DEADLINE=<hours> CLOUD= YES=1 DRYRUN=1]
	@$(CORTEX) resume "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(BUDGET),--budget "$(BUDGET)") $(if $(DEADLINE),--deadline "$(DEADLINE)") $(ELSEWHERE) $(ASKED)
workbench: setup ## rent a machine with a GPU to work on, which ends itself when idle   [CLOUD= YES=1 DRYRUN=1]
	@$(CORTEX) rent $@ $(ELSEWHERE) $(ASKED)
teacher: setup ## rent a machine that serves a teacher, and ends itself when idle   [CLOUD= YES=1 DRYRUN=1]
	@$(CORTEX) rent $@ $(ELSEWHERE) $(ASKED)
tinker: setup ## rent a machine that serves Tinker's API, and ends itself when idle   [CLOUD= YES=1 DRYRUN=1]
	@$(CORTEX) rent $@ $(ELSEWHERE) $(ASKED)

##@ While it runs
.PHONY: status logs runs cost watch
status: setup ## show a run's status: stages, steps, money, machine   RUN=<id> [FOLLOW=1]
	@$(CORTEX) status "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(FOLLOW),--follow)
logs: setup ## show the log of a run's newest attempt   RUN=<id> [STAGE= FOLLOW=1]
	@$(CORTEX) logs "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(STAGE),--stage "$(STAGE)") $(if $(FOLLOW),--follow)
runs: setup ## list all runs in the bucket
	@$(CORTEX) runs
cost: setup ## show what a run has cost, machine by machine   RUN=<id>
	@$(CORTEX) cost "$(or $(RUN),$(error name the run: make $@ RUN=<id>))"
watch: setup ## end launches that keep failing, and enter machines' costs in the ledger, on the machine of SkyPilot's server (a launch starts it)
	@$(CORTEX) watch

##@ After a run
.PHONY: show download serve unserve teardown sweep
show: setup ## show a run's stages, scores and verdict   RUN=<id>
	@$(CORTEX) show "$(or $(RUN),$(error name the run: make $@ RUN=<id>))"
download: setup ## download a run's release to this disk, and verify it   RUN=<id> [TO=<folder>] [FROM_CLUSTER=<name> over SSH, without a bucket]
	@$(CORTEX) download "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(TO),--to "$(TO)") $(if $(FROM_CLUSTER),--from-cluster "$(FROM_CLUSTER)")
serve: setup ## serve a run's release on rented machines, after showing a plan and asking   RUN=<id> [COPY=<name> LOCAL=1 on this machine, CLOUD= YES=1 DRYRUN=1]
	@$(CORTEX) serve "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(LOCAL),--local) $(if $(COPY),--copy "$(COPY)") $(ELSEWHERE) $(ASKED)
unserve: setup ## end a service, and its machines   [RUN=<id>]
	@$(CORTEX) unserve $(if $(RUN),"$(RUN)")
teardown: setup ## destroy a run's machines, once a verified copy of its release is here   RUN=<id> [ABANDON=1]
	@$(CORTEX) teardown "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(ABANDON),--abandon)
sweep: setup ## find machines, disks and addresses that no live run needs   [DESTROY=1]
	@$(CORTEX) sweep $(if $(DESTROY),--destroy)

##@ Work on the kit
.PHONY: setup
setup: $(STAMP) ## create the control environment in .venv

$(STAMP): images/control/requirements.lock scripts/use_checkout.py Makefile
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>&- || { echo "$(PYTHON) is no Python 3.11, 3.12 or 3.13: install one, or name it: make setup PYTHON=..."; exit 78; }
	@echo "making the control environment in $(VENV)"
	@rm -f $(STAMP)
	@$(VENV)/bin/uv --version >/dev/null 2>&1 || { "$(PYTHON)" -m venv --clear $(VENV) && awk '/^[^ ]/ {wanted = /^uv==/} wanted' images/control/requirements.lock | $(VENV)/bin/python -m pip -qq --disable-pip-version-check install --require-hashes --only-binary :all: --requirement /dev/stdin; }
	@$(INSTALL) --python $(VENV)/bin/python images/control/requirements.lock
	@$(VENV)/bin/python scripts/use_checkout.py
	@touch $(STAMP)

$(INFRA_STAMP): images/infra/requirements.lock $(STAMP)
	@echo "making the infra environment in $(INFRA)"
	@rm -f "$(INFRA)/complete"
	@$(VENV)/bin/uv --quiet venv --clear --python $(VENV)/bin/python "$(INFRA)"
	@$(INSTALL) --python "$(INFRA)/bin/python" images/infra/requirements.lock
	@touch "$(INFRA)/complete"

$(TESTBED_STAMP): images/testbed/requirements.lock $(STAMP)
	@echo "making the test bed's environment in $(TESTBED)"
	@rm -f "$(TESTBED)/complete"
	@$(VENV)/bin/uv --quiet venv --clear --python $(VENV)/bin/python "$(TESTBED)"
	@$(INSTALL) --python "$(TESTBED)/bin/python" images/testbed/requirements.lock
	@"$(TESTBED)/bin/python" scripts/use_checkout.py
	@touch "$(TESTBED)/complete"

$(DOCS_STAMP): images/docs/requirements.lock $(STAMP)
	@echo "making the documentation's environment in $(DOCS)"
	@rm -f "$(DOCS)/complete"
	@$(VENV)/bin/uv --quiet venv --clear --python $(VENV)/bin/python "$(DOCS)"
	@$(INSTALL) --python "$(DOCS)/bin/python" images/docs/requirements.lock
	@touch "$(DOCS)/complete"

$(BROWSER_STAMP): images/browser/requirements.lock $(STAMP)
	@echo "making the browser tests' environment in $(BROWSER)"
	@rm -f "$(BROWSER)/complete"
	@$(VENV)/bin/uv --quiet venv --clear --python $(VENV)/bin/python "$(BROWSER)"
	@$(INSTALL) --python "$(BROWSER)/bin/python" images/browser/requirements.lock
	@"$(BROWSER)/bin/python" scripts/use_checkout.py
	@touch "$(BROWSER)/complete"

.PHONY: docs
docs: $(DOCS_STAMP) ## build the documentation's site; a link that leads nowhere fails   [SITE=<folder>]
	@NO_MKDOCS_2_WARNING=1 "$(DOCS)/bin/python" -m mkdocs build --strict --site-dir "$(or $(SITE),$(KIT)/site)"
	@echo "$(or $(SITE),$(KIT)/site)/index.html"

.PHONY: testbed testbed-down
testbed: $(TESTBED_STAMP) ## start a fake cloud in a folder, with the real SkyPilot in it (root)
	@"$(TESTBED)/bin/python" -m tests.testbed up
testbed-down: ## stop the fake cloud, and remove all of it
	@"$(TESTBED)/bin/python" -m tests.testbed down

.PHONY: recipes
recipes: setup ## write README's table of recipes   [RUN=<id> records a finished rehearsal, PRICE=1 takes today's prices]
	@$(VENV)/bin/python -m scripts.recipes $(if $(RUN),--run "$(RUN)") $(if $(PRICE),--price)

.PHONY: format
format: setup ## format the code
	@$(VENV)/bin/python -m ruff format . && $(VENV)/bin/python -m ruff check --fix .

.PHONY: locks
locks: setup ## make all locks under images/ anew   [UPGRADE=1 takes the newest versions]
	@env -u UV_FIND_LINKS $(VENV)/bin/python scripts/lock.py $(if $(UPGRADE),--upgrade)

##@ The cloud's infrastructure
.PHONY: infra-preview infra-up infra-policy infra-down
infra-preview: $(INFRA_STAMP) ## show what infra-up would change   [STACK=dev|prod]
	@"$(INFRA)/bin/python" -m infra.stack preview $(STACK)
infra-up: $(INFRA_STAMP) ## create the cloud's infrastructure, and point the kit at it   [STACK=dev|prod RENEW=1 replaces the server]
	@"$(INFRA)/bin/python" -m infra.stack up $(STACK) $(if $(RENEW),--renew-server)
infra-policy: $(INFRA_STAMP) ## write IAM policies with the rights to create the stack, and to launch on it   [STACK=dev|prod]
	@"$(INFRA)/bin/python" -m infra.stack policy $(STACK)
infra-down: $(INFRA_STAMP) ## destroy the infrastructure, once a verified copy of every release is here   [STACK=dev|prod]
	@"$(INFRA)/bin/python" -m infra.stack down $(STACK)

##@ Images
.PHONY: images push sbom
images: setup ## build the images of sky.yaml   [NAME="data sft" VARIANT=cuda|cpu LEAN=1 BASE_IMAGE= OPTIONS="--network host"]
	@$(VENV)/bin/python -m scripts.images build $(NAME) $(if $(VARIANT),--variant "$(VARIANT)") $(if $(LEAN),--lean) $(if $(BASE_IMAGE),--base-image "$(BASE_IMAGE)") $(if $(OPTIONS),--options="$(OPTIONS)")
push: setup ## push the images, and write down the digests that machines start from   [NAME= VARIANT= REGISTRY=host/folder DIRTY=1]
	@$(VENV)/bin/python -m scripts.images push $(NAME) $(if $(VARIANT),--variant "$(VARIANT)") $(if $(REGISTRY),--registry "$(REGISTRY)") $(if $(DIRTY),--dirty)
sbom: setup ## write lists of the packages in the images   [NAME= VARIANT=]
	@$(VENV)/bin/python -m scripts.images sbom $(NAME) $(if $(VARIANT),--variant "$(VARIANT)")

##@ Housekeeping
.PHONY: clean
clean: ## remove the control environment; runs and other environments stay in .cortex
	@rm -rf $(VENV)
