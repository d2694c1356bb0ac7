# Every target makes what it needs; the only prerequisites are Python 3.11 or later and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SEEDS ?= 0 1 2 3 4
# Real data is not part of the repository; what needs it is left out where it is absent.
SHARED ?= ../shared/data
# Two torch processes on two cores are several times slower than one: tests use one thread each, studies two.
export TOKENIZERS_PARALLELISM = false
export HF_HUB_OFFLINE ?= 1

.PHONY: help quickstart test test-all test-browser check format results bench clean

help:
	@echo "make quickstart   set up, then the whole loop on the simulated world (about 5 minutes after installation)"
	@echo "make test         set up, then the tests (make test-all adds the slow ones)"
	@echo "make test-browser set up, then the annotation app in a real Chromium"
	@echo "make check        lint, format and strict types"
	@echo "make results      every number in the docs again (about an hour for five seeds; SEEDS=\"0 1\" for fewer)"
	@echo "make bench        speed of the text side of rewards and of edit alignment, against the ways of others"

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,annotate,editors,judges,recipes,dev]'
	touch $@

quickstart: $(VENV)/.ready
	rm -rf runs/quickstart
	$(BIN)/spanwise quickstart --out runs/quickstart

test: $(VENV)/.ready
	$(BIN)/python -m pytest

test-all: $(VENV)/.ready
	$(BIN)/python -m pytest -m "not gpu and not network"

test-browser: $(VENV)/.ready
	$(BIN)/python -m pytest -m browser

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

results: $(VENV)/.ready
	$(BIN)/python experiments/sim_arms.py --seeds $(SEEDS) --out runs/sim_arms --docs docs/results.md --readme README.md
	@if [ -d $(SHARED)/qa_feedback ]; then \
	  $(BIN)/python experiments/qa_feedback_reward_models.py --data $(SHARED)/qa_feedback --out runs/qa_feedback/heads && \
	  $(BIN)/python benchmarks/segmentation_agreement.py && \
	  $(BIN)/python benchmarks/reward_text_path.py && \
	  $(BIN)/python benchmarks/reward_text_share.py && \
	  $(BIN)/python benchmarks/edit_alignment.py && \
	  $(BIN)/python experiments/edits/corrections.py --data $(SHARED)/qa_feedback --out runs/corrections --docs docs/corrections.md; \
	else echo "$(SHARED)/qa_feedback is absent: the numbers on real marks were not made again."; fi
	@if [ -d $(SHARED)/mlqe_pe ]; then \
	  $(BIN)/python experiments/edits/post_edits.py --data $(SHARED)/mlqe_pe --out runs/mlqe_pe/study --docs docs/post_edits.md; \
	else echo "$(SHARED)/mlqe_pe is absent: the numbers on post-edits were not made again."; fi

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/reward_text_path.py
	$(BIN)/python benchmarks/reward_text_share.py
	$(BIN)/python benchmarks/segmentation_agreement.py
	$(BIN)/python benchmarks/edit_alignment.py

clean:
	rm -rf $(VENV) runs .pytest_cache .ruff_cache
