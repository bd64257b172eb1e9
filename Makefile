# The commands of this repository; what each does is in tools/ and tests/.
.DEFAULT_GOAL := help
.PHONY: help build test test-fast clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: ## release binaries into target/dist: divvy, and divvy-hook linked statically
	@tools/build

test: ## everything: set-up, checks, tests
	@tools/test fast

test-fast: ## the checks and tests that need no container engine
	@tools/test fast

clean: ## remove what was built here (the engines' cache stays: tests/e2e/setup clean)
	@cargo clean
