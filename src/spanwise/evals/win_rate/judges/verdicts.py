"""From what a judge said to the share of the second answer. Prose, nonsense and silence are Unscored, never a tie."""

import math
import re
from collections.abc import Mapping

from spanwise.evals.statistics import Share
from spanwise.feedback import Unscored

LABELS = ("m", "M")
"""The letters of the label prompt: first better, second better."""
_VERDICT = re.compile(r"^\W*verdict\W*:\W*(a|b|tie)\W*$", re.IGNORECASE | re.MULTILINE)
_SHARES = {"a": 0.0, "b": 1.0, "tie": 0.5}


def share_of_text(text: str | None) -> Share:
    """The share that the last lines of the form "Verdict: A" say; two that differ are none."""
    if not text or not text.strip():
        return Unscored("the judge said nothing")
    found = {_SHARES[word.lower()] for word in _VERDICT.findall(text)}
    if len(found) != 1:
        return Unscored("the judge gave two verdicts" if found else "the judge gave no verdict")
    return found.pop()


def share_of_label(text: str | None) -> Share:
    """The share that a reply of one letter says."""
    label = (text or "").strip()
    return float(LABELS.index(label)) if label in LABELS else Unscored("the judge gave no verdict")


def share_of_logprobs(logprobs: Mapping[str, float]) -> Share:
    """P(second) / (P(first) + P(second)) of the letters; one that is not listed has probability 0 (AlpacaEval)."""
    first, second = (math.exp(logprobs[label]) if label in logprobs else 0.0 for label in LABELS)
    total = first + second
    return second / total if total > 0 and math.isfinite(total) else Unscored("neither letter was likely")
