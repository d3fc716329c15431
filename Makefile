# Each target works from a fresh checkout and installs what it needs into directories of the checkout.

PORT ?= 8796
STATE ?= $(CURDIR)/.standalone
WORKERS ?= 1
KEYSTONE ?=
ORIGIN ?=
LOG ?=
TOXARGS ?= run-parallel --parallel 2 --parallel-live --parallel-no-spinner -e static,tests
BENCH ?=
BENCHARGS ?=
SOAKARGS ?=
GATE_MINUTES ?= 50
FUZZARGS ?=
SCREENSHOTARGS ?=

# etcd to use instead of the one on PATH, for the server and for the tests.
ifneq ($(origin ETCD),undefined)
export FACTSTORE_ETCD := $(ETCD)
endif
ifneq ($(origin UPPER_CONSTRAINTS),undefined)
export UPPER_CONSTRAINTS
endif
# Python to use instead of the one that tools/find-python finds.
ifneq ($(origin PYTHON),undefined)
export PYTHON
endif

MORE := $(if $(ORIGIN),--allow-origin '$(ORIGIN)') $(if $(filter-out 0 no false,$(LOG)),--access-log)
TOX := tools/venv .venv-tox --no-compile 'tox>=4.21' 'uv>=0.8' && .venv-tox/bin/tox

.DEFAULT_GOAL := help
.PHONY: help standalone agent agent-deb agent-rpm test test-images test-notify test-random test-releases test-servers test-monitoring test-hooks test-install test-containers test-devstack test-ansible fuzz faults gate gate-long gate-newer soak recovery bench docs screenshots lint clean

help:
	@echo 'make standalone   run factstore and an etcd on port $(PORT); Ctrl-C stops both'
	@echo '                    KEYSTONE=1 adds a lab Keystone; LOG=1 prints each request;'
	@echo '                    PORT=, STATE=, WORKERS= and ORIGIN= change defaults'
	@echo 'make agent        build the agent as one file, which the service serves to instances'
	@echo 'make agent-deb    build a package of the agent for Debian, in dist'
	@echo 'make agent-rpm    build a package of the agent for distributions with rpm, in dist'
	@echo 'make test         run the linters and all tests; TOXARGS= replaces the arguments of tox'
	@echo 'make test-images  run the agent on clean distributions with systemd and cloud-init; needs root'
	@echo 'make test-notify  kill notifiers twenty times, and deliver to a real Zaqar'
	@echo 'make test-random  run the tests that need only an etcd with many random examples'
	@echo 'make test-servers run the service under uWSGI and other WSGI servers with threads'
	@echo 'make test-monitoring  run the alerts, the dashboard and the discovery in a real Prometheus'
	@echo 'make test-hooks  run the hook of heat-agents for Puppet with the real Puppet'
	@echo 'make test-install  install the service as documented, on one host and highly available; needs root'
	@echo 'make test-containers  build the container images and run the example; needs root'
	@echo 'make test-devstack  run the devstack plugin with the packages of two OpenStack releases;'
	@echo '                    UPPER_CONSTRAINTS= names a directory with the lists of the releases'
	@echo 'make test-ansible  check the Ansible collection with ansible-test, which installs packages'
	@echo 'make test-releases  run tests with the packages of OpenStack releases, the oldest and the newest ones;'
	@echo '                    UPPER_CONSTRAINTS= names a directory with the lists of the releases'
	@echo 'make fuzz         send random requests to a service; FUZZARGS= is passed to schemathesis'
	@echo 'make faults       run the fault tests with ten times as many faults'
	@echo 'make gate         kill, pause and cut off parts of a cluster, and check each promise; 3 minutes'
	@echo 'make gate-long    do so with all kinds of faults for GATE_MINUTES= minutes, by default 50'
	@echo 'make gate-newer   do so with the etcd of the next release of Debian, in the directory .etcd'
	@echo 'make soak         run the service under a steady load for an hour, and check that nothing grows;'
	@echo '                    SOAKARGS="--minutes 10" is passed to the soak'
	@echo 'make recovery     measure how long faults of etcd stop the service, beside a client of etcd'
	@echo 'make bench        compare the service with etcd and its peers; BENCH=heat runs only that part,'
	@echo '                    BENCHARGS= is passed to the benchmark'
	@echo 'make screenshots  run the Slurm example, and take the pictures of the console for the documentation'
	@echo 'make docs         build guides, API reference and release notes as one site, in doc/build/html'
	@echo 'make lint         run the linters'
	@echo 'make clean        delete everything that the other targets created, including data of make standalone'
	@echo
	@echo 'ETCD=/path/to/etcd selects another etcd, PYTHON=/path/to/python3 another Python (3.11 or newer).'

standalone: agent
	@tools/system-packages standalone
ifeq ($(filter-out 0 no false,$(KEYSTONE)),)
	@tools/venv .venv -e '.[server,agent,page]'
	@exec .venv/bin/factstore standalone --port '$(PORT)' --state '$(STATE)' --workers '$(WORKERS)' $(MORE)
else
	@tools/venv .venv -e '.[server,agent,cloud,page,keystone]'
	@exec .venv/bin/factstore standalone --port '$(PORT)' --state '$(STATE)' --workers '$(WORKERS)' $(MORE) --keystone
endif

agent:
	@tools/system-packages agent
	@tools/venv .venv-agent $$("$$(tools/find-python)" tools/agent_zipapp.py --requirements)
	@.venv-agent/bin/python tools/agent_zipapp.py

agent-deb: agent
	@tools/system-packages agent-deb
	@.venv-agent/bin/python tools/agent_packages.py deb

agent-rpm: agent
	@tools/system-packages agent-rpm
	@.venv-agent/bin/python tools/agent_packages.py rpm

test-images:
	@tools/system-packages test
	@tools/system-packages images
	@$(TOX) run -e images

test-notify:
	@tools/system-packages test
	@tools/system-packages notify
	@$(TOX) run -e notify

test-servers:
	@tools/system-packages test
	@$(TOX) run -e servers

test-monitoring:
	@tools/system-packages test
	@tools/system-packages monitoring
	@$(TOX) run -e monitoring

test-hooks:
	@tools/system-packages test
	@tools/system-packages hooks
	@$(TOX) run -e hooks

test-install:
	@tools/system-packages test
	@tools/system-packages install
	@$(TOX) run -e install

test-containers:
	@tools/system-packages test
	@tools/system-packages containers
	@$(TOX) run -e containers

test-devstack:
	@tools/system-packages test
	@$(TOX) run -e devstack

test-ansible:
	@tools/system-packages test
	@$(TOX) run -e sanity

test:
	@tools/system-packages test
	@$(TOX) $(TOXARGS)

test-releases:
	@tools/system-packages test
	@$(TOX) run -e constraints-2025.1,constraints-2025.2,constraints-2026.1,constraints-master,constraints-tested,lowest,etcd-next,etcd-own

fuzz:
	@tools/system-packages test
	@$(TOX) run -e fuzz -- $(FUZZARGS)

test-random:
	@tools/system-packages test
	@export FACTSTORE_EXAMPLES=random && $(TOX) run -e py3

faults:
	@tools/system-packages test
	@export FACTSTORE_FAULTS="$${FACTSTORE_FAULTS:-full}" && $(TOX) run -e functional -- -n 2 --timeout 7200 tests/faults

gate:
	@tools/system-packages test
	@$(TOX) run -e gate

gate-long:
	@tools/system-packages test
	@export FACTSTORE_GATE_MINUTES='$(GATE_MINUTES)' && $(TOX) run -e gate -- -k long tests/gate/test_gate.py

gate-newer:
	@tools/system-packages test
	@FACTSTORE_ETCD=$$(tools/newer-etcd .etcd) && export FACTSTORE_ETCD FACTSTORE_GATE_MINUTES='$(GATE_MINUTES)' \
		&& $(TOX) run -e gate -- -k long tests/gate/test_gate.py

soak:
	@tools/system-packages test
	@$(TOX) run -e soak -- $(SOAKARGS)

recovery:
	@tools/system-packages test
	@$(TOX) run -e recovery -- $(RECOVERYARGS)

bench:
	@tools/system-packages bench
	@$(TOX) run -e bench -- $(BENCHARGS) $(BENCH)

screenshots:
	@tools/system-packages test
	@$(TOX) run -e screenshots -- $(SCREENSHOTARGS)

docs:
	@tools/system-packages docs
	@$(TOX) run -e docs,api-ref,releasenotes,site
	@echo 'open $(CURDIR)/doc/build/html/index.html'

lint:
	@tools/system-packages lint
	@$(TOX) run -e pep8

clean:
	rm -rf .images .venv .venv-agent .venv-tox .tox .standalone .coverage .coverage.* htmlcov build dist *.egg-info
	rm -rf .cache .pytest_cache .schemathesis .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf doc/build etc/factstore/*.sample doc/source/_static/*.sample
	rm -f factstore/api/files/factstore-agent.pyz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
