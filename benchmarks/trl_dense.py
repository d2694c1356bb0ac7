"""Dense GRPO beside the same run with summed rewards, both in TRL, on the simulated world.

    python benchmarks/trl_dense.py [--seeds 0 1 2 3 4] [--steps 30] [--record NAME]

In TRL's environment (`make test-engines` makes it). Both arms start from the packaged SFT policy, sample with the same
seeds, 8 answers to each of 12 prompts for every three steps, and earn what the oracle pays; one trains on advantages
per token (`DenseGRPOTrainer`), the other on one number an answer (`GRPOTrainer` with `SummedRewards`). Judged by the
oracle's true score of greedy answers to held-out questions.
"""

import argparse
import json
import statistics
import sys
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from recorded import record
from rich.console import Console
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, GRPOTrainer

from spanwise.integrations.trl import DenseGRPOTrainer, SummedRewards, training_rows
from spanwise.models import Policy
from spanwise.rewards import MixtureConfig, RewardPipeline, SourceWeight
from spanwise.rl import RolloutMaker
from spanwise.sim.model import policy_checkpoint
from spanwise.sim.rewards import OracleSource
from spanwise.sim.world import SimItem, make_items

LONGEST = 96


def pipeline(items: Sequence[SimItem]) -> RewardPipeline:
    source = OracleSource(items)
    return RewardPipeline([source], MixtureConfig(sources={source.name: SourceWeight()}))


def true_score(model: Any, tokenizer: Any, heldout: Sequence[SimItem]) -> float:
    """Mean of the oracle's score of greedy answers."""
    maker = RolloutMaker(Policy(model, tokenizer), pipeline(heldout), max_prompt_tokens=320)
    rollout = maker.greedy([item.record for item in heldout], max_new_tokens=LONGEST)
    return float(rollout.scores.total.sum(1).mean())


def run(arm: str, seed: int, steps: int, prompts: Sequence[SimItem], heldout: Sequence[SimItem]) -> float:
    tokenizer = Policy.load(policy_checkpoint()).tokenizer
    model = AutoModelForCausalLM.from_pretrained(policy_checkpoint(), dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(
            output_dir=folder, per_device_train_batch_size=32, num_generations=8, steps_per_generation=3,
            max_steps=steps, max_completion_length=LONGEST, learning_rate=3e-4, lr_scheduler_type="constant",
            loss_type="bnpo", report_to=[], save_strategy="no", use_cpu=True, bf16=False, seed=seed, temperature=1.0,
            top_k=0, disable_tqdm=True, logging_strategy="no", gradient_checkpointing=False,
        )  # fmt: skip
        common = {
            "args": args,
            "processing_class": tokenizer,
            "train_dataset": training_rows(i.record for i in prompts),
        }
        if arm == "dense":
            trainer = DenseGRPOTrainer(model, pipeline(prompts), **common)
        else:
            trainer = GRPOTrainer(model, [SummedRewards(pipeline(prompts), tokenizer)], **common)
        trainer.train()
    return true_score(model.eval(), tokenizer, heldout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--record", metavar="NAME")
    o = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    prompts, heldout = make_items(256, seed=0, split="rl"), make_items(64, seed=0, split="test")
    policy = Policy.load(policy_checkpoint())
    found: dict[str, Any] = {"start": true_score(policy.model, policy.tokenizer, heldout), "seeds": o.seeds}
    for seed in o.seeds:
        for arm in ("dense", "summed"):
            found.setdefault(arm, []).append(run(arm, seed, o.steps, prompts, heldout))
            Console(stderr=True).print(f"seed {seed} {arm}: {found[arm][-1]:.3f} (start {found['start']:.3f})")
    differences = [dense - summed for dense, summed in zip(found["dense"], found["summed"], strict=True)]
    found["difference"] = statistics.fmean(differences)
    if len(differences) > 1:
        found["standard_error"] = statistics.stdev(differences) / len(differences) ** 0.5
    if o.record:
        record(o.record, " ".join(["python", "benchmarks/trl_dense.py", *sys.argv[1:]]), found)
    Console().print_json(json.dumps(found))


if __name__ == "__main__":
    main()
