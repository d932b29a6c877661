# The front door. `make` alone prints the verbs.
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
# Among targets a space separates names: one within a name is escaped there, and in a recipe the name is quoted.
SPACE := $(subst ,, )
INFRA_STAMP := $(subst $(SPACE),\ ,$(INFRA))/complete
TESTBED_STAMP := $(subst $(SPACE),\ ,$(TESTBED))/complete
DOCS_STAMP := $(subst $(SPACE),\ ,$(DOCS))/complete
STACK ?= dev
SETS = $(foreach change,$(SET),--set "$(change)")
ELSEWHERE = $(if $(CLOUD),--cloud "$(CLOUD)")
ASKED = $(if $(YES),--yes) $(if $(DRYRUN),--dry-run)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
ifeq ($(strip $(UV_FIND_LINKS)),)
unexport UV_FIND_LINKS
endif
# In any locale, files are UTF-8.
export PYTHONUTF8 := 1
# Where HOME cannot be written, uv's cache lies beside what is made from it. Outside of make, cortex/variables/surroundings.py does so.
ifeq ($(shell folder="$${XDG_CACHE_HOME:-$${HOME:-/nowhere}/.cache}"; while [ ! -e "$$folder" ]; do folder=$$(dirname "$$folder"); done; [ -d "$$folder" ] && [ -w "$$folder" ] && echo writable),)
export XDG_CACHE_HOME := $(shell realpath -m "$(KIT)/cache")
endif
# An environment holds what its lock names and nothing else. Every file has the hash that the lock gives it, and nothing is
# built: a build backend would be in no lock.
INSTALL := $(VENV)/bin/uv --quiet pip sync --compile-bytecode --require-hashes --no-build

##@ Start here
.PHONY: help
help: ## print the verbs
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: rehearse
rehearse: setup ## run the whole pipeline on this machine   [PROFILE= SET="key=value ..." RUN= DATA= SEED= CONTAINERS=1 [BASE_IMAGE= OPTIONS=]]
	@$(if $(BASE_IMAGE),CORTEX_BASE_IMAGE="$(BASE_IMAGE)") $(if $(OPTIONS),CORTEX_BUILD_OPTIONS="$(OPTIONS)") $(CORTEX) rehearse $(SETS) $(if $(PROFILE),--profile "$(PROFILE)") $(if $(RUN),--run "$(RUN)") $(if $(DATA),--data "$(DATA)") $(if $(SEED),--seed "$(SEED)") $(if $(CONTAINERS),--containers)

.PHONY: drill
drill: setup ## spoil and kill a small stand-in of a training: what survives?   [PROFILE= STAGE=sft|grpo QUICK=1]
	@$(CORTEX) drill $(if $(PROFILE),--profile "$(PROFILE)") $(if $(STAGE),--stage "$(STAGE)") $(if $(QUICK),--quick)

.PHONY: test
test: setup $(INFRA_STAMP) $(TESTBED_STAMP) $(DOCS_STAMP) ## check everything that this machine can check   [TIER=unit is quick, STRICT=1 fails on a skip, FULL=1 takes hours]
	@$(VENV)/bin/python scripts/check.py $(if $(TIER),--tier "$(TIER)") $(if $(STRICT),--strict) $(if $(FULL),--full)

##@ In the cloud
.PHONY: doctor roadtest preflight plan estimate forecast train stop resume workbench teacher
doctor: setup ## from nothing to a first launch: what is there, and what to do next   [PROFILE= SET=]
	@$(CORTEX) doctor $(SETS) "$(or $(PROFILE),cortex-8b)"
roadtest: setup ## try all that a run needs of your account, for a few dollars, and end it   [STEP= PROFILE= YES=1 JSON=1 END=<id>]
	@$(VENV)/bin/python -m scripts.roadtest $(if $(STEP),--step "$(STEP)") $(if $(PROFILE),--profile "$(PROFILE)") $(if $(YES),--yes) $(if $(JSON),--json) $(if $(END),--end "$(END)")
preflight: setup ## look at all that a launch needs, in 20 seconds   [PROFILE= SET=]
	@$(CORTEX) preflight $(SETS) "$(or $(PROFILE),cortex-70b)"
plan: setup ## memory, time and dollars of every phase: does it fit?   [PROFILE= SET=]
	@$(CORTEX) plan $(SETS) "$(or $(PROFILE),cortex-70b)"
estimate: setup ## hours and dollars that a run will take, on spot and on-demand   [PROFILE= SET= TRACES=<folder> PLOT=<file.svg>]
	@$(CORTEX) estimate $(SETS) "$(or $(PROFILE),cortex-70b)" $(if $(TRACES),--traces "$(TRACES)") $(if $(PLOT),--plot "$(PLOT)")
forecast: estimate
train: setup ## run the whole pipeline on rented GPUs, after a plan and a question   [PROFILE= SET= CLOUD=vast|ssh/<pool>|... RUN= DEADLINE=<hours> YES=1 DRYRUN=1]
	@$(CORTEX) launch $(SETS) --profile "$(or $(PROFILE),cortex-70b)" $(if $(RUN),--run "$(RUN)") $(if $(DEADLINE),--deadline "$(DEADLINE)") $(ELSEWHERE) $(ASKED)
stop: setup ## give a run's machines back; its checkpoints stay   RUN=<id>
	@$(CORTEX) stop "$(or $(RUN),$(error name the run: make $@ RUN=<id>))"
resume: setup ## go on with a run that was stopped, failed or is over budget   RUN=<id> [BUDGET=<dollars> DEADLINE=<hours> CLOUD= YES=1 DRYRUN=1]
	@$(CORTEX) resume "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(BUDGET),--budget "$(BUDGET)") $(if $(DEADLINE),--deadline "$(DEADLINE)") $(ELSEWHERE) $(ASKED)
workbench: setup ## a machine with a GPU to work on, which ends itself when idle   [CLOUD= YES=1 DRYRUN=1]
	@$(CORTEX) rent $@ $(ELSEWHERE) $(ASKED)
teacher: setup ## a machine that serves a teacher, and ends itself when idle   [CLOUD= YES=1 DRYRUN=1]
	@$(CORTEX) rent $@ $(ELSEWHERE) $(ASKED)

##@ While it runs
.PHONY: status logs runs cost watch
status: setup ## how a run stands: stages, steps, money, machine   RUN=<id> [FOLLOW=1]
	@$(CORTEX) status "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(FOLLOW),--follow)
logs: setup ## what its newest attempt wrote   RUN=<id> [STAGE= FOLLOW=1]
	@$(CORTEX) logs "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(STAGE),--stage "$(STAGE)") $(if $(FOLLOW),--follow)
runs: setup ## all runs of the bucket
	@$(CORTEX) runs
cost: setup ## what a run has cost, machine by machine   RUN=<id>
	@$(CORTEX) cost "$(or $(RUN),$(error name the run: make $@ RUN=<id>))"
watch: setup ## end launches that go on failing, and enter what machines cost, where SkyPilot's server is (a launch starts it)
	@$(CORTEX) watch

##@ After a run
.PHONY: show download teardown sweep
show: setup ## a run's stages, scores and verdict   RUN=<id>
	@$(CORTEX) show "$(or $(RUN),$(error name the run: make $@ RUN=<id>))"
download: setup ## bring a run's release to this disk, verified   RUN=<id> [TO=<folder>] [FROM_CLUSTER=<name> over SSH, with no bucket]
	@$(CORTEX) download "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(TO),--to "$(TO)") $(if $(FROM_CLUSTER),--from-cluster "$(FROM_CLUSTER)")
teardown: setup ## destroy a run's machines, once its release is proven to be here   RUN=<id> [ABANDON=1]
	@$(CORTEX) teardown "$(or $(RUN),$(error name the run: make $@ RUN=<id>))" $(if $(ABANDON),--abandon)
sweep: setup ## find machines, disks and addresses that no live run needs   [DESTROY=1]
	@$(CORTEX) sweep $(if $(DESTROY),--destroy)

##@ Work on the kit
.PHONY: setup
setup: $(STAMP) ## make the control environment in .venv

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

.PHONY: docs
docs: $(DOCS_STAMP) ## build the documentation's site; a link that leads nowhere fails   [SITE=<folder>]
	@NO_MKDOCS_2_WARNING=1 "$(DOCS)/bin/python" -m mkdocs build --strict --site-dir "$(or $(SITE),$(KIT)/site)"
	@echo "$(or $(SITE),$(KIT)/site)/index.html"

.PHONY: testbed testbed-down
testbed: $(TESTBED_STAMP) ## raise a cloud in a folder, with the real SkyPilot in it (root)
	@"$(TESTBED)/bin/python" -m tests.testbed up
testbed-down: ## take it down, without a trace
	@"$(TESTBED)/bin/python" -m tests.testbed down

.PHONY: recipes
recipes: setup ## write README's table of recipes   [RUN=<id> records a finished rehearsal, PRICE=1 takes today's prices]
	@$(VENV)/bin/python -m scripts.recipes $(if $(RUN),--run "$(RUN)") $(if $(PRICE),--price)

.PHONY: format
format: setup ## rewrite the code in its one format
	@$(VENV)/bin/python -m ruff format . && $(VENV)/bin/python -m ruff check --fix .

.PHONY: locks
locks: setup ## re-make every lock under images/   [UPGRADE=1 takes the newest versions]
	@env -u UV_FIND_LINKS $(VENV)/bin/python scripts/lock.py $(if $(UPGRADE),--upgrade)

##@ The cloud's ground
.PHONY: infra-preview infra-up infra-policy infra-down
infra-preview: $(INFRA_STAMP) ## show what infra-up would change   [STACK=dev|prod]
	@"$(INFRA)/bin/python" -m infra.stack preview $(STACK)
infra-up: $(INFRA_STAMP) ## raise the cloud's ground, and point the kit at it   [STACK=dev|prod RENEW=1 makes the server anew]
	@"$(INFRA)/bin/python" -m infra.stack up $(STACK) $(if $(RENEW),--renew-server)
infra-policy: $(INFRA_STAMP) ## write the rights of who raises the stack, and of who launches on it, as IAM policies   [STACK=dev|prod]
	@"$(INFRA)/bin/python" -m infra.stack policy $(STACK)
infra-down: $(INFRA_STAMP) ## take it down, once every release is proven to be here   [STACK=dev|prod]
	@"$(INFRA)/bin/python" -m infra.stack down $(STACK)

##@ Images
.PHONY: images push sbom
images: setup ## build the images of sky.yaml   [NAME="data sft" VARIANT=cuda|cpu LEAN=1 BASE_IMAGE= OPTIONS="--network host"]
	@$(VENV)/bin/python -m scripts.images build $(NAME) $(if $(VARIANT),--variant "$(VARIANT)") $(if $(LEAN),--lean) $(if $(BASE_IMAGE),--base-image "$(BASE_IMAGE)") $(if $(OPTIONS),--options="$(OPTIONS)")
push: setup ## push them, and write down the digests that machines start from   [NAME= VARIANT= REGISTRY=host/folder DIRTY=1]
	@$(VENV)/bin/python -m scripts.images push $(NAME) $(if $(VARIANT),--variant "$(VARIANT)") $(if $(REGISTRY),--registry "$(REGISTRY)") $(if $(DIRTY),--dirty)
sbom: setup ## write down what is in them   [NAME= VARIANT=]
	@$(VENV)/bin/python -m scripts.images sbom $(NAME) $(if $(VARIANT),--variant "$(VARIANT)")

##@ Housekeeping
.PHONY: clean
clean: ## remove the control environment; runs and other environments stay in .cortex
	@rm -rf $(VENV)
