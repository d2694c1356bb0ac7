"""A reward source as a judge: the answer with the higher summed score is better, equal scores are a tie."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from spanwise.evals.win_rate.judges.base import Case, Reply
from spanwise.feedback import PromptRecord, RewardSource, Sample, SegmentScores, Unscored

Total = float | Unscored


class RewardJudge:
    """Scores both answers by themselves, so their order cannot matter."""

    sees_order = False

    def __init__(self, source: RewardSource, asked: Mapping[str, PromptRecord] = MappingProxyType({})) -> None:
        self._source, self._asked = source, asked
        self.name = source.name

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Scores all answers in one call."""
        samples = [self._sample(case.instruction, text) for case in cases for text in (case.first, case.second)]
        totals = [total(scores) for scores in self._source.score(samples)]
        for position in range(len(cases)):
            yield position, Reply(_share(totals[2 * position], totals[2 * position + 1]))

    def _sample(self, instruction: str, text: str) -> Sample:
        """With the prompt and the passages apart, as the reward model learned to read them."""
        record = self._asked.get(instruction)
        return Sample(instruction, text) if record is None else Sample.of(record, text)


def total(scores: SegmentScores) -> Total:
    """The sum over segments; Unscored where one of them, or the whole, has no score."""
    if scores.missing is not None:
        return scores.missing
    values = [score.value for score in scores.scores]
    missing = [value for value in values if isinstance(value, Unscored)]
    return missing[0] if missing else sum(value for value in values if not isinstance(value, Unscored))


def _share(first: Total, second: Total) -> Total:
    for value in (first, second):
        if isinstance(value, Unscored):
            return value
    return 0.5 if first == second else float(second > first)  # type: ignore[operator] - neither is Unscored here
