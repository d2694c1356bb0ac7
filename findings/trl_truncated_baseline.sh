#!/usr/bin/env bash
# TRL 1.16.0: answers that mask_truncated_completions leaves out of the loss still move the advantages of the others.
#
# Guess before running: with GRPOConfig(mask_truncated_completions=True) "truncated completions are excluded from the
# loss calculation, preventing them from being incorrectly penalized and introducing noise during training". Three
# answers to one prompt end and earn 1 each, the fourth is cut off and earns 0. The three are equal, so there is nothing
# to learn: advantages 0, as for an answer whose reward function returned None, which TRL leaves out of the group.
#
# What happens: the mask of the fourth is emptied, and its reward stays in the group's mean and deviation. The other
# three get +0.5 each. The left-out answer does train, through the others; under None it does not.
#
# Why it matters: how many answers are cut off changes with the length limit, not with the task. Every prompt with one
# cut-off answer reinforces whatever the finished ones say, right or wrong, which is the noise that the setting is said
# to prevent. Our trainer and `DenseGRPOTrainer` leave such answers out of the statistics, too.
#
# Usage: PYTHON=path/to/python findings/trl_truncated_baseline.sh
# PYTHON has trl 1.16.0 and Spanwise (`make test-engines` leaves one in .venv/engines/trl); Spanwise gives a small model
# and nothing else. Succeeds as long as this is so.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHONPATH="src" HF_HUB_OFFLINE=1 "${PYTHON:-.venv/engines/trl/bin/python}" -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar
from trl import GRPOConfig, GRPOTrainer

from spanwise.sim import base_checkpoint

disable_progress_bar()
print("trl", version("trl"))
assert version("trl").startswith("1.16."), "another version: look again"
tokenizer = AutoTokenizer.from_pretrained(base_checkpoint())
words = tokenizer("a b c d", add_special_tokens=False)["input_ids"]
answers = [[*words, tokenizer.eos_token_id]] * 3 + [words]  # the last has no end


def rollout(prompts, trainer):
    return {"prompt_ids": [words] * len(prompts), "completion_ids": answers, "logprobs": None}


def advantages(cut_off):
    """Of the four answers, where the one that was cut off earns `cut_off`."""

    def reward(completion_ids, **_):
        return [1.0 if row[-1] == tokenizer.eos_token_id else cut_off for row in completion_ids]

    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(
            output_dir=folder, per_device_train_batch_size=4, num_generations=4, max_completion_length=8,
            mask_truncated_completions=True, use_cpu=True, bf16=False, report_to=[], disable_tqdm=True,
        )
        model = AutoModelForCausalLM.from_pretrained(base_checkpoint(), dtype=torch.float32)
        data = Dataset.from_list([{"prompt": "a"}] * 4)
        trainer = GRPOTrainer(model, [reward], args, train_dataset=data, processing_class=tokenizer, rollout_func=rollout)
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = 1
        batch = trainer._generate_and_score_completions([data[i] for i in range(4)])
    print(f"cut-off answer earns {cut_off}: tokens in the loss", batch["completion_mask"].sum(1).tolist(), end=", ")
    print("advantages", [round(x, 3) for x in batch["advantages"].tolist()])
    assert batch["completion_mask"][3].sum() == 0
    return batch["advantages"][:3]


assert advantages(0.0).gt(0.4).all(), "left-out answers no longer move the others"
assert advantages(None).abs().max() < 1e-6
print("So it is: an answer without a token in the loss teaches that the other three, all alike, are better than average.")
PYTHON
