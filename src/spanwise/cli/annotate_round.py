"""`spanwise annotate round` from inside: closes a round, writes down what it is at, and scores answers with torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanwise.annotate.people import User
from spanwise.annotate.rounds import CommandSteps, Diary, RoundConfig, RoundReport, next_round, only_one
from spanwise.annotate.store import Database, Project
from spanwise.annotate.work import uncertainty
from spanwise.core import ConfigError, SpanwiseError
from spanwise.feedback import FeedbackRecord, Sample


@dataclass(frozen=True, slots=True)
class ModelSteps(CommandSteps):
    """Training and answering by commands, scoring in this process."""

    def score(self, run_dir: Path, records: Sequence[FeedbackRecord]) -> Mapping[str, float]:
        """How unsure the reward model is of the first answer of each record; 0 where it cannot score it.

        Heads that judge whole answers are left out: their scores say nothing of how sure they are.
        """
        from spanwise.reward_models import PAIR_HEADS
        from spanwise.rewards import load_sources

        samples = [Sample(record.prompt, record.responses[0].text, record.passages) for record in records]
        sources = load_sources(run_dir / "checkpoints" / "best")
        by_head = [source.score(samples) for source in sources if source.name not in PAIR_HEADS]
        if not by_head:
            raise ConfigError(f"{run_dir}: has no head that judges segments; add one to heads in the round's config.")
        judged = zip(records, zip(*by_head, strict=True), strict=True)
        return {record.id: uncertainty(list(scores)) or 0.0 for record, scores in judged}


def run_round(database: Database, project: Project, config: RoundConfig, folder: Path, *, by: User) -> RoundReport:
    """Closes the round of the project in `folder`, alone, and writes the state down for the overview."""
    with only_one(folder):
        diary = Diary(folder, project.round)
        try:
            _, report = next_round(
                database, project, ModelSteps(config), by=by, folder=folder / "rounds", config=config, say=diary.begin
            )
        except SpanwiseError as error:
            diary.failed(str(error))
            raise
        diary.done(report.sentence)
    return report
