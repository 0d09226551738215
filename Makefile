# What a person types. `make help` lists the targets; each comment after ## is its help line.

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3.14 python3))
ARCH ?= x64
BOARD ?= pico_ppp
EXTRA_MODULES ?=
PRODUCT ?=
FUZZ_EXECS ?= 1000000
FUZZ_READERS ?= 10000
FUZZ_READERS_UNIX ?= 250

VENV := .venv
BIN := $(VENV)/bin
DEMO_VENV := $(VENV)/.installed-demo
DEV_VENV := $(VENV)/.installed-dev
# setuptools warns about every editable install that maps packages to folders.
INSTALL := PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help venv venv-dev demo demo-rp2040 demo-ota test lint format natmod natmods micropython-unix firmware
.PHONY: test-native test-ulab test-home-assistant fuzz fuzz-long attacks powercut powercut-full planted
.PHONY: demo-board collect-long bench bench-rp2040 bench-xtensa bench-deploy clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-20s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(DEMO_VENV)  ## Create .venv with what `onebyte` needs to run

venv-dev: $(DEV_VENV)  ## Add pytest, ruff and mypy to .venv

demo: $(DEMO_VENV)  ## Broker, sensor node and host on this machine, every byte compared; no board needed
	@$(BIN)/onebyte fetch umqtt >/dev/null
	@$(BIN)/onebyte build natmod --optional
	@$(BIN)/onebyte demo

demo-rp2040: $(DEMO_VENV)  ## The same with a Pico's real image, executed in the emulator; TLS=1 with TLS
	@$(BIN)/onebyte build firmware --board pico_ppp
	@$(BIN)/onebyte demo-rp2040 $(if $(TLS),--tls)

demo-ota: $(DEMO_VENV)  ## Updates of a running node: good releases stay, bad ones are refused or taken back
	@$(BIN)/onebyte fetch umqtt >/dev/null
	@$(BIN)/onebyte build natmod --optional
	@$(BIN)/onebyte demo-ota

demo-board: $(DEMO_VENV)  ## From an empty emulated Pico to decisions of a model that it recorded for
	@$(BIN)/onebyte build firmware --board pico_ppp
	@$(BIN)/onebyte demo-board

test:  ## Build everything, lint, fuzz shortly and run every test
	@PYTHON="$(PYTHON)" .ci/install-tools
	@$(MAKE) --no-print-directory venv-dev natmod micropython-unix
	@$(MAKE) --no-print-directory firmware BOARD=pico_ppp
	@$(MAKE) --no-print-directory firmware BOARD=pico
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory fuzz FUZZ_EXECS=200000
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(DEV_VENV)  ## Check style and types of host and device code, and compile the device files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python tests/lint_device.py

format: $(DEV_VENV)  ## Format all Python files
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

natmod: $(DEMO_VENV)  ## Build the native modules for ARCH: x64, armv6m, armv7emsp, rv32imc, xtensawin
	@$(BIN)/onebyte fetch umqtt >/dev/null
	@$(BIN)/onebyte build natmod --arch $(ARCH)

natmods: $(DEMO_VENV)  ## Build the native modules for every chip into dist/natmods, for mip
	@$(BIN)/onebyte build natmods

micropython-unix: $(DEMO_VENV)  ## Build MicroPython's unix port with our C module inside
	@$(BIN)/onebyte build micropython-unix

firmware: $(DEMO_VENV)  ## Build the image for BOARD: pico_ppp, pico; with EXTRA_MODULES, for PRODUCT
	@$(BIN)/onebyte build firmware --board $(BOARD) $(addprefix --extra-modules ,$(EXTRA_MODULES)) $(addprefix --product ,$(PRODUCT))

test-native: $(DEMO_VENV)  ## Execute the native modules of every chip and compare each bit with the host
	@$(BIN)/python tests/native/emulate/signatures.py
	@$(BIN)/python tests/native/emulate/run.py

test-ulab: $(DEMO_VENV)  ## Compare ulab's spectrum with the exact one, on MICROPYTHON=... and here
	@$(BIN)/python tests/ulab/run.py

test-home-assistant: $(DEV_VENV)  ## Compare Home Assistant's own states with the decisions, on HOMEASSISTANT_PYTHON
	@$(BIN)/python tests/home_assistant/run.py

fuzz: $(DEV_VENV)  ## Feed damaged models, updates and messages to what reads them; planted bugs must show
	$(BIN)/python tests/fuzz/fuzz.py --execs $(FUZZ_EXECS)
	$(BIN)/python tests/fuzz/fuzz.py --planted
	$(BIN)/micropython tests/fuzz/fuzz_mqtt.py
	$(BIN)/python tests/fuzz/fuzz_updates.py execs=$(FUZZ_READERS)
	$(BIN)/micropython tests/fuzz/fuzz_updates.py execs=$(FUZZ_READERS_UNIX)
	$(BIN)/python tests/fuzz/fuzz_updates.py execs=100000 planted=1
	$(BIN)/micropython tests/fuzz/fuzz_updates.py execs=1000 planted=1 only=deflate

fuzz-long:  ## The same for 20 million models and a million inputs of each reader: about an hour
	@$(MAKE) --no-print-directory fuzz FUZZ_EXECS=20000000 FUZZ_READERS=1000000 FUZZ_READERS_UNIX=20000

attacks: $(DEV_VENV)  ## Let a node bear every attack on its updates; first with one check less at a time
	@$(MAKE) --no-print-directory natmod
	@$(BIN)/python tests/attacks/run.py planted=all
	@$(BIN)/python tests/attacks/run.py

powercut: $(DEMO_VENV)  ## Cut the power at every write: outbox, deep sleeps, every step of an update
	$(BIN)/python tests/powercut/run.py
	$(BIN)/micropython tests/powercut/sleep_lives.py 20
	$(BIN)/micropython -X heapsize=128m tests/powercut/ota_cuts.py long

powercut-full: $(DEMO_VENV)  ## The same over more lives, every recovery cut again, and in the emulated board
	$(BIN)/python tests/powercut/run.py 160
	$(BIN)/micropython tests/powercut/sleep_lives.py 400
	$(BIN)/micropython -X heapsize=128m tests/powercut/ota_cuts.py full
	$(BIN)/python tests/powercut/emulated_cuts.py 300

planted: $(DEMO_VENV)  ## Plant bugs into the updates; the power cuts have to find each
	@$(BIN)/python tests/powercut/planted_ota.py

collect-long: $(DEMO_VENV)  ## Record 30 minutes of 6 channels at 104 Hz from the emulated IMU, with stalls
	@$(BIN)/onebyte build firmware --board pico_ppp
	$(BIN)/python tests/collect/long.py 30

bench: $(DEV_VENV)  ## Compare the native module with emlearn's C and with plain MicroPython
	@$(MAKE) --no-print-directory natmod
	$(BIN)/python tests/bench/bench.py

bench-rp2040: $(DEV_VENV)  ## Count the cycles of a node's work on an emulated RP2040, against the baseline
	$(BIN)/python tests/bench/rp2040/cycles.py

bench-deploy: $(DEV_VENV)  ## Time `onebyte deploy` and mpremote with the same files on the emulated Pico
	$(BIN)/python tests/bench/rp2040/deploy.py

bench-xtensa: $(DEV_VENV)  ## Count the instructions of the ESP32-S3's code under QEMU, against the baseline
	@$(BIN)/python tests/bench/xtensa/instructions.py

clean:  ## Remove what was built; .venv and the download cache stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is not Python 3.11 or newer; set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "no venv: on Debian apt-get install python3-venv" >&2; exit 1; }

$(DEMO_VENV): pyproject.toml .ci/constraints.txt | $(VENV)/bin/pip
	@echo "installing the Python packages of the demo into $(VENV)"
	@$(INSTALL) --editable .
	@touch $@

$(DEV_VENV): $(DEMO_VENV)
	@echo "installing the Python packages of the tests into $(VENV)"
	@$(INSTALL) --editable '.[dev]'
	@touch $@
