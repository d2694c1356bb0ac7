"""The oracle as the gold score of a run in the simulated world: what training was for, which training never saw."""

from collections.abc import Sequence
from pathlib import Path

from spanwise.evals.runs import Evaluated, read_course
from spanwise.feedback import Sample, Unscored
from spanwise.sim import SimItem, judge


def oracle_course(run: Path, items: Sequence[SimItem]) -> list[Evaluated]:
    """The course of a run whose held-out prompts are those of `items`, with the true score of every logged answer.

    A question that two items share says nothing of whose passages are meant, so its answers have no gold score.
    """
    asked = [item.record.prompt for item in items]
    truths = {item.record.prompt: item.truth for item in items if asked.count(item.record.prompt) == 1}

    def gold(samples: Sequence[Sample]) -> list[float | Unscored]:
        return [
            float(judge(sample.response, truths[sample.prompt]).quality)
            if sample.prompt in truths
            else Unscored("two items ask this")
            for sample in samples
        ]

    return read_course(run, gold, {item.record.prompt: item.record for item in items})
