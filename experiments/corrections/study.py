"""Human corrections against marked spans on QA-Feedback: agreement, and what one teaches about the other, out of fold.

`agreement=true` says the agreement alone, within seconds. Each fold leaves what it said in the output folder; a study
that was stopped goes on with the folds that are missing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from experiments.corrections.folds import corrections_of
from experiments.corrections.page import corrections_page, transfer_verdicts
from experiments.corrections.transfer import CorrectionsStudyConfig, agreement_figures, run_corrections
from experiments.lib.encoder import load_encoder
from experiments.lib.study import Say, Study
from experiments.qa_feedback.data import load_feedback
from spanwise.core import Config, write_json, write_text
from spanwise.reward_models import TokenRewardConfig

TOKEN = Path(__file__).with_name("token.yaml")


class CorrectionsConfig(Config):
    """The study, its token models, and what is left out in a trial."""

    study: CorrectionsStudyConfig = CorrectionsStudyConfig()
    token: TokenRewardConfig
    """How the token models learn: token.yaml."""
    backbone: str = ""
    """Hugging Face encoder; empty: the installed all-MiniLM-L6-v2."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first records, for a trial."""
    agreement: bool = False
    """Say how corrections agree with marks, and stop."""


class Corrections(Study[CorrectionsConfig, dict[str, Any]]):
    """One run over all folds."""

    seeds = ()
    threads = 1

    @classmethod
    def defaults(cls) -> CorrectionsConfig:
        """Five folds."""
        return CorrectionsConfig(token=TokenRewardConfig.load(TOKEN))

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> dict[str, Any]:  # noqa: ARG002
        """Judges the folds that are missing and joins all."""
        records = load_feedback(self.place.data)[: self.settings.limit]
        if self.settings.agreement:
            return {"agreement": agreement_figures(corrections_of(records))}
        return run_corrections(
            self.settings.study,
            records,
            self.place.output,
            token=self.settings.token,
            backbone=load_encoder(self.settings.backbone),
            say=say,
        )

    def pages(self, result: dict[str, Any], say: Say, *, command: str) -> None:
        """results.json, the page, and what holds."""
        if self.settings.agreement:
            for part, alignments in result["agreement"].items():
                for name, figures in alignments.items():
                    shown = ", ".join(f"{figure} {figures[figure]:.3f}" for figure in ("precision", "recall", "f1"))
                    say(f"{part}, {name}: {shown}")
            return
        write_json(self.place.output / "results.json", result)
        if self.place.docs:
            write_text(self.place.docs, corrections_page(result, command=command))
        for sentence in transfer_verdicts(result):
            say(sentence)
