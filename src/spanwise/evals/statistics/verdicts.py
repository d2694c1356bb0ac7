"""The one place that decides what a difference may be called, and when the word "better" is earned.

An arm that was trained is better than its baseline only where it also beats what costs nothing: the best of its free
rivals (the baseline policy decoded greedily, at lower temperatures, best of n, ...), with an interval clear of zero.
Otherwise it only sharpened what the baseline knew, or was never held against decoding. Knows nothing of files or words.
"""

from collections.abc import Iterable
from typing import Literal

from spanwise.evals.statistics.estimates import Estimate

Better = Literal["lower", "higher", "none"]
"""Which way a metric improves; "none" for what is only described, such as length."""
Verdict = Literal["better", "sharpens", "not held", "worse", "higher", "lower", "no clear difference", "not known"]
"""What a difference says: a direction only if its interval excludes zero, "not known" if there is no interval.

"better", "sharpens" and "not held" all improve on the baseline: the first also on the best free rival, the second not
on it, and for the third no free rival was measured.
"""
IMPROVED: tuple[Verdict, ...] = ("better", "sharpens", "not held")
"""Verdicts whose interval is clear of zero on the good side of the baseline."""


def judge(difference: Estimate, better: Better, rivals: Iterable[Estimate] = (), *, free: bool = False) -> Verdict:
    """The verdict on a difference arm - baseline of a metric that improves in direction `better`.

    `rivals` are the arm's differences to its free rivals on the same metric. A `free` arm, itself such a rival, has
    nothing to be held against.
    """
    verdict = _direction(difference, better)
    if verdict != "better" or free:
        return verdict
    hardest = hardest_rival(rivals, better)
    if hardest is None:
        return "not held"
    return "better" if _direction(hardest, better) == "better" else "sharpens"


def hardest_rival(rivals: Iterable[Estimate], better: Better) -> Estimate | None:
    """The difference to the best free rival: the arm gains least on it; of equal gains the less certain one.

    None where no difference has an interval. The rival is the best on the prompts that the arm is judged on, which
    favours the rival.
    """
    known = [rival for rival in rivals if rival.mean is not None and rival.low is not None]
    return min(known, key=lambda rival: _gain(rival, better), default=None)


def _gain(difference: Estimate, better: Better) -> tuple[float, float]:
    """By how much an arm is ahead, and by how much at least."""
    mean, low, high = (value or 0.0 for value in (difference.mean, difference.low, difference.high))
    return (-mean, -high) if better == "lower" else (mean, low)


def _direction(difference: Estimate, better: Better) -> Verdict:
    if difference.mean is None or difference.low is None:
        return "not known"
    if not difference.excludes_zero:
        return "no clear difference"
    up = difference.mean > 0
    if better == "none":
        return "higher" if up else "lower"
    return "better" if up == (better == "higher") else "worse"
