"""The oracle of the simulated world as a judge: the answer with the higher true score is better."""

from collections.abc import Iterator, Sequence

from spanwise.evals.win_rate import instruction_of
from spanwise.evals.win_rate.judges import Case, Reply
from spanwise.feedback import Unscored
from spanwise.sim import SimItem, Truth, judge


class OracleJudge:
    """Knows the items' truths; an instruction is an item's question, alone or with its passages."""

    sees_order = False
    name = "oracle"

    def __init__(self, items: Sequence[SimItem]) -> None:
        self._truths: dict[str, Truth | None] = {}
        for item in items:
            # A question that two items share does not say whose passages are meant.
            known = item.record.prompt in self._truths
            self._truths[item.record.prompt] = None if known else item.truth
        self._truths |= {item.record.model_input: item.truth for item in items}
        self._truths |= {instruction_of(item.record): item.truth for item in items if item.record.passages}

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Judges each case by the truth of its item."""
        for position, case in enumerate(cases):
            truth = self._truths.get(case.instruction)
            if truth is None:
                yield position, Reply(Unscored("the instruction is no item of the simulated world, or of two"))
                continue
            first, second = (judge(text, truth).quality for text in (case.first, case.second))
            yield position, Reply(0.5 if first == second else float(second > first))
