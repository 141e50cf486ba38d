# What a developer and CI type. Every target does its own set-up: Python >= 3.11, make and a package registry are enough.
#   make test ARGS="-k journal"        passes arguments on
#   make chaos MINUTES=60 SEED=7       a long run of everything that can go wrong
#   make bench-follow MINUTES=4        ways to follow runs side by side; ARGS=--virtual-only without the real ones
#   make PYTHON=/path/to/python3 demo  chooses the Python of a new .venv

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo broker test check chart chaos fuzz bench bench-webhook bench-results bench-follow format lock schemas dashboards clean

ARGS =
MINUTES = 4
EXAMPLES = 200000
SEED =
REPORT =
PYTHON ?=
export PYTHON

RUN := .venv/bin/python -m
# What needs no broker and no time; `make test` does not run it a second time.
QUICK := $(wildcard tests/test_*.py) $(wildcard tests/chart) $(wildcard tests/schemas)

help: ## print these lines
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

demo: .venv/.installed ## show it: references in, results out, all run types, no broker needed
	@$(RUN) connector demo $(ARGS)

broker: .venv/.installed ## a real Apache Kafka on localhost:9092 for trying things out, until Ctrl-C
	@$(RUN) tests.kafka.broker $(ARGS)

test: check ## everything: make check, then all tests, some on a real Apache Kafka that they start
	$(RUN) pytest -n 2 --dist loadscope $(addprefix --ignore=,$(QUICK)) $(ARGS)

check: .venv/.installed ## lint, formatting, types, layers, chart: seconds
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) pytest -q $(QUICK)

chart: .venv/.installed ## render and judge the chart, and print what was rendered and validated: seconds
	$(RUN) pytest -q tests/chart $(ARGS)

chaos: .venv/.installed ## kill, freeze and cut off everything for MINUTES=4, by SEED=, on three real brokers; REPORT=file
	@$(RUN) tests.chaos --minutes $(MINUTES) $(addprefix --seed ,$(SEED)) $(addprefix --report ,$(REPORT)) $(ARGS)

fuzz: .venv/.installed ## throw EXAMPLES=200000 made-up webhooks and MINUTES=4 of spoilt ones at what reads them
	FUZZ_EXAMPLES=$(EXAMPLES) FUZZ_SECONDS=$$(($(MINUTES) * 60)) $(addprefix FUZZ_SEED=,$(SEED)) \
		$(RUN) pytest -q --timeout 0 --hypothesis-profile fuzz tests/core/signals/test_signature.py \
		tests/core/signals/test_webhook_event.py tests/core/signals/test_webhook_fuzz.py \
		-k "nothing_brings_it_down or whatever_was_signed or webhook_fuzz" $(ARGS)

bench: .venv/.installed ## print speed and memory of this machine
	$(RUN) pytest -m benchmark -s tests/benchmarks $(ARGS)

bench-webhook: .venv/.installed ## the same for webhooks alone: beside a bare handler, under a flood, and to the result
	$(RUN) pytest -m benchmark -s tests/benchmarks/test_webhook.py tests/benchmarks/test_doorbells.py $(ARGS)

bench-results: .venv/.installed ## the same for records: results and references in each of their forms, and with a schema registry
	$(RUN) pytest -m benchmark -s tests/benchmarks/test_results.py $(ARGS)

bench-follow: .venv/.installed ## compare ways to follow runs, for real by MINUTES=4 each; writes docs/performance.md
	@$(RUN) tests.benchmarks.follow --minutes $(MINUTES) $(addprefix --seed ,$(SEED)) $(ARGS)

format: .venv/.installed ## format the code and mend what can be mended
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

# ARGS=--upgrade moves every pin; without it only what does not fit pyproject.toml any more moves.
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links $(ARGS)

lock: ## solve the dependencies again and write requirements/*.txt
	@sh requirements/install.sh lock
	$(LOCK) pyproject.toml -o requirements/run.txt
	$(LOCK) pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt
	$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt
	$(LOCK) --group sbom -o requirements/sbom.txt
	$(LOCK) --group lock -o requirements/lock.txt

schemas: .venv/.installed ## write what is made from the settings again; keep a changed Avro schema as its next version
	@$(RUN) tests.schemas.add_version
	$(RUN) connector check --schema > docs/connector.schema.json.new
	mv docs/connector.schema.json.new docs/connector.schema.json
	$(RUN) connector check --reference > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(RUN) tests.chart.values_page

dashboards: .venv/.installed ## write the chart's dashboards again, from their source in helm/dashboards
	$(RUN) helm.dashboards

clean: ## remove everything that the other targets made
	rm -rf .venv .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: requirements/install.sh requirements/dev.txt requirements/build.txt pyproject.toml
	@sh requirements/install.sh
