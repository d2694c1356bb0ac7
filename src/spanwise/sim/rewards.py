"""The oracle as a reward source: the true score of an answer, whole or clause by clause. A ceiling for experiments.

No training that is to be judged fairly may see it.
"""

from collections.abc import Sequence
from typing import Literal

from spanwise.core import DataError
from spanwise.feedback import Density, Passage, Sample, SegmentScore, SegmentScores
from spanwise.sim.oracle import Judgement, judge
from spanwise.sim.world import SimItem, Truth
from spanwise.text import Span

Pays = Literal["clauses", "missing", "answer"]
"""What an oracle source pays: each clause where it ends, what is missing at the end of the answer, or both as one sum
at the end. clauses and missing together are the dense ceiling, answer is the terminal one of the same sum."""


class OracleSource:
    """Scores answers to known items by `Judgement.quality` or a part of it. Raises DataError for a prompt of no item.

    The span of a clause's score is the part of the clause that the oracle marks; the others speak of the whole answer.
    """

    version = "2"

    def __init__(self, items: Sequence[SimItem], pays: Pays = "clauses") -> None:
        self._truths: dict[tuple[str, tuple[Passage, ...]], Truth] = {
            (item.record.prompt, item.record.passages): item.truth for item in items
        }
        self._pays: Pays = pays
        self.name = f"oracle-{pays}"
        self.category = "quality"
        self.density: Density = "sub-sentence" if pays == "clauses" else "sequence"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """The scores of each answer: one per clause, or one for the whole."""
        return [self._score(sample) for sample in samples]

    def _score(self, sample: Sample) -> SegmentScores:
        truth = self._truths.get((sample.prompt, sample.passages))
        if truth is None:
            raise DataError(f"The oracle knows no item with the prompt {sample.prompt!r:.80}; give it the items first.")
        judgement = judge(sample.response, truth, truncated=sample.truncated)
        if self._pays == "clauses":
            return SegmentScores(tuple(
                SegmentScore(finding.span, 1.0 if finding.label == "correct" else -1.0)
                for finding in judgement.findings
            ))  # fmt: skip
        return SegmentScores((SegmentScore(Span(0, len(sample.response)), self._whole(judgement)),))

    def _whole(self, judgement: Judgement) -> float:
        return judgement.quality if self._pays == "answer" else -float(len(judgement.missing))
