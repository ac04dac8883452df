# make results     the whole workflow on the embedded sample
# make test        all tests but those on a Slurm cluster and in a browser, which .ci/run installs
# make lock        requirements.lock anew, from pyproject.toml
# make generated   what is made from other files: schema, conda environment, code.json, dvc.yaml, the Slurm rule lists
# The first two build .venv from requirements.lock when it is missing or older.
.DELETE_ON_ERROR:
PYTHON ?= python3
BIN := .venv/bin

results: .venv/installed
	$(BIN)/snakemake --cores all

# in two parts, since a process keeps the memory of its earlier tests, and whole runs need it for their jobs
PYTEST = $(BIN)/python -m pytest --numprocesses auto --dist worksteal
test: .venv/installed
	$(PYTEST) tests/unit tests/real
	$(PYTEST) tests/workflow

lock: .venv/installed
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--group dev pyproject.toml --output-file requirements.lock

generated: .venv/installed
	$(BIN)/python -m facemill.config.validation > schemas/config.schema.json
	$(BIN)/python envs/generate.py > envs/facemill.yaml
	$(BIN)/python -m facemill.workflow.generated

.venv/installed: requirements.lock
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip --quiet install uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

.PHONY: results test lock generated
