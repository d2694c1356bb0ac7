"""One seed of the study of baselines: every way to learn from the same minutes without rewards in a loop.

Edits teach by fine-tuning, DPO, DPOP and FIGA, and guide the SFT policy while it answers; preferences make a reward
model, which chooses the best of n, ranks answers for RRHF and picks those that expert iteration learns. All start from
the packaged SFT policy, and all are judged on sampled answers. What several seeds say together is in `study.py`.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

from experiments.lib.outcomes import StoredTable
from experiments.minutes.seed import TEST_SEED, MinutesConfig, MinutesSeed
from spanwise.core import Config, RunFolder, derive_seed, torch_generator, write_json
from spanwise.evals.rivals import AnswerReward, aligned_responses, best_places
from spanwise.feedback import DemonstrationRecord, EditPair, Sample
from spanwise.models import Policy
from spanwise.quickstart import (
    FINE_GRAINED,
    PREFERENCE,
    STUDY,
    Answers,
    SimStudyConfig,
    answer_items,
    sample_texts,
    score_answers,
)
from spanwise.rewards import RewardPipeline
from spanwise.sim import make_items, policy_checkpoint
from spanwise.training import (
    DPOConfig,
    DPOLossConfig,
    RankedAnswers,
    RankingConfig,
    SFTConfig,
    train_dpo,
    train_ranking,
    train_sft,
)

SFT, BEST_OF, ALIGNED = "sft", "best-of", "aligned"
LABELS = {
    SFT: "SFT",
    BEST_OF: "best of n by the reward model",
    "expert-iteration": "expert iteration, one round",
    "rrhf": "RRHF",
    "edits": "fine-tuning on edits",
    "dpo": "DPO on edits",
    "dpop": "DPOP on edits",
    "figa": "FIGA on edits",
    ALIGNED: "SFT, aligned to DPOP while answering",
}
"""The arms in the order of the table."""
FIGA = DPOLossConfig(preference=0, likelihood=1, unchanged_weight=0, unlikelihood=0.5, confident=0.55)


class BaselinesConfig(Config):
    """Sizes and settings of the study."""

    world: SimStudyConfig = STUDY.model_copy(update={"arms": (SFT,)})
    """Minutes of annotation, noise, reward model and test prompts; its arms and PPO are not used."""
    ranked_prompts: int = Field(default=400, ge=4)
    """Prompts whose answers the reward model ranks, for RRHF and expert iteration."""
    ranked_answers: int = Field(default=8, ge=2)
    """Answers to each of them."""
    sft: SFTConfig = SFTConfig(epochs=2, learning_rate=2e-4)
    """Fine-tuning on edits and on the best answers."""
    dpo: DPOConfig = DPOConfig(epochs=2, learning_rate=1e-4)
    """DPO, DPOP and FIGA, which differ in their loss alone."""
    ranking: RankingConfig = RankingConfig(epochs=1, learning_rate=1e-4)
    """RRHF."""
    strength: float = Field(default=1.5, ge=0)
    """How far answers are moved towards the guide: 1 is the guide itself."""


class BaselinesSeed:
    """The files of one seed; what is done leaves a file and is not done again."""

    def __init__(self, config: BaselinesConfig, seed: int, root: Path, *, say: Callable[[str], None]) -> None:
        self.config, self.seed, self.say = config, seed, say
        self.folder = root / f"seed-{seed}"
        world = config.world
        self._items = make_items(world.test_prompts, seed=TEST_SEED, split=world.judged_split, wording="held-out")
        self._feedback = MinutesSeed(MinutesConfig(world=world), seed, root, say=say)

    def run(self) -> None:
        """What is missing."""
        for arm, label in LABELS.items():
            if not self.outcome_file(arm).exists():
                self.say(label)
                self._save(arm, self._answers(arm))

    def outcome_file(self, arm: str) -> Path:
        """Where the tables of an arm lie."""
        return self.folder / "outcomes" / f"{arm}.json"

    def made_with(self) -> dict[str, Any]:
        """The settings that an outcome depends on."""
        return self.config.model_dump(mode="json")

    @cached_property
    def policy(self) -> Policy:
        """The SFT policy."""
        return Policy.load(str(policy_checkpoint()))

    @cached_property
    def pairs(self) -> list[EditPair]:
        """What the minutes buy in edits."""
        feedback = self._feedback.feedback_of(FINE_GRAINED, self.config.world.annotation.minutes)
        return list(self._feedback.edits(feedback))

    @cached_property
    def reward(self) -> AnswerReward:
        """What the minutes buy in preferences, as a reward model."""
        pipeline: RewardPipeline = self._feedback.of_heads(PREFERENCE, self.config.world.annotation.minutes)[0]
        return AnswerReward(pipeline.sources, pipeline.mixture.config)

    @cached_property
    def ranked(self) -> list[RankedAnswers]:
        """Answers of the SFT policy with their rewards."""
        items = make_items(self.config.ranked_prompts, seed=self.seed, split="rl")
        texts = sample_texts(
            self.policy, items, sampling=self.config.world.sampling, samples=self.config.ranked_answers, seed=self.seed
        )
        groups = [
            [Sample.of(item.record, text, truncated=cut) for text, cut in row if text]
            for item, row in zip(items, texts, strict=True)
        ]
        rewards = iter(self.reward([sample for group in groups for sample in group]))
        return [RankedAnswers(group, [next(rewards) for _ in group]) for group in groups]

    def _answers(self, arm: str) -> Answers:
        if arm == BEST_OF:
            drawn = self._drawn(self.policy)
            asked = [item.record for item in drawn.of(self._items)]
            samples = [Sample.of(record, text) for record, text in zip(asked, drawn.texts, strict=True)]
            n = self.config.world.free_rivals.best_of
            return drawn.taken(best_places([record.id for record in asked], self.reward(samples), n))
        if arm == ALIGNED:
            return self._guided(Policy.load(str(self._folder("dpop").checkpoint("best"))))
        return self._drawn(self.policy if arm == SFT else self._trained(arm))

    def _drawn(self, policy: Policy) -> Answers:
        world = self.config.world
        return answer_items(
            policy, None, self._items, sampling=world.sampling, seed=self.seed, samples=world.test_samples
        )

    def _guided(self, guide: Policy) -> Answers:
        world, generator = self.config.world, torch_generator(self.seed, "baselines/aligned")
        texts: list[str] = []
        cut: list[bool] = []
        for item in self._items:
            prompts = self.policy.encode_prompts([item.record.model_input] * world.test_samples)
            batch = aligned_responses(
                self.policy, guide, prompts, strength=self.config.strength, sampling=world.sampling, generator=generator
            )
            texts += [self.policy.decode(ids).replace("\0", "") for ids in batch.token_lists()]
            cut += batch.truncated.tolist()
        return Answers(tuple(texts), tuple(cut))

    def _trained(self, arm: str) -> Policy:
        """The best checkpoint of an arm that learns."""
        run, start, seed = self._folder(arm), Policy.load(str(policy_checkpoint())), derive_seed(self.seed, arm)
        losses = {"dpo": DPOLossConfig(penalty=0), "dpop": DPOLossConfig(), "figa": FIGA}
        if arm in losses:
            held = len(self.pairs) // 10
            settings = self.config.dpo.model_copy(update={"loss": losses[arm], "seed": seed})
            train_dpo(start, self.pairs[held:], self.pairs[:held], config=settings, run=run)
        elif arm == "rrhf":
            held = len(self.ranked) // 10
            settings = self.config.ranking.model_copy(update={"seed": seed})
            train_ranking(start, self.ranked[held:], self.ranked[:held], config=settings, run=run)
        else:
            shown = self._best_answers() if arm == "expert-iteration" else [_demonstration(pair) for pair in self.pairs]
            held = len(shown) // 10
            settings = self.config.sft.model_copy(update={"seed": seed})
            train_sft(start, shown[held:], shown[:held], config=settings, run=run)
        return Policy.load(str(run.checkpoint("best")))

    def _best_answers(self) -> list[DemonstrationRecord]:
        """Of each prompt's ranked answers the one with the highest reward."""
        chosen: list[DemonstrationRecord] = []
        for group in self.ranked:
            known = [(reward, -place) for place, reward in enumerate(group.rewards) if reward is not None]
            if known:
                best = group.samples[-max(known)[1]]
                chosen.append(_shown(best.prompt, best.passages, best.response))
        return chosen

    def _folder(self, arm: str) -> RunFolder:
        return RunFolder(self.folder / arm)

    def _save(self, arm: str, answers: Answers) -> None:
        tables = score_answers(self._items, answers, seed=self.seed)
        stored: dict[str, Any] = {
            "seed": self.seed,
            "config": self.made_with(),
            "tables": {metric: StoredTable.of(table).model_dump() for metric, table in tables.items()},
        }
        write_json(self.outcome_file(arm), stored)


def _demonstration(pair: EditPair) -> DemonstrationRecord:
    return _shown(pair.prompt, pair.passages, pair.edited)


def _shown(prompt: str, passages: Sequence[Any], completion: str) -> DemonstrationRecord:
    return DemonstrationRecord(prompt=prompt, passages=tuple(passages), completion=completion)
