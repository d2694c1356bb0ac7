"""What all arms of one seed in the simulated world share: reward model, and the scale of the rewards.

Made once by the steps of the study (`quickstart/study.py`) and kept in its folders, so that arms can be trained in any
order and a stopped experiment goes on. Knows nothing of which arms there are.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from spanwise.core import ConfigError, RunFolder, read_json, write_json
from spanwise.feedback import PromptRecord, RewardSource
from spanwise.models import Policy
from spanwise.quickstart import FINE_GRAINED, TEST_SEED, SeedStudy, SimStudyConfig, trainer_settings
from spanwise.reward_models.network import load_reward_model
from spanwise.rewards import LearnedRewards, MixtureConfig, RewardPipeline
from spanwise.rl import Trainer, TrainerConfig, TrainerParts
from spanwise.rl.algorithms import make_algorithm
from spanwise.rl.runtime import ProgressView
from spanwise.sim import SimItem, make_items, policy_checkpoint
from spanwise.sweeps.config import Say

Watch = Callable[[int], AbstractContextManager[ProgressView]]


@dataclass(frozen=True)
class TrainingPlan:
    """How one arm is trained where it differs from the study's PPO."""

    watch: Watch
    steps: int = 0
    """0 = as many as the study's."""
    start: Path | None = None
    """None = the SFT policy."""
    prompts: Sequence[PromptRecord] = ()
    heldout: Sequence[PromptRecord] = ()
    altered: Callable[[TrainerConfig, TrainerParts], TrainerParts] | None = None
    """What replaces parts of the run, its algorithm for one; None leaves them as they are."""


@dataclass(frozen=True)
class SimStart:
    """One seed's start. `mixture` has the weights of the config, on the scale that gives their sum unit deviation."""

    config: SimStudyConfig
    seed: int
    root: Path
    reference: Path
    rewards: LearnedRewards
    mixture: MixtureConfig

    def reweighted(self, weights: Mapping[str, float]) -> MixtureConfig:
        """The mixture with other weights by source; centre and scale stay, so that only the weights differ."""
        unit = self.unit
        sources = {
            name: rule.model_copy(update={"weight": weights[name] * unit}) if name in weights else rule
            for name, rule in self.mixture.sources.items()
        }
        return MixtureConfig(sources=sources)

    @property
    def unit(self) -> float:
        """What a weight of 1 in the config is in the mixture."""
        name = next(name for name in self.mixture.sources if self.config.weights[name] != 0)
        return self.mixture.sources[name].weight / self.config.weights[name]

    def train(
        self, folder: Path, sources: Sequence[RewardSource], mixture: MixtureConfig, *, plan: TrainingPlan
    ) -> Policy:
        """PPO from `plan.start`; goes on where the folder holds a part of it. The checkpoint with the best reward."""
        run = RunFolder(folder)
        if not run.checkpoint("last").exists():
            self._train(run, sources, mixture, plan)
        return Policy.load(run.checkpoint("best"))

    def with_config(self, config: SimStudyConfig) -> "SimStart":
        """The same start for PPO with other settings; what made the start must be the same in both."""
        return replace(self, config=config)

    def items(self, count: int, split: str) -> list[SimItem]:
        """Items of this seed's world."""
        return make_items(count, seed=self.seed, split=split)

    def test_items(self) -> list[SimItem]:
        """The items on which the oracle judges, the same for every seed."""
        return make_items(self.config.test_prompts, seed=TEST_SEED, split=self.config.judged_split, wording="held-out")

    def _train(
        self, run: RunFolder, sources: Sequence[RewardSource], mixture: MixtureConfig, plan: TrainingPlan
    ) -> None:
        steps = plan.steps or self.config.trainer.steps
        trainer = trainer_settings(self.config, self.seed).model_copy(update={"steps": steps})
        parts = TrainerParts(
            policy=Policy.load(plan.start or self.reference),
            pipeline=RewardPipeline(sources, mixture),
            prompts=plan.prompts or [item.record for item in self.items(self.config.rl_prompts, "rl")],
            heldout=plan.heldout or [item.record for item in self.items(self.config.heldout_prompts, "rl-heldout")],
            algorithm=make_algorithm(trainer),
        )
        if plan.altered is not None:
            parts = plan.altered(trainer, parts)
        mixture.save(run.path / "mixture.yaml")
        with plan.watch(trainer.steps) as progress:
            Trainer(trainer, parts, run, progress=progress).run(resume=True)


def make_start(config: SimStudyConfig, seed: int, root: Path, *, say: Say) -> SimStart:
    """The start of one seed under `root`, made or, where it is there, loaded; ConfigError for another config's."""
    note = root / "start" / f"seed-{seed}.json"
    if not note.exists():
        write_json(note, _Maker(config, seed, root, say=say).make().model_dump(mode="json"))
    stored = _Stored.model_validate(read_json(note))
    if stored.config != config.model_dump(mode="json"):
        raise ConfigError(f"{note}: made with another config than now asked for; choose another folder.")
    rewards = LearnedRewards(*load_reward_model(root / stored.reward_model))
    return SimStart(config, seed, root, policy_checkpoint(), rewards, stored.mixture)


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, object]
    reward_model: str
    mixture: MixtureConfig


class _Maker(SeedStudy):
    """The steps of the study before its arms."""

    def make(self) -> _Stored:
        """Trains the reward model, and takes the scale of the rewards."""
        reference = Policy.load(str(policy_checkpoint()))
        rewards = self._reward_model(FINE_GRAINED, self._feedback(FINE_GRAINED, reference))
        return _Stored(
            config=self.config.model_dump(mode="json"),
            reward_model=f"reward_models/{FINE_GRAINED}-seed-{self.seed}/checkpoints/best",
            mixture=rewards.pipeline(FINE_GRAINED).mixture.config,
        )
