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
IO_MS    ?=
CPU_MS   ?=
MEMORY_MB ?=
FAIL     ?=
RATE     ?=
CPUS     ?=
ONLY     ?=
EXPERIMENTS ?=
REPEATS  ?=
BASELINE ?=
SEED     ?=
RESUME   ?=
RUNS     ?=
ACROSS   ?=
FAIL_ON  ?=
FORMAT   ?= csv
SAMPLES  ?=
OUTPUT   ?=
WORK     ?=
APP      ?=
RATES    ?=
STEPS    ?=
LAP      ?=
CONNECTIONS ?=
KEEPALIVE ?=
IDLE     ?=

PYTHON  ?= python3
TOPOLAB := .venv/bin/topolab

# The shell reads these from the environment, so that whatever stands in them is words for topolab and never a command;
# and what was typed is kept as text, so that make, too, expands no $(shell ...) in it.
WORDS = TOPOLOGY RUNTIME REQUESTS LIMITS SET ROUTE HOLD PORT FOLLOW NAME HOSTS ONLY IN_FLIGHT QUEUE IO_MS CPU_MS MEMORY_MB FAIL RATE CPUS \
        EXPERIMENTS REPEATS BASELINE SEED RESUME RUNS ACROSS FAIL_ON FORMAT SAMPLES OUTPUT WORK RATES STEPS LAP CONNECTIONS KEEPALIVE IDLE
$(foreach name,$(WORDS) APP,$(if $(filter command,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))
export $(WORDS)
# APP is also what a plan calls the entry that servers import: the one that was typed stays here.
unexport APP
export OWN_APP = $(value APP)
PLAN  = set -f; set -- --requests "$$REQUESTS" --limits "$$LIMITS" --route "$$ROUTE" $${OWN_APP:+--app "$$OWN_APP"}; \
        for pair in $$SET; do set -- "$$@" --set "$$pair"; done;
# A campaign is told only what was typed: each of its experiments has defaults of its own, and --resume knows the rest.
TYPED = $(if $(filter-out file,$(origin $1)),[ -z "$$$1" ] || set -- "$$@" --$2 "$$$1";)
OFFERED = $(call TYPED,WORK,work)$(call TYPED,RATES,rates)$(call TYPED,STEPS,steps)$(call TYPED,LAP,seconds)$(call TYPED,CONNECTIONS,connections)$(call TYPED,KEEPALIVE,keepalive)
REPEATED = set -f; set -- $${OWN_APP:+--app "$$OWN_APP"}; $(call TYPED,REQUESTS,requests)$(call TYPED,LIMITS,limits)$(call TYPED,ROUTE,route) \
        $(call TYPED,HOLD,hold)$(call TYPED,EXPERIMENTS,experiments)$(call TYPED,REPEATS,repeats) \
        $(call TYPED,BASELINE,baseline)$(call TYPED,SEED,seed)$(call TYPED,NAME,$(if $(value RESUME),resume,name)) \
        $(OFFERED) \
        $(if $(value RESUME),$(if $(value NAME),,set -- "$$@" --resume "$$([ "$$RESUME" = 1 ] || echo "$$RESUME")";)) \
        for pair in $$SET; do set -- "$$@" --set "$$pair"; done;
SETS  = set -f; set -- $${OWN_APP:+--app "$$OWN_APP"}; for pair in $$SET; do set -- "$$@" --set "$$pair"; done;
LOAD  = $(SETS) $(TOPOLAB) $@ --runtime "$$RUNTIME" --limits "$$LIMITS" $${WORK:+--work "$$WORK"} $${LAP:+--seconds "$$LAP"} $${KEEPALIVE:+--keepalive "$$KEEPALIVE"}
ASKED = $(SETS)$(call TYPED,REQUESTS,requests)$(call TYPED,ROUTE,route)
BEHAVE = $(ASKED) $(TOPOLAB) $@ --runtime "$$RUNTIME" --limits "$$LIMITS" "$$@" -- $$TOPOLOGY
# What only a campaign takes makes it one.
CAMPAIGNS = $(foreach name,EXPERIMENTS REPEATS RESUME NAME SEED BASELINE,$(value $(name)))
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
	@.venv/bin/python -m compileall -q app topolab  # with PYTHONDONTWRITEBYTECODE set, every start would compile them anew
	@$(TOPOLAB) setup
	@touch $@

compare: $(READY)  ## Measure TOPOLOGY="a b" (ten by default, or all) [APP=~/shop:shop:app] [EXPERIMENTS=capacity,memory REPEATS=5 BASELINE=a | RESUME=1]
	@$(if $(strip $(CAMPAIGNS)),$(REPEATED),$(PLAN)$(OFFERED)$(call TYPED,HOLD,hold)) $(TOPOLAB) compare --runtime "$$RUNTIME" $(ON) "$$@" -- $$TOPOLOGY

capacity: $(READY)  ## Measure where REQUESTS=1000 requests stand in TOPOLOGY=x [ROUTE=gate|sleep|async] [HOLD=seconds]
	@$(NAMED)$(PLAN) $(TOPOLAB) capacity --runtime "$$RUNTIME" $(ON) --hold "$$HOLD" "$$@" -- $$TOPOLOGY

diff: setup  ## What changed: RUNS="before after", runs or campaigns [ACROSS=versions] [FAIL_ON=worse]
	@$(if $(word 2,$(value RUNS)),,$(error Say which two: make diff RUNS="before after"))set -f; $(TOPOLAB) diff $${ACROSS:+--across "$$ACROSS"} $${FAIL_ON:+--fail-on "$$FAIL_ON"} -- $$RUNS

throughput: setup  ## How many requests/s come out of TOPOLOGY=x at most [WORK="greeting io:20"] [CONNECTIONS=64] [KEEPALIVE=off] [LAP=5 seconds each]
	@$(LOAD) $${CONNECTIONS:+--connections "$$CONNECTIONS"} "$$@" -- $$TOPOLOGY

latency: setup  ## How long requests take in TOPOLOGY=x at RATES="100 200", or at RATES=0.5x of its ceiling [WORK=io:20] [LAP=5]
	@$(LOAD) $${RATES:+--rates "$$RATES"} $${CONNECTIONS:+--connections "$$CONNECTIONS"} "$$@" -- $$TOPOLOGY

overload: setup  ## What requests get when TOPOLOGY=x has more than it can do: STEPS="0.5 1 2" times its ceiling [WORK=io:20] [LAP=2]
	@$(LOAD) $${STEPS:+--steps "$$STEPS"} "$$@" -- $$TOPOLOGY

memory: setup  ## What a worker of TOPOLOGY=x, a request in flight and an idle connection cost [REQUESTS=1000] [IDLE=100]
	@$(SETS) $(TOPOLAB) $@ --runtime "$$RUNTIME" --limits "$$LIMITS" --requests "$$REQUESTS" $${IDLE:+--idle "$$IDLE"} "$$@" -- $$TOPOLOGY

export: setup $(if $(filter parquet,$(value FORMAT)),.venv/.export)  ## Write RUNS="campaign run.json" as one table: OUTPUT=file [FORMAT=csv|parquet] [SAMPLES=1]
	@$(if $(value RUNS),,$(error Say which: make export RUNS=NAME OUTPUT=figures.csv))set -f; $(TOPOLAB) export --"$$FORMAT" $${SAMPLES:+--samples} --output "$${OUTPUT:-results/export.$$FORMAT}" -- $$RUNS

.venv/.export: .venv/.complete requirements-export.txt
	@.venv/bin/uv pip install --quiet --python .venv --require-hashes --requirements requirements-export.txt
	@touch $@

fit: setup  ## Find the settings of TOPOLOGY=x that hold IN_FLIGHT=2000 and let QUEUE=500 wait, and prove them
	@$(NAMED)$(if $(value IN_FLIGHT),,$(error Say how many: make fit TOPOLOGY=x IN_FLIGHT=2000))$(SETS) $(TOPOLAB) fit --runtime "$$RUNTIME" --limits "$$LIMITS" --in-flight "$$IN_FLIGHT" --queue "$$QUEUE" "$$@" -- $$TOPOLOGY

pick: setup  ## Which topologies hold IN_FLIGHT=500 [IO_MS=200 CPU_MS=5 MEMORY_MB=512 FAIL=fast|queue RATE=100 CPUS=2]? With evidence
	@$(TOPOLAB) pick $${IN_FLIGHT:+--in-flight "$$IN_FLIGHT"} $${IO_MS:+--io-ms "$$IO_MS"} $${CPU_MS:+--cpu-ms "$$CPU_MS"} \
		$${MEMORY_MB:+--memory-mb "$$MEMORY_MB"} $${FAIL:+--fail "$$FAIL"} $${RATE:+--rate "$$RATE"} $${CPUS:+--cpus "$$CPUS"} \
		$(if $(filter-out file,$(origin QUEUE)),$${QUEUE:+--queue "$$QUEUE"}) --limits "$$LIMITS"

sensitivity: setup  ## Change one setting or limit of TOPOLOGY=x at a time: which one moves the ledger?
	@$(BEHAVE)

identity: setup  ## Who serves a request of TOPOLOGY=x; does one wait for a busy worker beside a free one?
	@$(BEHAVE)

crossing: setup  ## Who waits for a busy worker beside a free one? gunicorn in two releases, and uWSGI
	@$(TOPOLAB) crossing --runtime "$$RUNTIME"

isolation: setup  ## Are request, g, session and current_app each request's own in TOPOLOGY=x?
	@$(BEHAVE)

deadwork: setup  ## Clients of TOPOLOGY=x leave: how many of their requests run all the same?
	@$(BEHAVE)

burst: setup  ## How long do instant requests wait that come to TOPOLOGY=x all at once, per backlog?
	@$(BEHAVE)

endings: setup  ## Signals come while requests run and wait in TOPOLOGY=x: what does each get, who serves the next?
	@$(ASKED) $(TOPOLAB) $@ --runtime process --limits "$$LIMITS" "$$@" -- $$TOPOLOGY

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

tune: $(READY)  ## Give HOSTS=inventory.yml LIMITS=tuned or SET="somaxconn=16384", and read back what their kernels applied
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

.venv/.site: .venv/.complete docs/requirements.txt
	@.venv/bin/uv pip install --quiet --python .venv --require-hashes --requirements docs/requirements.txt
	@touch $@

.venv/.dev: .venv/.ansible .venv/.site requirements-dev.txt
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

bench-instrument: .venv/.dev  ## Measure the load engine beside wrk, Locust, ab and hey; as root it installs what is missing
	@.venv/bin/python -m benchmarks instrument

schemas: setup  ## Renew the published JSON Schemas
	@$(TOPOLAB) schema run > docs/run.schema.json
	@$(TOPOLAB) schema campaign > docs/campaign.schema.json
	@$(TOPOLAB) schema topology > topologies/topology.schema.json
	@$(TOPOLAB) schema server > topologies/server.schema.json
	@$(TOPOLAB) schema limits > topologies/limits.schema.json

docs: setup  ## Renew the servers' pages, the tables and pictures in docs/ and the roles' READMEs from stored results
	@$(TOPOLAB) docs

site: .venv/.site  ## Build docs/ as pages with a search: site/index.html
	@rm -rf site && .venv/bin/sphinx-build -E -W --keep-going -q docs site && echo "wrote site/index.html" >&2

proof: setup  ## Prove every prediction (all settings and limits; needs an engine); of all topologies it writes docs/proof.md
	@set -f; set --; [ "$$TOPOLOGY" ] || set -- --output docs; $(TOPOLAB) proof "$$@" -- $$TOPOLOGY

artefact: setup  ## Make famous artefacts of benchmarks again, and catch them [NAME="keepalive pacing outside failures"]
	@set -f; $(TOPOLAB) artefact -- $$NAME

claims: setup  ## Check what the articles found against today's releases [NAME="crash await"]; writes docs/claims.md
	@set -f; set --; [ "$$NAME" ] || set -- --output docs; $(TOPOLAB) claims "$$@" -- $$NAME

waits: setup  ## Hold more requests than fit: what do those get that find no handler? Writes docs/waits.json
	@$(TOPOLAB) waits --output docs
	@$(TOPOLAB) docs

reference: setup  ## Measure docs/results anew on this machine, and renew the README's table and picture
	@rm -f docs/results/*.json
	@TOPOLAB_RESULTS=docs/results $(TOPOLAB) compare --runtime process
	@$(TOPOLAB) report docs/results/*.json --markdown --output docs/results --into README.md

CAMPAIGN = .topolab/reference/campaigns/reference

reference-campaign: setup  ## Measure docs/results/campaign anew [TOPOLOGY=all] (40 minutes for the ten; goes on after Ctrl-C), renew the pages
	@if [ -d $(CAMPAIGN) ]; then set -- --resume reference --attempts 4; \
	else set -- --name reference --runtime process --experiments throughput,latency,overload,memory --repeats 5 --attempts 4 --seed 1 -- $$TOPOLOGY; fi; \
	TOPOLAB_RESULTS=.topolab/reference $(TOPOLAB) compare "$$@" || [ $$? -eq 1 ]
	@$(TOPOLAB) docs --campaign $(CAMPAIGN)
	@rm -rf .topolab/reference

LOCKED  = requirements-export.in benchmarks/requirements.in ansible/requirements.in docs/requirements.in app/multi.in $(wildcard topologies/servers/*/requirements*.in)
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --upgrade

lock: setup  ## Renew every locked requirements file, hashes and all
	@$(COMPILE) pyproject.toml --output-file requirements.txt
	@$(COMPILE) --extra dev pyproject.toml --constraint requirements.txt --constraint ansible/requirements.txt --constraint docs/requirements.txt --constraint requirements-export.txt --output-file requirements-dev.txt
	@for file in $(LOCKED); do $(COMPILE) $$file --output-file $${file%.in}.txt || exit 1; done

clean: setup  ## Take all stacks down; remove the images, the virtualenvs, .venv and the results
	@$(TOPOLAB) down
	@for record in .topolab/stacks/*/stack.json "$${TOPOLAB_STATE:-.topolab}"/stacks/*/stack.json; do \
		if [ -e "$$record" ]; then echo "$$record: this stack is still up, for a measurement perhaps. Nothing was removed: wait for its end, then type make clean again." >&2; exit 2; fi; done
	@docker image ls --quiet 'topolab-*' 2>/dev/null | sort -u | xargs -r docker image rm --force >/dev/null
	@rm -rf .venv .topolab results site

.PHONY: help setup compare capacity throughput latency overload memory diff export fit pick sensitivity identity crossing isolation deadwork burst endings up down list show status logs tune untune plan engine ansible check test bench bench-instrument schemas docs site proof claims artefact waits reference reference-campaign lock clean
