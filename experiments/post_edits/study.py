"""Token rewards from human post-edits, against a sequence model with occlusion and surface baselines.

Trains by the configs of `recipes/mlqe_pe`. Models that the output folder holds already are read, not trained again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.lib.encoder import load_encoder
from experiments.lib.study import Say, Study
from experiments.post_edits.figures import PostEditStudyConfig, run_study
from experiments.post_edits.page import post_edits_page, verdicts
from spanwise.core import Config, write_json, write_text
from spanwise.reward_models import RewardModelConfig, TokenRewardConfig

RECIPE = Path(__file__).parents[2] / "recipes" / "mlqe_pe"


class PostEditsConfig(Config):
    """The study and its models."""

    study: PostEditStudyConfig = PostEditStudyConfig()
    token: TokenRewardConfig
    """How the token model learns: reward.yaml of the recipe."""
    sequence: RewardModelConfig
    """How the sequence model learns: sequence.yaml of the recipe."""
    backbone: str = ""
    """Hugging Face encoder; empty: the installed all-MiniLM-L6-v2."""


class PostEdits(Study[PostEditsConfig, dict[str, Any]]):
    """One run on all three languages."""

    seeds = ()
    threads = 1

    @classmethod
    def defaults(cls) -> PostEditsConfig:
        """The recipe's models."""
        token, sequence = RECIPE / "reward.yaml", RECIPE / "sequence.yaml"
        return PostEditsConfig(token=TokenRewardConfig.load(token), sequence=RewardModelConfig.load(sequence))

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> dict[str, Any]:  # noqa: ARG002
        """Trains what is missing and judges all."""
        return run_study(
            self.settings.study,
            self.place.data,
            self.place.output,
            token=self.settings.token,
            sequence=self.settings.sequence,
            backbone=load_encoder(self.settings.backbone),
            say=say,
        )

    def pages(self, result: dict[str, Any], say: Say, *, command: str) -> None:
        """results.json, the page, and what holds."""
        write_json(self.place.output / "results.json", result)
        if self.place.docs:
            write_text(self.place.docs, post_edits_page(result, command=command))
        for sentence in verdicts(result):
            say(sentence)
