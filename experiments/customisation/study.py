"""Customisation in the simulated world: one dial, the weight of relevance, turned in four ways at equal compute.

- sweep: one PPO run per weight, as Wu et al. do (short, medium and long answers by the weight of relevance);
- conditioned: one policy that reads the weight in its prompt, trained with sampled weights for as many steps as the
  whole sweep; its SFT start has read the same demonstrations with weights in their prompts;
- soups: averages of the weights of two policies, one per end of the dial, each trained for half of the sweep's steps;
- sweep soups: the same averages of the sweep's own two ends, at no training of their own.

One seed of it; what several seeds say is in `sim_custom_results.py`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from experiments.customisation.conditioned import RecordT, conditioned, with_weights
from experiments.customisation.soup import average_policies
from spanwise.core import Config, RunFolder, derive_seed, numpy_generator
from spanwise.evals.runs import SCORES_FILE, RunScores
from spanwise.feedback import PromptRecord
from spanwise.models import Policy
from spanwise.quickstart import SimStudyConfig, make_demonstrations
from spanwise.quickstart.config import FINE_GRAINED
from spanwise.rl import prompts_of_step
from spanwise.sim import SimItem, base_checkpoint
from spanwise.sweeps import SimStart, TrainingPlan, Watch, make_start, oracle_scores
from spanwise.sweeps.sim_start import Say
from spanwise.training import train_sft

SOURCE = "relevance"
"""The reward whose weight is turned, as in the paper."""
SWEEP, CONDITIONED, SOUP, SWEEP_SOUP = "sweep", "conditioned", "soup", "sweep-soup"


class CustomConfig(Config):
    """Sizes and settings of the customisation experiment."""

    study: SimStudyConfig = SimStudyConfig(arms=(FINE_GRAINED,), test_prompts=300)
    """The world, the feedback, the reward models and one PPO run of the sweep."""
    weights: tuple[float, ...] = Field(default=(0.5, 1.0, 1.5, 2.25, 3.0), min_length=2)
    """Weights of relevance, rising; the study's own is 1.5."""
    example_prompts: int = Field(default=6, ge=0)
    """Test prompts whose answers the page shows."""

    RENAMED: ClassVar[Mapping[str, str]] = {"examples": "example_prompts"}

    @model_validator(mode="after")
    def _rising(self) -> "CustomConfig":
        if list(self.weights) != sorted(set(self.weights)):
            raise ValueError("weights: give each once, from the lowest to the highest")
        if len(self.weights) * self.study.trainer.steps % 2:
            raise ValueError("weights and study.trainer.steps: one of the two numbers must be even, for two soup ends")
        return self

    def shares(self) -> tuple[float, ...]:
        """Shares of the upper end in the soups, as many as there are weights."""
        last = len(self.weights) - 1
        return tuple(place / last for place in range(last + 1))

    def total_steps(self) -> int:
        """PPO steps of the whole sweep, which the other kinds of policies take as well."""
        return len(self.weights) * self.study.trainer.steps

    def arms(self) -> dict[str, tuple[str, ...]]:
        """The names of the settings by kind, in the order of the dial; the sweep's soups end in arms of the sweep."""
        by_weight = {kind: tuple(f"{kind}-{weight:g}" for weight in self.weights) for kind in (SWEEP, CONDITIONED)}
        soups = {kind: tuple(f"{kind}-{share:g}" for share in self.shares()) for kind in (SOUP, SWEEP_SOUP)}
        low, high = by_weight[SWEEP][0], by_weight[SWEEP][-1]
        return {**by_weight, SOUP: soups[SOUP], SWEEP_SOUP: (low, *soups[SWEEP_SOUP][1:-1], high)}


class CustomSeed:
    """Trains and measures all settings of one seed; what is measured already is left as it is."""

    def __init__(self, config: CustomConfig, seed: int, root: Path, *, say: Say, watch: Watch) -> None:
        self.config = config
        self.seed = seed
        self.root = root
        self.say = say
        self.watch = watch

    def run(self) -> None:
        """Every setting of every kind, the sweep first."""
        arms = self.config.arms()
        for weight, arm in zip(self.config.weights, arms[SWEEP], strict=True):
            self._measured(arm, lambda a=arm, w=weight: self._scores(self._trained(a, w)))
        for weight, arm in zip(self.config.weights, arms[CONDITIONED], strict=True):
            self._measured(arm, lambda w=weight: self._conditioned_scores(w))
        for kind, ends in ((SOUP, self._soup_ends), (SWEEP_SOUP, self._sweep_ends)):
            for share, arm in zip(self.config.shares(), arms[kind], strict=True):
                self._measured(arm, lambda s=share, e=ends: self._scores(average_policies(e(), (1 - s, s))))

    @cached_property
    def start(self) -> SimStart:
        """What all settings of this seed share."""
        return make_start(self.config.study, self.seed, self.root, say=self.say)

    @cached_property
    def conditioned_start(self) -> Path:
        """An SFT policy that has read weights in its prompts, which then said nothing of the answer."""
        run = RunFolder(self._folder("conditioned-sft"))
        checkpoint = run.checkpoint("best")
        if (run.path / "done").exists():
            return checkpoint
        self.say("fine-tuning on demonstrations with weights in their prompts")
        study = self.config.study
        demonstrations = self._weighted(make_demonstrations(study.demonstrations, seed=self.seed, split="sft"))
        heldout = make_demonstrations(study.heldout_demonstrations, seed=self.seed, split="sft-heldout")
        settings = study.sft.model_copy(update={"seed": derive_seed(self.seed, "sim/sft")})
        train_sft(
            Policy.load(str(base_checkpoint())), demonstrations, self._weighted(heldout), config=settings, run=run
        )
        (run.path / "done").touch()
        return checkpoint

    @cached_property
    def conditioned_policy(self) -> Policy:
        """One policy for all weights, trained for as many steps as the sweep in all."""
        self.say(f"one policy for all weights, {self.config.total_steps()} steps")
        study, steps = self.config.study, self.config.total_steps()
        prompts = [item.record for item in self.start.items(study.rl_prompts, "rl")]
        count = max(len(prompts), steps * study.trainer.rollout.prompts_per_step)
        plan = TrainingPlan(
            watch=self.watch,
            steps=steps,
            start=self.conditioned_start,
            prompts=self._weighted(prompts_of_step(prompts, step=0, count=count, seed=self.seed)),
            heldout=self._weighted([item.record for item in self.start.items(study.heldout_prompts, "rl-heldout")]),
        )
        sources, mixture = conditioned(
            self.start.rewards.sources(), self.start.mixture, (SOURCE,), unit=self.start.unit
        )
        return self.start.train(self._folder("conditioned-policy"), sources, mixture, plan=plan)

    def _trained(self, arm: str, weight: float, *, steps: int = 0) -> Policy:
        mixture = self.start.reweighted({SOURCE: weight})
        plan = TrainingPlan(watch=self.watch, steps=steps)
        return self.start.train(self._folder(arm), self.start.rewards.sources(), mixture, plan=plan)

    def _soup_ends(self) -> list[Policy]:
        steps = self.config.total_steps() // 2
        ends = (self.config.weights[0], self.config.weights[-1])
        return [self._trained(f"soup-end-{weight:g}", weight, steps=steps) for weight in ends]

    def _sweep_ends(self) -> list[Policy]:
        arms, weights = self.config.arms()[SWEEP], self.config.weights
        return [self._trained(arms[place], weights[place]) for place in (0, -1)]

    def _scores(self, policy: Policy) -> RunScores:
        return oracle_scores(policy, Policy.load(self.start.reference), self.start, shown=self.config.example_prompts)

    def _conditioned_scores(self, weight: float) -> RunScores:
        asked = [_asked(item, weight) for item in self.start.test_items()]
        reference = Policy.load(self.conditioned_start)
        shown = self.config.example_prompts
        return oracle_scores(self.conditioned_policy, reference, self.start, shown=shown, asked=asked)

    def _weighted(self, records: Sequence[RecordT]) -> list[RecordT]:
        """Each record with a weight of the dial, drawn at random."""
        generator = numpy_generator(self.seed, "custom/weights")
        weights = generator.choice(self.config.weights, size=len(records)).tolist()
        return [with_weights(record, {SOURCE: weight}) for record, weight in zip(records, weights, strict=True)]

    def _measured(self, arm: str, scores: Callable[[], RunScores]) -> None:
        folder = self._folder(arm)
        if (folder / SCORES_FILE).exists():
            return
        self.say(arm)
        begin = time.perf_counter()
        found = scores()
        found.model_copy(update={"seconds": round(time.perf_counter() - begin, 1)}).save(folder)

    def _folder(self, arm: str) -> Path:
        return self.root / arm / f"seed-{self.seed}"


def _asked(item: SimItem, weight: float) -> SimItem:
    record: PromptRecord = with_weights(item.record, {SOURCE: weight})
    return replace(item, record=record)
