"""Arms, sizes and settings of the study on the simulated world, and the studies of the documentation.

Knows nothing of how an arm is trained (`study.py`) or of torch.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from spanwise.core import Config
from spanwise.evals.rivals import RivalSettings
from spanwise.models import Sampling
from spanwise.reward_models import FittingConfig
from spanwise.rl import EvaluationConfig, KLConfig, RolloutConfig, TrainerConfig, UpdateConfig
from spanwise.sim import NoiseConfig, Pays
from spanwise.training import OptimizerConfig, SFTConfig

SFT, SFT_MORE, PREFERENCE, FINE_GRAINED = "sft", "sft-more", "preference", "fine-grained"
ABLATIONS = {
    "without-relevance": "relevance",
    "without-factuality": "factuality",
    "without-completeness": "completeness",
}
"""Arms that leave out one reward of the fine-grained arm."""
ORACLE_DENSE, ORACLE_TERMINAL = "oracle-dense", "oracle-terminal"
CEILINGS: dict[str, tuple[Pays, ...]] = {ORACLE_DENSE: ("clauses", "missing"), ORACLE_TERMINAL: ("answer",)}
"""Arms that learn from the oracle itself, clause by clause or by the same sum at the end: what exact marks bring."""
LABELS = {
    SFT: "SFT",
    SFT_MORE: "SFT, more demonstrations",
    PREFERENCE: "Preference RLHF",
    FINE_GRAINED: "Fine-grained RLHF",
    "without-relevance": "without relevance",
    "without-factuality": "without factuality",
    "without-completeness": "without completeness",
    ORACLE_DENSE: "Ceiling: exact marks",
    ORACLE_TERMINAL: "Ceiling: exact score at the end",
}
FINE_GRAINED_HEADS = ("relevance", "factuality", "completeness")


class AnnotationConfig(Config):
    """How much is annotated: a budget in minutes of an annotator, the same for every feedback arm.

    The paper's times (wu2023.md 1.4): six minutes to mark an answer, and six for the six pairs of four answers.
    """

    minutes: float = Field(default=1800, gt=0)
    """Budget of each feedback arm."""
    minutes_per_marked_answer: float = Field(default=6, gt=0)
    """Marking one answer: its spans, and what it leaves out."""
    minutes_per_compared_prompt: float = Field(default=6, gt=0)
    """Comparing all pairs of a prompt's answers."""
    marked_per_prompt: int = Field(default=2, ge=2)
    """Answers of a prompt that are marked; the completeness head learns from two of one prompt."""
    compared_per_prompt: int = Field(default=4, ge=2)
    """Answers of a prompt that are compared."""

    def prompts(self, kind: str) -> int:
        """How many prompts the budget pays for: of preference RLHF, or of the fine-grained arms."""
        if kind == PREFERENCE:
            return int(self.minutes / self.minutes_per_compared_prompt)
        return int(self.minutes / (self.minutes_per_marked_answer * self.marked_per_prompt))

    def answers(self, kind: str) -> int:
        """How many answers of each prompt are annotated."""
        return self.compared_per_prompt if kind == PREFERENCE else self.marked_per_prompt


class SimStudyConfig(Config):
    """Sizes and settings of the study; the defaults are those of `spanwise quickstart`."""

    arms: tuple[str, ...] = (SFT, PREFERENCE, FINE_GRAINED)
    """Which arms to train: sft, sft-more, preference, fine-grained, without-relevance, without-factuality,
    without-completeness, oracle-dense, oracle-terminal."""
    demonstrations: int = Field(default=800, ge=2)
    """Demonstrations of the writer with habits for those who learn from further ones: the arm sft-more, and the free
    rival that learns from those that a reward likes best."""
    heldout_demonstrations: int = Field(default=64, ge=1)
    """Demonstrations that choose their checkpoint."""
    annotation: AnnotationConfig = AnnotationConfig()
    """How much feedback there is."""
    rl_prompts: int = Field(default=1000, ge=1)
    """Prompts for PPO; nobody annotated them."""
    heldout_prompts: int = Field(default=48, ge=1)
    """Prompts that choose the best PPO checkpoint by the arm's own reward."""
    test_prompts: int = Field(default=128, ge=2)
    """Prompts on which the oracle judges every arm."""
    test_samples: int = Field(default=4, ge=1)
    """Sampled answers to each of them, beside the greedy one; the best of n are taken from these."""
    free_rivals: RivalSettings = RivalSettings(temperatures=(), top_p=1, liked_share=0)
    """What the SFT policy gives without training with rewards, which every arm must beat to be called better."""
    judged_split: Literal["test", "validation"] = "test"
    """Which prompts these are; settings are chosen on those of "validation"."""
    noise: NoiseConfig = NoiseConfig()
    """How unreliable the annotator is."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=110)
    """How answers are sampled, for feedback, PPO and the test alike."""
    sft: SFTConfig = SFTConfig(epochs=2, learning_rate=5e-4)
    """Supervised fine-tuning on them."""
    fitting: FittingConfig = FittingConfig(
        method="linear", strengths=(0.001, 0.01, 0.1, 1.0), state_scales=(0.0, 0.1, 0.3)
    )
    """Training of the reward models."""
    features: bool = True
    """Whether the reward models also read counted features: how a clause stands to the question and the passages."""
    likelihoods: bool = False
    """Whether they also read how likely their backbone finds the tokens, which mostly teaches to sharpen."""
    weights: dict[str, float] = Field(
        default_factory=lambda: {"relevance": 1.5, "factuality": 2.0, "completeness": 1.0, "preference": 1.0}
    )
    """Weight of each reward beside the others, whose scores are standardised over the SFT policy's answers."""
    averaged: tuple[str, ...] = ("factuality",)
    """Rewards that are divided by the number of their segments: the factuality model never saw labels of irrelevant
    sentences, so that, summed and without a gate, it pays for each true thing that nobody asked."""
    bars: dict[str, float] = Field(default_factory=dict[str, float])
    """How many deviations above the mean of the SFT policy's answers a score must be to pay; 0 where not named. With a
    bar, one more clause that is no better than the usual ones costs something."""
    gates: dict[str, str] = Field(default_factory=dict[str, str])
    """Which reward counts only as far as another finds its text right; see `SourceWeight.gate`."""
    trainer: TrainerConfig = TrainerConfig(
        steps=24,
        value_backbone="policy",
        rollout=RolloutConfig(prompts_per_step=12, samples_per_prompt=8),
        kl=KLConfig(coef=0.03),
        update=UpdateConfig(epochs=1, minibatch_size=32, micro_batch_size=32),
        policy_optimizer=OptimizerConfig(learning_rate=3e-4),
        value_optimizer=OptimizerConfig(learning_rate=1e-3),
        evaluation=EvaluationConfig(every=8, decoding="greedy"),
    )
    """PPO; its sampling is replaced by the study's."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "feedback_prompts": "annotation.minutes, the budget that buys answers to prompts",
        "questions": "nothing; all questions ask for three to six facts. Remove the key",
    }

    @model_validator(mode="after")
    def _whole_groups(self) -> "SimStudyConfig":
        if self.test_samples % self.free_rivals.best_of:
            raise ValueError(
                f"test_samples ({self.test_samples}) is no multiple of free_rivals.best_of ({self.free_rivals.best_of})"
            )
        return self


STUDY = SimStudyConfig(
    arms=(SFT, SFT_MORE, PREFERENCE, FINE_GRAINED, *ABLATIONS, *CEILINGS),
    annotation=AnnotationConfig(minutes=3600),
    test_prompts=256,
    test_samples=8,
    free_rivals=RivalSettings(),
    trainer=SimStudyConfig().trainer.model_copy(update={"steps": 48}),
)
"""The study of docs/results/sim_arms.md: every arm and rival, with twice the feedback and the steps of quickstart."""
