# The verbs. `make` alone prints them. Everything that continuous integration does is one of these.
SHELL := /bin/bash
RUN := .venv/bin
SOURCES := src tests $(wildcard examples bench)
UNITS ?= tests/unit
.DEFAULT_GOAL := help
# Where it is set, every process that a test starts compiles all sources anew: half a second each, thousands of times.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help serve test fast cover lint types bench docs pictures check audit hooks lock runtime-env test-env bench-env
.PHONY: interop-env audit-env

help:
	@sed -n 's/^\([a-z]*\): .*## \{1,\}/make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
serve: runtime-env              ## start examples/orders in API-key mode on 127.0.0.1:8000
	@cd examples/orders && ../../$(RUN)/mcpward serve
test: lint types interop-env    ## lint, types and every test
	@$(RUN)/python -m pytest -n 3 --dist worksteal -m "not cost"
	@$(RUN)/python -m pytest -m cost
fast: lint                      ## lint, architecture and quick units; UNITS=tests/unit/limits for one package
	@.ci/fast $(UNITS) tests/architecture
cover: test-env                 ## which branches the quick units take, with a floor for each package
	@.ci/cover
lint: test-env                  ## ruff: rules and format
	@$(RUN)/ruff check $(SOURCES) && $(RUN)/ruff format --check $(SOURCES)
types: test-env                 ## mypy: strict for the package, and what tests say of types
	@$(RUN)/mypy
bench: bench-env                ## measure beside the SDK, FastMCP and a bare echo, and what limits, redaction and guards cost
	@$(RUN)/python -m bench && $(RUN)/python -m bench limits && $(RUN)/python -m bench redaction && $(RUN)/python -m bench guards
docs: test-env                  ## run the README and compare every page with the code
	@$(RUN)/python -m pytest -q tests/docs
pictures: test-env              ## make the README's pictures anew, from what mcpward prints
	@PYTHONPATH=src:tests $(RUN)/python -m support.pictures docs/images
check: lint types docs          ## what a change must pass before its tests are run
	@$(RUN)/python -m pytest -q tests/architecture
audit: audit-env                ## ask whether a locked dependency has a known vulnerability (needs the network)
	@.ci/audit
hooks:                          ## have git check the subjects of commits
	@git config core.hooksPath .ci/hooks
lock:                           ## resolve requirements/*.txt anew (needs uv)
	@.ci/lock

runtime-env:                    ; @.ci/environment runtime
test-env:                       ; @.ci/environment test
bench-env:                      ; @.ci/environment bench && .ci/node bench/node
audit-env:                      ; @.ci/environment audit
interop-env:                    ; @.ci/environment interop && .ci/node tests/interop
