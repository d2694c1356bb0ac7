"""Scores a policy's answers with a reward model, for `spanwise annotate round`: the part of it that needs torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanwise.annotate.priority import uncertainty
from spanwise.annotate.rounds import CommandSteps
from spanwise.feedback.schema import FeedbackRecord
from spanwise.scores import Sample


@dataclass(frozen=True, slots=True)
class ModelSteps(CommandSteps):
    """Training and answering by commands, scoring in this process."""

    def score(self, run_dir: Path, records: Sequence[FeedbackRecord]) -> Mapping[str, float]:
        """How unsure the reward model is of the first answer of each record; 0 where it cannot score it."""
        from spanwise.rewards.learned import load_sources

        samples = [Sample(record.prompt, record.responses[0].text, record.passages) for record in records]
        by_head = [source.score(samples) for source in load_sources(run_dir / "checkpoints" / "best")]
        judged = zip(records, zip(*by_head, strict=True), strict=True)
        return {record.id: uncertainty(list(scores)) or 0.0 for record, scores in judged}
