# Every target makes what it needs; the only prerequisites are Python 3.11 or later and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m experiments.run
SEEDS ?= 0 1 2 3 4
# Real data is not part of the repository; what needs it is left out where it is absent.
SHARED ?= ../shared/data
# Two torch processes on two cores are several times slower than one: tests use one thread each, studies two.
export TOKENIZERS_PARALLELISM = false
export HF_HUB_OFFLINE ?= 1

.PHONY: help quickstart test test-all test-tools test-browser test-engines check docs format study results bench clean

help:
	@echo "make quickstart   set up, then the whole loop on the simulated world (about 5 minutes after installation)"
	@echo "make test         set up, then the tests (make test-all adds the slow ones and new random examples)"
	@echo "make test-tools   our exports, read by Argilla, Label Studio, doccano and Thresh themselves (installs them)"
	@echo "make test-browser build and install the wheel, then its annotation app in a real Chromium"
	@echo "make test-engines TRL, verl and SkyRL in environments of their own, then their plug-ins against them"
	@echo "make check        lint, format and strict types"
	@echo "make docs         the documentation as a site, in build/docs"
	@echo "make results      every number in the docs again (about eight hours for five seeds; SEEDS=\"0 1\" for fewer)"
	@echo "make study        one study: NAME=detox SEEDS=\"0 1\" ARGS=\"--tiny\"; $(RUN) --list shows them"
	@echo "make bench        speed and memory of PPO steps, rewards and alignment against others, into docs/results/performance.md"

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,annotate,editors,judges,recipes,dev]'
	touch $@

quickstart: $(VENV)/.ready
	rm -rf runs/quickstart
	$(BIN)/spanwise quickstart --output runs/quickstart

test: $(VENV)/.ready
	$(BIN)/python -m pytest

test-all: $(VENV)/.ready
	SPANWISE_TEST_EXAMPLES=exploring $(BIN)/python -m pytest -m "not gpu and not network and not tools"

test-tools: $(VENV)/.ready
	$(BIN)/python -m pytest -m tools tests/exports

# Against the wheel as users install it: what the package forgets to carry is missing here. Its dependencies are those
# of the environment, which a .pth file makes visible behind the wheel.
INSTALLED := $(VENV)/installed

test-browser: $(VENV)/.ready
	rm -rf $(INSTALLED) $(VENV)/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(VENV)/wheel .
	$(BIN)/python -m venv --without-pip $(INSTALLED)
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" > "$$($(INSTALLED)/bin/python -c 'import site; print(site.getsitepackages()[0])')/behind.pth"
	$(BIN)/python -m pip --python $(INSTALLED)/bin/python install --quiet --disable-pip-version-check --no-deps $(VENV)/wheel/spanwise-*.whl
	SPANWISE_TEST_INSTALLED=1 $(INSTALLED)/bin/python -m pytest -m browser tests/annotate

# The engines pin each other out, so each has an environment of its own, which is kept. Where one cannot be installed,
# that is said and its tests are left out.
ENGINES := trl verl skyrl
ENGINE_trl := trl==1.16.0 -c constraints.txt
# Of their extras what CPUs can use: the rest compiles for GPUs.
ENGINE_verl := verl==0.9.1 TransferQueue==0.1.11 pyzmq msgspec fastapi uvicorn cachetools torch==2.13.0
ENGINE_skyrl := skyrl==0.3.0 skyrl-gym==0.4.0 ray==2.56.0 hydra-core==1.3.2 torch==2.13.0 loguru ninja tensorboard \
  func_timeout torchdata omegaconf tensordict polars fastapi uvicorn pybind11 aiohttp wandb

$(VENV)/engines/%/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)/engines/$*
	$(VENV)/engines/$*/bin/python -m pip install --quiet --disable-pip-version-check -e '.[train]' \
	  pytest beartype hypothesis $(ENGINE_$*)
	touch $@

test-engines:
	@for engine in $(ENGINES); do \
	  if $(MAKE) --no-print-directory $(VENV)/engines/$$engine/.ready; then \
	    $(VENV)/engines/$$engine/bin/python -W ignore -m pytest -W ignore tests/integrations/test_$$engine.py || exit 1; \
	  else echo "$$engine cannot be installed here: its tests are left out." >&2; fi; done

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Warnings are errors: links that lead nowhere among them. No page loads scripts, styles or fonts from elsewhere.
$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -b html -E -W --keep-going -q -j 2 docs build/docs
	@! grep -rlE '<(script|link|img)[^>]*(src|href)="(https?:)?//' build/docs --include='*.html'

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

study: $(VENV)/.ready
	$(RUN) $(NAME) $(if $(filter file,$(origin SEEDS)),,--seeds $(SEEDS)) $(ARGS)

results: $(VENV)/.ready
	$(RUN) sim_arms --seeds $(SEEDS) --docs docs/results/sim_arms.md --readme README.md
	$(RUN) edits --seeds $(SEEDS) --output runs/edit_arms --docs docs/results/edits.md
	@if [ -d $(SHARED)/qa_feedback ]; then \
	  $(RUN) qa_feedback --data $(SHARED)/qa_feedback --output runs/qa_feedback/heads && \
	  $(BIN)/python benchmarks/segmentation_agreement.py && \
	  $(BIN)/python benchmarks/reward_text_path.py && \
	  $(BIN)/python benchmarks/reward_text_share.py && \
	  $(BIN)/python benchmarks/edit_alignment.py && \
	  $(RUN) corrections --data $(SHARED)/qa_feedback --docs docs/results/corrections.md; \
	else echo "$(SHARED)/qa_feedback is absent: the numbers on real marks were not made again."; fi
	@if [ -d $(SHARED)/mlqe_pe ]; then \
	  $(RUN) post_edits --data $(SHARED)/mlqe_pe --output runs/mlqe_pe/study --docs docs/results/post_edits.md; \
	else echo "$(SHARED)/mlqe_pe is absent: the numbers on post-edits were not made again."; fi
	@if [ -d $(SHARED)/toxic_spans ]; then \
	  $(RUN) detox --seeds $(SEEDS) --data $(SHARED) --docs docs/results/detox.md; \
	else echo "$(SHARED)/toxic_spans is absent: the numbers on detoxification were not made again."; fi
	$(RUN) customisation --seeds $(SEEDS) --docs docs/results/customisation.md

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/reward_text_path.py
	$(BIN)/python benchmarks/reward_text_share.py
	$(BIN)/python benchmarks/segmentation_agreement.py
	$(BIN)/python benchmarks/edit_alignment.py
	for dtype in bf16 fp32; do \
	  $(BIN)/python benchmarks/ppo_step.py --dtype $$dtype --lengths full --peer trl --record ppo_step_$${dtype}_full && \
	  $(BIN)/python benchmarks/ppo_step.py --dtype $$dtype --lengths natural --micro-batch-tokens 2048 --peer trl --record ppo_step_$${dtype}_natural && \
	  $(BIN)/python benchmarks/ppo_phases.py --dtype $$dtype --record ppo_phases_$$dtype || exit 1; done
	$(BIN)/python benchmarks/ppo_step.py --dtype bf16 --lengths full --micro-batch-tokens 1024 --steps 2 --record ppo_step_bf16_full_tokens_1024
	$(BIN)/python benchmarks/ppo_phases.py --dtype bf16 --compile --record ppo_phases_bf16_compiled
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/study_step.py --record study_step
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/study_step.py --episodes 3072 --record study_curve
	$(BIN)/python benchmarks/ppo_growth.py --record ppo_growth
	$(BIN)/python benchmarks/ppo_memory.py --record ppo_memory
	$(BIN)/python benchmarks/reward_path.py --record reward_path
	$(BIN)/python benchmarks/performance_page.py

clean:
	rm -rf $(VENV) runs build .pytest_cache .ruff_cache
