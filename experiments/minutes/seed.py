"""One seed of the study of minutes: what each kind of feedback brings for the same minutes of an annotator.

Marks, preferences, edits, or marks and preferences for half of the minutes each: every kind gets its own reward model
and its own PPO run from the packaged SFT policy. What is done leaves a file and is not done again. What several seeds
say together is in `study.py`.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from experiments.edits.arms import ARMS, LABELLED, make_pipeline
from experiments.lib.outcomes import StoredTable
from spanwise.core import Config, RunFolder, derive_seed, numpy_generator, write_json
from spanwise.feedback import EditPair, FeedbackRecord, Sample, scores_of
from spanwise.models import Policy
from spanwise.quickstart import (
    FINE_GRAINED,
    PREFERENCE,
    SFT,
    STUDY,
    SimStudyConfig,
    answer_items,
    collect_feedback,
    score_answers,
    train_arm,
    train_rewards,
)
from spanwise.reward_models import FittingConfig, TokenLossConfig, TokenRewardConfig
from spanwise.reward_models.fitting import TokenData, train_token_model
from spanwise.reward_models.network import load_backbone, load_reward_model
from spanwise.rewards import LearnedRewards, MixtureConfig, RewardPipeline, total_deviation
from spanwise.rl.runtime import NoProgress
from spanwise.sim import OracleSource, base_checkpoint, edit_answer, make_items, policy_checkpoint

Feedback = Literal["marks", "preferences", "edits", "mixed"]
TEST_SEED = 0
"""All training seeds are tested on the same prompts, so that intervals over both can be had."""
REFERENCE_ANSWERS = 256
"""Annotated answers that give the mean and deviation of each reward."""


class MinutesConfig(Config):
    """Budgets, kinds of feedback, and the world that they are compared in."""

    budgets: dict[Feedback, tuple[float, ...]] = Field(
        default_factory=lambda: {
            "marks": (900, 3600, 14400),
            "preferences": (900, 3600, 14400),
            "edits": (3600,),
            "mixed": (3600,),
        }
    )
    """Minutes of an annotator for each kind of feedback, one PPO run each. An edit takes as long as a marked answer;
    mixed = marks for one half of the minutes, preferences for the other."""
    world: SimStudyConfig = STUDY.model_copy(update={"arms": (SFT,)})
    """Times, noise, reward models, PPO and test prompts; its own budget and arms are not used."""
    token_fitting: FittingConfig = FittingConfig(
        method="linear", strengths=(0.01, 0.1, 1.0, 10.0), state_scales=(0.1, 0.3)
    )
    """Training of the token reward models, which learn from edits."""
    label_weight: float = Field(default=3.0, ge=0)
    """Weight of an edit's labels beside its pair of texts."""


class MinutesSeed:
    """The files of one seed."""

    def __init__(self, config: MinutesConfig, seed: int, root: Path, *, say: Callable[[str], None]) -> None:
        self.config = config
        self.seed = seed
        self.folder = root / f"seed-{seed}"
        self.say = say
        self._items = make_items(
            config.world.test_prompts, seed=TEST_SEED, split=config.world.judged_split, wording="held-out"
        )

    def parts(self) -> list[tuple[Feedback | None, float]]:
        """The SFT policy, and every kind of feedback at every budget."""
        return [(None, 0.0), *((kind, budget) for kind, budgets in self.config.budgets.items() for budget in budgets)]

    def run(self) -> None:
        """What is missing."""
        for kind, minutes in self.parts():
            if not self.outcome_file(kind, minutes).exists():
                policy = self.policy if kind is None else self._trained(kind, minutes)
                self._save(policy, self.outcome_file(kind, minutes))

    def outcome_file(self, kind: Feedback | None, minutes: float) -> Path:
        """Where the tables of a part lie."""
        return self.folder / "outcomes" / (f"{minutes:g}-{kind}.json" if kind else "sft.json")

    @cached_property
    def policy(self) -> Policy:
        """The SFT policy, which everyone starts from and whose answers are annotated."""
        return Policy.load(str(policy_checkpoint()))

    def _trained(self, kind: Feedback, minutes: float) -> Policy:
        self.say(f"{minutes:g} minutes of {kind}")
        return train_arm(
            self.config.world, self.seed, self.policy, self._pipeline(kind, minutes),
            folder=self.folder / "ppo" / f"{minutes:g}-{kind}", watch=nullcontext(NoProgress()),
        )  # fmt: skip

    def _pipeline(self, kind: Feedback, minutes: float) -> RewardPipeline:
        if kind == "edits":
            return self._of_edits(minutes)
        if kind == "marks":
            return self.of_heads(FINE_GRAINED, minutes)[0]
        if kind == "preferences":
            return self.of_heads(PREFERENCE, minutes)[0]
        (marks, answers), (preferences, _) = (self.of_heads(one, minutes / 2) for one in (FINE_GRAINED, PREFERENCE))
        return joined([marks, preferences], answers)

    def of_heads(self, kind: str, minutes: float) -> tuple[RewardPipeline, list[Sample]]:
        """The pipeline of a reward model of segments, and the answers that give its scale."""
        feedback = self.feedback_of(kind, minutes)
        answers = _answers(feedback)[:REFERENCE_ANSWERS]
        folder = RunFolder(self.folder / "reward_models" / f"{minutes:g}-{kind}")
        rewards = train_rewards(kind, feedback, self.config.world, reference=answers, seed=self.seed, folder=folder)
        return rewards.pipeline(kind), answers

    def feedback_of(self, kind: str, minutes: float) -> list[FeedbackRecord]:
        """What the minutes buy: marked answers, or prompts with all pairs of four answers compared."""
        world = self.config.world
        budget = world.annotation.model_copy(update={"minutes": minutes})
        items = make_items(budget.prompts(kind), seed=self.seed, split="feedback")
        return collect_feedback(
            self.policy, items, samples=budget.answers(kind), sampling=world.sampling, noise=world.noise, seed=self.seed
        )

    def _of_edits(self, minutes: float) -> RewardPipeline:
        feedback = self.feedback_of(FINE_GRAINED, minutes)
        folder = RunFolder(self.folder / "reward_models" / f"{minutes:g}-edits")
        settings = TokenRewardConfig(
            loss=TokenLossConfig(temperature=3.0, consistency=1.0, neutral=1.0),
            label_edits=True,
            label_weight=self.config.label_weight,
            fitting=self.config.token_fitting,
            seed=derive_seed(self.seed, "sim/reward/edits"),
            device="cpu",
        )
        backbone = load_backbone(str(base_checkpoint()), language_model=True)
        train_token_model(settings, TokenData(edits=self.edits(feedback)), backbone=backbone, folder=folder)
        (source,) = LearnedRewards(*load_reward_model(folder.checkpoint("best"))).sources()
        return make_pipeline(
            ARMS["token-labels"], {LABELLED: source}, OracleSource([]), _answers(feedback)[:REFERENCE_ANSWERS],
            aggregate="fixed", seed=self.seed,
        )  # fmt: skip

    def edits(self, feedback: Sequence[FeedbackRecord]) -> tuple[EditPair, ...]:
        """The edits of the answers in which the editor sees something to mend."""
        generator = numpy_generator(self.seed, "sim/minutes/edits")
        items = {item.record.id: item for item in make_items(len(feedback), seed=self.seed, split="feedback")}
        pairs: list[EditPair] = []
        for record in feedback:
            for place, response in enumerate(record.responses):
                edit = edit_answer(items[record.id], response.text, generator, self.config.world.noise)
                pairs += [] if edit is None else [edit.model_copy(update={"id": f"{record.id}-{place}"})]
        return tuple(pairs)

    def made_with(self) -> dict[str, Any]:
        """The settings that an outcome depends on; which parts there are beside it is none of them."""
        return self.config.model_dump(mode="json", exclude={"budgets"})

    def _save(self, policy: Policy, path: Path) -> None:
        sampling = self.config.world.sampling
        answers = answer_items(policy, None, self._items, sampling=sampling, seed=self.seed, greedy=True)
        tables = score_answers(self._items, answers, seed=self.seed)
        stored: dict[str, Any] = {
            "seed": self.seed,
            "config": self.made_with(),
            "tables": {metric: StoredTable.of(table).model_dump() for metric, table in tables.items()},
        }
        write_json(path, stored)


def joined(pipelines: Sequence[RewardPipeline], reference: Sequence[Sample]) -> RewardPipeline:
    """All sources of the pipelines, whose sum again has unit deviation over the answers of `reference`."""
    sources = [source for pipeline in pipelines for source in pipeline.sources]
    rules = {name: rule for pipeline in pipelines for name, rule in pipeline.mixture.config.sources.items()}
    scores = {source.name: scores_of(source, reference) for source in sources}
    deviation = total_deviation(MixtureConfig(sources=rules), scores)
    mixed = {name: rule.model_copy(update={"weight": rule.weight / deviation}) for name, rule in rules.items()}
    return RewardPipeline(sources, MixtureConfig(sources=mixed))


def _answers(feedback: Sequence[FeedbackRecord]) -> list[Sample]:
    return [Sample.of(record, response.text) for record in feedback for response in record.responses if response.text]
