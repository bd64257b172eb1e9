# The commands of this repository; what each does is in tools/ and tests/.
.DEFAULT_GOAL := help
.PHONY: help demo build test test-fast test-engines siege bench audit packages reproducible transcript install uninstall clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## real podman containers share GPUs of a simulated node (REAL=1: on this machine's driver)
	@tools/demo $(if $(filter 1,$(REAL)),--real)

build: ## release binaries into target/dist: divvy, and divvy-hook linked statically
	@tools/build

test: ## everything: set-up, checks, tests, then the real engines
	@tools/test fast engines

test-fast: ## the checks and tests that need no container engine
	@tools/test fast

test-engines: ## the tests on real podman, containerd and Docker
	@tools/test engines

siege: ## kill divvy at every step, fail every driver call, random lives (about an hour; FILTER=crash)
	@tools/siege $(FILTER)

bench: ## measure (PEER_BIN=dir with nvidia-ctk and nvidia-cdi-hook: side by side)
	@tools/bench

audit: ## look for known vulnerabilities in what divvy is built from (needs the network)
	@tools/audit

packages: ## a .deb and an .rpm of what make build built, in target/packages
	@tools/packages

reproducible: ## build everything twice, in two places, and compare the packages
	@tools/reproducible

transcript: ## type docs/first-steps.md on a fresh Debian with the package, and write down what it answers
	@tools/transcript

install: ## put what make build built in place (PREFIX=/usr DESTDIR=)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' tools/install install

uninstall: ## take it away again
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' tools/install uninstall

clean: ## remove what was built here (the engines' cache stays: tests/e2e/setup clean)
	@cargo clean
