# Everything here sets itself up: system packages (as root, by apt-get), then a virtual environment in .venv.
# Nothing here touches this machine's own ruleset: what needs a kernel runs in scratch network namespaces.

PYTHON ?= python3
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup lint test demo bench soak clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: ## install what is missing: system packages as root, .venv and promtool
	@tools/install-system-packages
	@tools/make-environment
	@tools/unpack-promtool

lint: setup ## ruff and mypy --strict
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

test: lint ## lint, then every test but the long ones
	tools/scratch-namespace .venv/bin/pytest -n 3

demo: setup ## the main job, between two hosts in network namespaces
	@tools/scratch-namespace examples/demo

bench: setup ## what a packet, a compile, a plan and a start cost, with ratios; JSON in build/
	PYTHONPATH=tests tools/scratch-namespace .venv/bin/python -m benchmarks

soak: setup ## the laws with a million packets and more
	tools/scratch-namespace .venv/bin/pytest -n 2 --soak

clean: ## remove the virtual environment, caches and built files
	rm -rf .venv build dist policy/*.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find policy tests -name __pycache__ -type d -prune -exec rm -rf {} +
