"""Memory of a run's roles: copies of the policy beside adapters on one set of weights, the reward model's included.

    python benchmarks/ppo_memory.py [--dtype bf16|fp32] [--rank 16] [--hidden 1152] [--layers 8] [--record NAME]

Two figures for each way: what is held between steps (weights, gradients, optimiser moments of all roles), and the peak
of the process during the steps beyond what it held before its models were loaded. Policy and reward model are loaded
from checkpoints as `spanwise rl` loads them, in a process for each way; ways without a reward model get a reward that
costs nothing. The first way is one model alone: adapters of a policy, no values, no reward model; its peak is the base
weights and the activations of one model. The default model has 150 million weights, so that weights and not activations
decide.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ppo_shape import Shape, make_policy, make_tokenizer
from ppo_step import Ours, in_process, make_trainer, resident_gb
from recorded import record
from rich.console import Console
from rich.table import Table

from spanwise.core import LoraConfig
from spanwise.feedback import RewardSource, Sample, SegmentScore, SegmentScores
from spanwise.models import Adapters, Policy
from spanwise.reward_models import HeadSpec
from spanwise.reward_models.network import AdaptedRewardModel, build_reward_model, save_reward_model
from spanwise.rewards import load_sources
from spanwise.rl import AlgorithmName
from spanwise.text import Span

HEADS = (HeadSpec("relevance", "sub-sentence", "segment"), HeadSpec("preference", "sequence", "sequence"))


@dataclass(frozen=True)
class Way:
    """How the roles of a run are filled."""

    lora: bool = True
    value_backbone: str = "own"
    reward: str = "none"
    """none, own (loaded with its base model) or shared (on the policy's weights)."""
    algorithm: AlgorithmName = "ppo"


ONE = "one model: lora, no values, no reward model"
WAYS = {
    ONE: Way(algorithm="reinforce++"),
    "full": Way(lora=False),
    "full, values on the policy's states": Way(lora=False, value_backbone="policy"),
    "full, reward model with its own base": Way(lora=False, reward="own"),
    "lora": Way(),
    "lora, values on the policy's states": Way(value_backbone="policy"),
    "lora, reward model with its own base": Way(reward="own"),
    "lora, four roles on one base": Way(reward="shared"),
}


class FreeReward:
    """The length of the response."""

    name, category, density, version = "length", "length", "sequence", "1"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One score per response."""
        return [
            SegmentScores((SegmentScore(Span(0, len(one.response)), len(one.response) / 100),) if one.response else ())
            for one in samples
        ]


def prepare(shape: Shape, rank: int, folder: Path) -> None:
    """Checkpoints of a random policy and of a reward model that is an adapter on it."""
    policy = Policy(make_policy(shape), make_tokenizer(shape))
    policy.save(folder / "policy")
    fresh = build_reward_model(policy.model, HEADS, window=2048, generator=torch.Generator().manual_seed(0))
    reward = AdaptedRewardModel.on(
        fresh, str(folder / "policy"), LoraConfig(rank=rank), torch.Generator().manual_seed(1)
    )
    save_reward_model(folder / "reward", reward, policy.tokenizer)


def measure(shape: Shape, rank: int, way: Way, folder: Path) -> dict[str, float]:
    """One way in this process."""
    start = resident_gb()
    policy = Policy.load(folder / "policy", dtype=shape.torch_dtype())
    weights = sum(parameter.numel() for parameter in policy.model.parameters())
    sources = _sources(way, policy, folder)
    ours = Ours(value_backbone=way.value_backbone, lora_rank=rank if way.lora else 0)
    with tempfile.TemporaryDirectory() as run:
        trainer = make_trainer(shape, Path(run), ours, policy=policy, sources=sources, algorithm=way.algorithm)
        Path("/proc/self/clear_refs").write_text("5")  # the peak from here on, without that of loading
        for step in range(1, shape.steps + 1):
            trainer.step(step)
        return {
            "weights_gb": weights * torch.empty((), dtype=shape.torch_dtype()).element_size() / 1e9,
            "held_gb": held_gb(trainer),
            "peak_gb": peak_gb() - start,
        }


def _sources(way: Way, policy: Policy, folder: Path) -> list[RewardSource]:
    if way.reward == "none":
        return [FreeReward()]
    onto = None
    if way.reward == "shared":
        onto = Adapters(policy.model)
        policy.role = onto.role(None)
    return [*load_sources(folder / "reward", device="cpu", onto=onto)]


def held_gb(trainer: Any) -> float:
    """All different tensors of weights, gradients and optimisers."""
    models = [trainer.parts.policy.model, trainer.reference.model]
    models += [] if trainer.value_model is None else [trainer.value_model]
    models += [source.model for source in trainer.parts.pipeline.sources if hasattr(source, "model")]
    tensors = [parameter for model in models for parameter in model.parameters()]
    tensors += [parameter.grad for parameter in tensors if parameter.grad is not None]
    tensors += trainer.updater.tensors().values()
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values()) / 1e9


def peak_gb() -> float:
    """The most that this process held since its peak was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9


def results(shape: Shape, rank: int) -> dict[str, dict[str, float]]:
    """All ways, each in a process of its own, and what they take beside one model alone."""

    def side(job: str, way: Way, folder: str) -> dict[str, float]:
        return in_process([sys.executable, __file__, job, shape.to_json(), str(rank), json.dumps(asdict(way)), folder])

    with tempfile.TemporaryDirectory() as folder:
        side("--prepare", Way(), folder)
        rows = {name: side("--side", way, folder) for name, way in WAYS.items()}
    for row in rows.values():
        row["held_in_weights"] = row["held_gb"] / row["weights_gb"]
        row["peak_in_one_model"] = row["peak_gb"] / rows[ONE]["peak_gb"]
    return rows


def show(rows: dict[str, dict[str, float]]) -> None:
    table = Table(title="Memory of a run's roles")
    for name in ("way", "held GB", "in weights of one model", "peak of a step GB", "in peaks of one model"):
        table.add_column(name)
    for way, row in rows.items():
        table.add_row(
            way, f"{row['held_gb']:.3f}", f"{row['held_in_weights']:.2f}", f"{row['peak_gb']:.3f}",
            f"{row['peak_in_one_model']:.2f}",
        )  # fmt: skip
    Console().print(table)


def _one_side(job: str, shape: str, rank: str, way: str, folder: str) -> None:
    sizes = Shape(**json.loads(shape))
    if job == "--prepare":
        prepare(sizes, int(rank), Path(folder))
        print("{}")
    else:
        print(json.dumps(measure(sizes, int(rank), Way(**json.loads(way)), Path(folder))))


def main() -> None:
    if sys.argv[1:2] in (["--side"], ["--prepare"]):
        _one_side(*sys.argv[1:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="NAME")
    parser.add_argument("--rank", type=int, default=16)
    for name, default in (("responses", 8), ("tokens", 32), ("vocabulary", 32000), ("hidden", 1152), ("layers", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    shape = Shape(
        dtype=o.dtype, prompt_tokens=o.tokens, new_tokens=o.tokens, responses=o.responses, micro_batch=o.responses,
        epochs=1, steps=2, vocabulary=o.vocabulary, hidden=o.hidden, layers=o.layers,
    )  # fmt: skip
    rows = results(shape, o.rank)
    found = {"shape": json.loads(shape.to_json()), "rank": o.rank, "rows": rows}
    if o.record:
        record(o.record, " ".join(["python", "benchmarks/ppo_memory.py", *sys.argv[1:]]), found)
    print(json.dumps(found, indent=2)) if o.json else show(rows)


if __name__ == "__main__":
    main()
