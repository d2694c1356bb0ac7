"""What the text side of the reward path (segmenting, aligning, projecting) takes of a PPO step.

    python benchmarks/reward_text_share.py [--steps N] [--json]

Runs PPO in the simulated world with its base model as the policy and a reward model of three heads fitted on a few
annotated answers, and adds up the seconds spent in the functions that align sampled ids, cut responses into
segments and place scores on tokens. With a policy of a million parameters a step is about as short as it can
be: with any larger one the share is smaller.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from spanwise.core import RunFolder
from spanwise.models import Policy, Sampling
from spanwise.quickstart import collect_feedback
from spanwise.reward_models import FittingConfig, RewardModelConfig
from spanwise.reward_models.data import inputs
from spanwise.reward_models.fitting import train_reward_model
from spanwise.reward_models.network import load_backbone
from spanwise.rewards import LearnedRewards, MixtureConfig, SourceWeight, pipeline
from spanwise.rl import EvaluationConfig, RolloutConfig, Trainer, TrainerConfig, TrainerParts, UpdateConfig
from spanwise.rl.algorithms import PPO
from spanwise.rl.runtime import NoProgress
from spanwise.sim import NoiseConfig, base_checkpoint, make_items
from spanwise.text import TokenAligner

HEADS = ("relevance", "factuality", "completeness")
SAMPLING = Sampling(temperature=1.0, max_new_tokens=80)


class Stopwatch:
    """Adds up the seconds that functions take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time added under `name`."""

        def run(*args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            result = function(*args, **options)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
            return result

        return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="PPO steps")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = measure(options.steps)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        parts = ", ".join(f"{name} {1e3 * value:.1f}" for name, value in found["seconds"].items())
        print(f"A step of 64 answers takes {found['step_s']:.2f} s; of it, in milliseconds: {parts}.")
        print(f"The text side takes {found['share']:.2%} of it ({torch.get_num_threads()} threads).")


def measure(steps: int) -> dict[str, Any]:
    """Seconds per step, seconds per step of each part, and the share of all parts."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(steps, Path(folder))
        cut = inputs.get_segmenter
        with (
            patch.object(TokenAligner, "align", watch.timed("align", TokenAligner.align)),
            patch.object(inputs, "get_segmenter", lambda name: watch.timed("segment", cut(name))),
            patch.object(pipeline, "place", watch.timed("project", pipeline.place)),
        ):
            trainer.run()
        rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    total = sum(row.get("time/step_s", 0.0) + row.get("time/evaluation_s", 0.0) for row in rows)
    return {
        "step_s": total / steps,
        "seconds": {name: value / steps for name, value in watch.seconds.items()},
        "share": sum(watch.seconds.values()) / total,
    }


def make_trainer(steps: int, folder: Path) -> Trainer:
    """PPO on the simulated world, 16 prompts of 4 answers a step."""
    policy = Policy.load(str(base_checkpoint()))
    items = make_items(40, seed=0, split="feedback")
    feedback = collect_feedback(policy, items, samples=4, sampling=SAMPLING, noise=NoiseConfig(), seed=0)
    fitting = FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,))
    config = RewardModelConfig(heads=HEADS, fitting=fitting, likelihoods=True, device="cpu")
    found = train_reward_model(config, feedback, backbone=load_backbone(str(base_checkpoint())))
    sources = LearnedRewards(found.model, found.tokenizer).sources()
    trainer = TrainerConfig(
        steps=steps,
        sampling=SAMPLING,
        rollout=RolloutConfig(prompts_per_step=16, samples_per_prompt=4),
        update=UpdateConfig(epochs=2, minibatch_size=32, micro_batch_size=32),
        evaluation=EvaluationConfig(every=steps),
    )
    parts = TrainerParts(
        policy=policy,
        pipeline=pipeline.RewardPipeline(sources, MixtureConfig(sources=dict.fromkeys(HEADS, SourceWeight()))),
        prompts=[item.record for item in make_items(200, seed=0, split="rl")],
        heldout=[item.record for item in make_items(4, seed=0, split="rl-heldout")],
        algorithm=PPO(trainer.ppo, trainer.compat),
    )
    return Trainer(trainer, parts, RunFolder(folder), progress=NoProgress())


if __name__ == "__main__":
    main()
