"""The noisy annotator: what a person as reliable as people are would say about an answer that the oracle judged.

The default rates come from QA-Feedback (wu2023.md 1.4): of the words that people marked as errors their own
corrections keep 7.2 %, of the others they change 10.5 %, which makes 9 % misses and 9 % false alarms; among decided
preferences the first-listed answer wins 60.3 %, which a preference for the first place in 20 % of the pairs
produces; and two annotators who also flip 15 % of the remaining labels agree on two pairs of three, as people
do on preferences.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from pydantic import Field

from spanwise.core import Config
from spanwise.feedback import FeedbackRecord, MissingInfo, Preference, Response, SpanMark, mark
from spanwise.sim.oracle import MISSING, Finding, Judgement, Label, judge, minimal_edit
from spanwise.sim.world import SimItem
from spanwise.text import Span

Winner = Literal["first", "second", "tie"]
_CATEGORIES: tuple[Label, ...] = ("Irrelevant", "Redundant", "Wrong-Grounding", "Unverifiable", "Incoherent")


class NoiseConfig(Config):
    """How unreliable the annotator is; all zeros give the oracle itself."""

    miss: float = Field(default=0.09, ge=0, le=1)
    """Probability that an error or a missing fact is overlooked."""
    false_alarm: float = Field(default=0.09, ge=0, le=1)
    """Probability that a correct clause is marked, or a fact that is there is called missing."""
    wrong_category: float = Field(default=0.05, ge=0, le=1)
    """Probability that a marked span gets another category than its own."""
    boundary_jitter: float = Field(default=0.1, ge=0, le=1)
    """Probability, at each end of a span, that the mark is one word longer or shorter."""
    label_flip: float = Field(default=0.15, ge=0, le=1)
    """Probability that a preference is turned round."""
    position_bias: float = Field(default=0.2, ge=0, le=1)
    """Probability that the first-listed answer is preferred without reading."""
    tie_below: float = Field(default=0.5, ge=0)
    """Answers whose true scores differ by less than this are called equal."""


EXACT = NoiseConfig(
    miss=0, false_alarm=0, wrong_category=0, boundary_jitter=0, label_flip=0, position_bias=0, tie_below=1e-9
)


def annotate(
    item: SimItem,
    responses: Sequence[str],
    generator: np.random.Generator,
    noise: NoiseConfig,
    *,
    truncated: Sequence[bool] | None = None,
) -> FeedbackRecord:
    """One record with marks, missing information and a correction on every response, and all pairs compared."""
    cut = truncated or [False] * len(responses)
    judgements = [judge(text, item.truth, truncated=c) for text, c in zip(responses, cut, strict=True)]
    qualities = [judgement.quality for judgement in judgements]
    return FeedbackRecord(
        id=item.record.id,
        prompt=item.record.prompt,
        passages=item.record.passages,
        responses=tuple(
            Response(
                text=text,
                marked=True,
                spans=_marks(text, judgement, generator, noise),
                missing=_missing(item, judgement, generator, noise),
                correction=minimal_edit(text, item.truth, truncated=c),
            )
            for text, judgement, c in zip(responses, judgements, cut, strict=True)
        ),
        preferences=tuple(
            Preference(first=i, second=j, winner=_prefer(qualities[i], qualities[j], generator, noise))
            for i, j in combinations(range(len(responses)), 2)
        ),
        annotator="simulated",
    )


def _marks(text: str, judgement: Judgement, generator: np.random.Generator, noise: NoiseConfig) -> tuple[SpanMark, ...]:
    marks: list[SpanMark] = []
    last = 0
    for finding in judgement.findings:
        label = _seen(finding, generator, noise)
        span = _jitter(text, finding.span, generator, noise.boundary_jitter) if label else finding.span
        if label and span.start >= last:
            marks.append(mark(text, span.start, span.end, label))
            last = span.end
    return tuple(marks)


def _seen(finding: Finding, generator: np.random.Generator, noise: NoiseConfig) -> Label | None:
    """The category that the annotator gives a clause, or None for no mark."""
    if finding.label == "correct":
        return _draw(generator, _CATEGORIES) if generator.random() < noise.false_alarm else None
    if generator.random() < noise.miss:
        return None
    if generator.random() < noise.wrong_category:
        return _draw(generator, [category for category in _CATEGORIES if category != finding.label])
    return finding.label


def _missing(
    item: SimItem, judgement: Judgement, generator: np.random.Generator, noise: NoiseConfig
) -> tuple[MissingInfo, ...]:
    missing: list[MissingInfo] = []
    for relation in item.truth.answerable:
        rate = 1 - noise.miss if relation in judgement.missing else noise.false_alarm
        if generator.random() < rate:
            missing.append(MissingInfo(category=MISSING, evidence=item.truth.stated[relation]))
    return tuple(missing)


def _prefer(first: float, second: float, generator: np.random.Generator, noise: NoiseConfig) -> Winner:
    if abs(first - second) < noise.tie_below:
        return "tie"
    if generator.random() < noise.position_bias:
        return "first"
    right = (first > second) != (generator.random() < noise.label_flip)
    return "first" if right else "second"


def _jitter(text: str, span: Span, generator: np.random.Generator, rate: float) -> Span:
    """Moves each end by one word at the given rate; never beyond the text, never to nothing."""
    start, end = span.start, span.end
    if generator.random() < rate:
        start = _next_word(text, start, end) if generator.random() < 0.5 else _previous_word(text, start)
    if generator.random() < rate:
        cut = text.rfind(" ", start, end)
        longer = text.find(" ", end + 1)
        end = cut if generator.random() < 0.5 and cut > start else (longer if longer > 0 else end)
    return Span(start, end)


def _previous_word(text: str, start: int) -> int:
    return text.rfind(" ", 0, max(0, start - 1)) + 1 if start else 0


def _next_word(text: str, start: int, end: int) -> int:
    blank = text.find(" ", start, end)
    return blank + 1 if blank > 0 else start


def _draw(generator: np.random.Generator, values: Sequence[Label]) -> Label:
    return values[int(generator.integers(len(values)))]
