# The front door. Every recipe is one command that a person could have typed.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
unexport MAKEFLAGS

TOPOLOGY ?=
RUNTIME  ?= auto
REQUESTS ?= 1000
LIMITS   ?= default
SET      ?=
ROUTE    ?= gate
HOLD     ?= 0
PORT     ?= 8000
FOLLOW   ?=
NAME     ?=
HOSTS    ?=
IN_FLIGHT ?=
QUEUE    ?= 0
ONLY     ?=

PYTHON  ?= python3
TOPOLAB := .venv/bin/topolab

# The shell reads these from the environment, so that whatever stands in them is words for topolab and never a command.
export TOPOLOGY RUNTIME REQUESTS LIMITS SET ROUTE HOLD PORT FOLLOW NAME HOSTS ONLY IN_FLIGHT QUEUE
PLAN  = set -f; set -- --requests "$$REQUESTS" --limits "$$LIMITS" --route "$$ROUTE"; \
        for pair in $$SET; do set -- "$$@" --set "$$pair"; done;
SETS  = set -f; set --; for pair in $$SET; do set -- "$$@" --set "$$pair"; done;
BEHAVE = $(SETS) $(TOPOLAB) $@ --runtime "$$RUNTIME" --limits "$$LIMITS" "$$@" -- $$TOPOLOGY
ON    = $${HOSTS:+--hosts "$$HOSTS"} $${ONLY:+--only "$$ONLY"}
READY = setup $(if $(value HOSTS),ansible)
NAMED = $(if $(value TOPOLOGY),,$(error Say which one: make $@ TOPOLOGY=gunicorn-sync (`make list` names them)))

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.complete  ## Make .venv; as root on Debian and Ubuntu also install nginx, Apache and a compiler

.venv/.complete: requirements.txt pyproject.toml
	@echo "setting up .venv" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "topolab needs Python 3.11 or newer: make PYTHON=python3.x")'
	@$(PYTHON) -m venv .venv || { echo "Python has no venv here. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 2; }
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(TOPOLAB) setup
	@touch $@

compare: $(READY)  ## Measure TOPOLOGY="a b" (ten by default, or all), print the table, write the report
	@$(PLAN) $(TOPOLAB) compare --runtime "$$RUNTIME" $(ON) "$$@" -- $$TOPOLOGY

capacity: $(READY)  ## Measure where REQUESTS=1000 requests stand in TOPOLOGY=x [ROUTE=gate|sleep|async] [HOLD=seconds]
	@$(NAMED)$(PLAN) $(TOPOLAB) capacity --runtime "$$RUNTIME" $(ON) --hold "$$HOLD" "$$@" -- $$TOPOLOGY

fit: setup  ## Find the settings of TOPOLOGY=x that hold IN_FLIGHT=2000 and let QUEUE=500 wait, and prove them
	@$(NAMED)$(if $(value IN_FLIGHT),,$(error Say how many: make fit TOPOLOGY=x IN_FLIGHT=2000))$(SETS) $(TOPOLAB) fit --runtime "$$RUNTIME" --limits "$$LIMITS" --in-flight "$$IN_FLIGHT" --queue "$$QUEUE" "$$@" -- $$TOPOLOGY

sensitivity: setup  ## Double one setting or limit of TOPOLOGY=x at a time: which one moves the ledger?
	@$(PLAN) $(TOPOLAB) sensitivity --runtime "$$RUNTIME" "$$@" -- $$TOPOLOGY

identity: setup  ## Who serves a request of TOPOLOGY=x; does one wait for a busy worker beside a free one?
	@$(BEHAVE)

isolation: setup  ## Are request, g, session and current_app each request's own in TOPOLOGY=x?
	@$(BEHAVE)

deadwork: setup  ## Clients of TOPOLOGY=x leave: how many of their requests run all the same?
	@$(BEHAVE)

burst: setup  ## How long do instant requests wait that come to TOPOLOGY=x all at once, per backlog?
	@$(BEHAVE)

up: $(READY)  ## Bring TOPOLOGY=x up on PORT=8000 [RUNTIME=compose|process] [HOSTS=inventory.yml] [SET="workers=4 backlog=64"]
	@$(NAMED)$(PLAN) $(TOPOLAB) up --runtime "$$RUNTIME" $(ON) --port "$$PORT" "$$@" -- $$TOPOLOGY

down: $(READY)  ## Take TOPOLOGY=x down (all by default)
	@set -f; $(TOPOLAB) down $(ON) -- $$TOPOLOGY

list: setup  ## List the topologies
	@$(TOPOLAB) list

show: setup  ## Show the plan and the prediction of TOPOLOGY=x; start nothing
	@$(NAMED)$(PLAN) $(TOPOLAB) show "$$@" -- $$TOPOLOGY

status: $(READY)  ## Show what is up
	@$(TOPOLAB) status $(ON)

logs: $(READY)  ## Print the output of TOPOLOGY=x [FOLLOW=1]
	@$(NAMED)set -f; $(TOPOLAB) logs $${FOLLOW:+--follow} $(ON) -- $$TOPOLOGY

tune: $(READY)  ## Give HOSTS=inventory.yml the limits LIMITS=tuned, and read back what their kernels applied
	@$(SETS) $(TOPOLAB) tune $(ON) --limits "$$LIMITS" "$$@"

untune: $(READY)  ## Take back what tune and up changed of HOSTS=inventory.yml
	@$(TOPOLAB) untune $(ON)

plan: setup  ## Print TOPOLOGY=x as the variable that the playbooks of ansible/ read
	@$(NAMED)$(PLAN) $(TOPOLAB) plan --runtime "$$RUNTIME" --port "$$PORT" "$$@" -- $$TOPOLOGY

engine: .venv/.ansible  ## Install and start Docker Engine, Compose v2 and buildx where there is none (root)
	@ANSIBLE_CONFIG=ansible/ansible.cfg .venv/bin/ansible-playbook --inventory ansible/inventory/local.yml ansible/engine.yml

ansible: .venv/.ansible  ## Install what work on hosts needs (HOSTS=): Ansible, with its collections

.venv/.ansible: .venv/.complete ansible/requirements.txt
	@.venv/bin/uv pip install --quiet --python .venv --require-hashes --requirements ansible/requirements.txt
	@touch $@

.venv/.dev: .venv/.ansible requirements-dev.txt
	@.venv/bin/uv pip install --quiet --python .venv --require-hashes --requirements requirements-dev.txt
	@touch $@

check: .venv/.dev  ## Lint and type-check
	@.venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/mypy
	@.venv/bin/yamllint --strict ansible compose
	@cd ansible && PATH="$(CURDIR)/.venv/bin:$$PATH" ansible-lint --offline --strict --profile production -q

test: .venv/.dev  ## Run the tests; those without an engine, nginx or chromium are skipped by name (CI=true: they fail)
	@.venv/bin/pytest

bench: .venv/.dev  ## Run the benchmarks [NAME="one held"]
	@set -f; .venv/bin/python -m benchmarks $$NAME

schemas: setup  ## Renew the published JSON Schemas
	@$(TOPOLAB) schema run > docs/run.schema.json
	@$(TOPOLAB) schema topology > topologies/topology.schema.json
	@$(TOPOLAB) schema server > topologies/server.schema.json
	@$(TOPOLAB) schema limits > topologies/limits.schema.json

docs: setup  ## Renew docs/servers.md and the roles' READMEs from what the model and Ansible read
	@$(TOPOLAB) docs

proof: setup  ## Prove every prediction (all topologies, settings and limits; needs an engine); writes docs/proof.md
	@set -f; $(TOPOLAB) proof -- $$TOPOLOGY

claims: setup  ## Check what the articles found against today's releases [NAME="crash await"]; writes docs/claims.md
	@set -f; set --; [ "$$NAME" ] || set -- --output docs; $(TOPOLAB) claims "$$@" -- $$NAME

reference: setup  ## Measure docs/results anew on this machine, and renew the README's table and picture
	@rm -f docs/results/*.json
	@TOPOLAB_RESULTS=docs/results $(TOPOLAB) compare --runtime process
	@$(TOPOLAB) report docs/results/*.json --markdown --output docs/results --into README.md

LOCKED  = ansible/requirements.in app/multi.in $(wildcard topologies/servers/*/requirements.in)
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --upgrade

lock: setup  ## Renew every locked requirements file, hashes and all
	@$(COMPILE) pyproject.toml --output-file requirements.txt
	@$(COMPILE) --extra dev pyproject.toml --constraint requirements.txt --constraint ansible/requirements.txt --output-file requirements-dev.txt
	@for file in $(LOCKED); do $(COMPILE) $$file --output-file $${file%.in}.txt || exit 1; done

clean: down  ## Take all stacks down; remove the images, the virtualenvs, .venv and the results
	@docker image ls --quiet 'topolab-*' 2>/dev/null | sort -u | xargs -r docker image rm --force >/dev/null
	@rm -rf .venv .topolab results

.PHONY: help setup compare capacity fit sensitivity identity isolation deadwork burst up down list show status logs tune untune plan engine ansible check test bench schemas docs proof claims reference lock clean
