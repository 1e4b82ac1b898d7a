# Two commands do all set-up: `make demo` and `make test`. Everything else is listed by `make help`.
# Needs GNU make, git and a Python from 3.11 to 3.13; scripts/find-python says which one is taken.

SHELL := /bin/sh
PYTHON := .venv/bin/python
.DEFAULT_GOAL := help

.PHONY: help broker test-programs hil-programs venv cose-peer aas-peer demo check test bench bench-soh bench-peers hil hil-long lock fmt clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile

# Before the virtual environment, so that all that apt has to install is asked for at once.
broker:
	@scripts/need-programs mosquitto:mosquitto

test-programs:
	@scripts/need-programs mosquitto:mosquitto chromium:chromium chromedriver:chromium-driver ip:iproute2 dbus-daemon:dbus-daemon \
	    tinyproxy:tinyproxy-bin microsocks:microsocks upsd:nut-server "cc:gcc libc6-dev" \
	    qemu-storage-daemon:qemu-system-common debugfs:e2fsprogs

# The virtual gateway: QEMU, what builds its image, a TPM. The image is built once, as root, and kept in .hil/.
hil-programs: test-programs
	@scripts/need-programs qemu-system-x86_64:qemu-system-x86 debootstrap:debootstrap cpio:cpio swtpm:swtpm \
	    sshd:openssh-server $(MORE_PROGRAMS)

venv:
	@scripts/make-venv .venv requirements/dev.lock project

cose-peer:
	@scripts/make-venv .venv-cose requirements/cose-peer.lock

aas-peer:
	@scripts/make-venv .venv-aas requirements/aas-peer.lock

demo: broker venv ## A simulated battery, the agent, a sink and its web page on this machine; Ctrl-C ends it
	@PATH="$$PATH:/usr/sbin" .venv/bin/packseal demo $(ARGS)

check: venv ## Lint, format, types and import contracts
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports

test: test-programs venv cose-peer aas-peer ## All tests, installing what they need
	PATH="$$PATH:/usr/sbin" PACKSEAL_COSE_PEER_PYTHON="$(CURDIR)/.venv-cose/bin/python" \
	    PACKSEAL_AAS_PEER_PYTHON="$(CURDIR)/.venv-aas/bin/python" $(PYTHON) -m pytest --numprocesses 2 --dist loadfile $(ARGS)

bench: broker venv ## Speed, size and memory as ratios against peers in the same run
	@PATH="$$PATH:/usr/sbin" $(PYTHON) -m bench $(ARGS)

bench-peers: broker venv ## Another gateway through the same outages, with each of its stores (an hour; ARGS=--quick)
	@scripts/make-venv .venv-peer requirements/thingsboard-peer.lock
	@PATH="$$PATH:/usr/sbin" $(PYTHON) -m bench.peers $(ARGS)

# The tests of the bench itself are part of `make test`. Two virtual gateways at once; hardware there is only one.
HIL_TESTS := tests/hil/gateway tests/hil/powercut/test_guest.py tests/hil/scenarios/test_scenarios.py

bench-soh: venv ## Capacity, health claims and counters on recorded cells; every field on simulated batteries (35 minutes)
	$(PYTHON) -m bench.soh
	$(PYTHON) -m bench.truth $(ARGS)

hil: hil-programs venv ## The agent in a virtual gateway: kernel CAN, BlueZ, faults and power cuts; report in .hil/report
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m pytest -p packseal_hil.plugin --bench $(or $(BENCH),virtual) \
	    --report .hil/report --junitxml .hil/report/junit.xml \
	    $(if $(BENCH),,--numprocesses 2 --dist loadfile) $(HIL_TESTS) $(ARGS)

hil-long: ## The same with every long scenario, 200 power cuts and an arm64 guest (an hour or more)
	@$(MAKE) --no-print-directory hil HIL_TESTS=tests/hil MORE_PROGRAMS=qemu-system-aarch64:qemu-system-arm \
	    ARGS="--long $(ARGS)"

lock: ## Pin the newest allowed versions again
	@scripts/make-venv .venv-lock requirements/uv.lock
	.venv-lock/bin/python scripts/write-locks

fmt: venv ## Format the code
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

clean: ## Remove everything that make made
	rm -rf .venv .venv-cose .venv-aas .venv-peer .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
