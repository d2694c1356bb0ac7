"""The oracle as a reward source: the true score of an answer, paid clause by clause. A ceiling for experiments.

No training that is to be judged fairly may see it.
"""

from collections.abc import Sequence

from spanwise.core import DataError
from spanwise.feedback import Density, Passage, Sample, SegmentScore, SegmentScores
from spanwise.sim.oracle import RELEVANCE_ERRORS, Finding, judge
from spanwise.sim.world import SimItem, Truth


class OracleSource:
    """Scores the clauses of answers to known items; the scores of an answer sum to its true score.

    The span of a score is the part of the clause that the oracle marks. Raises DataError for a prompt of no item.
    """

    name = "oracle"
    category = "quality"
    density: Density = "sub-sentence"
    version = "1"

    def __init__(self, items: Sequence[SimItem]) -> None:
        self._truths: dict[tuple[str, tuple[Passage, ...]], Truth] = {
            (item.record.prompt, item.record.passages): item.truth for item in items
        }

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One score per clause of each answer."""
        return [self._score(sample) for sample in samples]

    def _score(self, sample: Sample) -> SegmentScores:
        truth = self._truths.get((sample.prompt, sample.passages))
        if truth is None:
            raise DataError(f"The oracle knows no item with the prompt {sample.prompt!r:.80}; give it the items first.")
        findings = judge(sample.response, truth, truncated=sample.truncated).findings
        return SegmentScores(tuple(SegmentScore(finding.span, _worth(finding)) for finding in findings))


def _worth(finding: Finding) -> float:
    """What the clause adds to `Judgement.quality`."""
    if finding.label == "correct":
        return 1.0
    return -0.5 if finding.label in RELEVANCE_ERRORS and finding.label != "Incoherent" else -1.0
