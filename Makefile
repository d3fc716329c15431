# Everything from a fresh checkout: each target does its own set-up, in directories of this checkout.

PORT ?= 8796
STATE ?= $(CURDIR)/.standalone
WORKERS ?= 1
KEYSTONE ?=
ORIGIN ?=
TOXARGS ?= run -e pep8,docs,api-ref,releasenotes,py3,functional,heat
BENCH ?=
BENCHARGS ?=
FUZZARGS ?=

# Another etcd than the one on PATH, for the server and for the tests alike.
ifneq ($(origin ETCD),undefined)
export FACTSTORE_ETCD := $(ETCD)
endif
# Another Python than the newest that tools/find-python finds.
ifneq ($(origin PYTHON),undefined)
export PYTHON
endif

ALLOW := $(if $(ORIGIN),--allow-origin '$(ORIGIN)')
TOX := tools/venv .venv-tox 'tox>=4.21' && .venv-tox/bin/tox

.DEFAULT_GOAL := help
.PHONY: help standalone test fuzz bench docs lint clean

help:
	@echo 'make standalone   run factstore with an etcd of its own on port $(PORT); Ctrl-C stops both'
	@echo '                    KEYSTONE=1 adds a lab Keystone; PORT= STATE= WORKERS= ORIGIN= change the defaults'
	@echo 'make test         run the linters and all tests; TOXARGS= passes other arguments to tox'
	@echo 'make fuzz         ask a service for anything at length; FUZZARGS= goes to schemathesis'
	@echo 'make bench        measure against etcd itself, and Heat; BENCH=heat measures that part alone,'
	@echo '                    BENCHARGS= goes to the benchmark'
	@echo 'make docs         build the documentation, the API reference and the release notes'
	@echo 'make lint         run the linters only'
	@echo 'make clean        remove what the other targets built, and the state of make standalone'
	@echo
	@echo 'ETCD=/path/to/etcd picks another etcd, PYTHON=/path/to/python3 another Python (3.11 or newer).'

standalone:
	@tools/system-packages standalone
ifeq ($(filter-out 0 no false,$(KEYSTONE)),)
	@tools/venv .venv -e '.[server,agent,page]'
	@exec .venv/bin/factstore standalone --port '$(PORT)' --state '$(STATE)' --workers '$(WORKERS)' $(ALLOW)
else
	@tools/venv .venv -e '.[server,agent,page,keystone]'
	@exec .venv/bin/factstore standalone --port '$(PORT)' --state '$(STATE)' --workers '$(WORKERS)' $(ALLOW) --keystone
endif

test:
	@tools/system-packages test
	@$(TOX) $(TOXARGS)

fuzz:
	@tools/system-packages test
	@$(TOX) run -e fuzz -- $(FUZZARGS)

bench:
	@tools/system-packages bench
	@$(TOX) run -e bench -- $(BENCHARGS) $(BENCH)

docs:
	@tools/system-packages docs
	@$(TOX) run -e docs,api-ref,releasenotes

lint:
	@tools/system-packages lint
	@$(TOX) run -e pep8

clean:
	rm -rf .venv .venv-tox .tox .standalone .coverage .coverage.* htmlcov build dist *.egg-info
	rm -rf .pytest_cache .schemathesis .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf doc/build api-ref/build releasenotes/build etc/factstore/*.sample doc/source/_static/*.sample
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
