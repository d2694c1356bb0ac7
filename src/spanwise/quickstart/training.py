"""How the policies of the study are trained: further demonstrations, and PPO with whatever pays.

What the ceilings are paid stands here, too. Knows nothing of reward models or of how answers are judged.
"""

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from spanwise.core import RunFolder, derive_seed
from spanwise.feedback import PromptRecord
from spanwise.models import Policy
from spanwise.quickstart.answers import make_demonstrations
from spanwise.quickstart.config import CEILINGS, SimStudyConfig
from spanwise.rewards import MixtureConfig, RewardPipeline, SourceWeight
from spanwise.rl import Trainer, TrainerConfig, TrainerParts
from spanwise.rl.algorithms import PPO
from spanwise.rl.runtime import ProgressView
from spanwise.sim import OracleSource, make_items, policy_checkpoint
from spanwise.training import SFTConfig, train_sft


def train_more(config: SimStudyConfig, seed: int, folder: Path) -> Policy:
    """The SFT policy after further demonstrations of the same writer."""
    demonstrations = make_demonstrations(config.demonstrations, seed=seed, split="sft")
    heldout = make_demonstrations(config.heldout_demonstrations, seed=seed, split="sft-heldout")
    settings = sft_settings(config, seed)
    start = Policy.load(str(policy_checkpoint()))
    tuned = train_sft(start, demonstrations, heldout, config=settings, run=RunFolder(folder))
    return Policy.load(str(tuned.checkpoint))


def sft_settings(config: SimStudyConfig, seed: int) -> SFTConfig:
    """The settings of whoever learns from demonstrations of this seed."""
    return config.sft.model_copy(update={"seed": derive_seed(seed, "sim/sft")})


def trainer_settings(config: SimStudyConfig, seed: int) -> TrainerConfig:
    """The settings of PPO for this seed, which samples as the study does."""
    return config.trainer.model_copy(update={"seed": derive_seed(seed, "sim/rl"), "sampling": config.sampling})


def train_arm(
    config: SimStudyConfig,
    seed: int,
    reference: Policy,
    pipeline: RewardPipeline,
    *,
    folder: Path,
    watch: AbstractContextManager[ProgressView],
) -> Policy:
    """PPO from a copy of `reference`; the checkpoint with the best reward. A run that was stopped goes on."""
    trainer = trainer_settings(config, seed)
    parts = TrainerParts(
        policy=Policy(copy.deepcopy(reference.model), reference.tokenizer),
        pipeline=pipeline,
        prompts=_records(config.rl_prompts, seed, "rl"),
        heldout=_records(config.heldout_prompts, seed, "rl-heldout"),
        algorithm=PPO(trainer.ppo),
    )
    run = RunFolder(folder)
    with watch as view:
        Trainer(trainer, parts, run, progress=view).run(resume=True)
    return Policy.load(str(run.checkpoint("best")))


def _records(count: int, seed: int, split: str) -> Sequence[PromptRecord]:
    return [item.record for item in make_items(count, seed=seed, split=split)]


def oracle_pipeline(arm: str, config: SimStudyConfig, seed: int) -> RewardPipeline:
    """What a ceiling pays for answers to the prompts of PPO: the true score, clause by clause or at the end."""
    sizes = {"rl": config.rl_prompts, "rl-heldout": config.heldout_prompts}
    items = [item for split, size in sizes.items() for item in make_items(size, seed=seed, split=split)]
    sources = [OracleSource(items, pays) for pays in CEILINGS[arm]]
    return RewardPipeline(sources, MixtureConfig(sources={source.name: SourceWeight() for source in sources}))
