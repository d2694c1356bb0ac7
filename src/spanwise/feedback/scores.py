"""The contract of the library: a reward source looks at responses and says scores of spans.

Sources (models, rules, services, judges) know nothing of tokens, weights or RL. What could not be scored is
`Unscored` with a reason, never 0: a reward of 0 would pay a policy for breaking its judge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal, Protocol, cast, runtime_checkable

from spanwise.core import ScoringError
from spanwise.feedback.messages import Tools, Turns, transcript
from spanwise.feedback.prompts import Asked
from spanwise.feedback.schema import Passage
from spanwise.text import Span

Density = Literal["token", "phrase", "sub-sentence", "sentence", "paragraph", "sequence"]
"""How often a source speaks; phrases are cut by the entropy of a language model."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a reward source sees: the prompt, its passages and one response.

    Where the prompt is a conversation, `messages` are its turns and `prompt` what people read of them. `truncated` says
    that the response ran into the length limit and has no end of its own.
    """

    prompt: str
    response: str
    passages: tuple[Passage, ...] = ()
    truncated: bool = False
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    messages: Turns = ()
    tools: Tools = ()

    @classmethod
    def of(
        cls, asked: Asked, response: str, *, truncated: bool = False, metadata: dict[str, Any] | None = None
    ) -> "Sample":
        """A response to what a record asks."""
        return cls(asked.prompt, response, asked.passages, truncated, metadata or {}, asked.messages, asked.tools)


def turn_samples(asked: Asked, answer: str) -> list[Sample]:
    """A sample for each of the assistant's turns that says something, in what came before it; `answer` is the last."""
    earlier = [
        Sample(transcript(before), turn.content, asked.passages, messages=before, tools=asked.tools)
        for number, turn in enumerate(asked.messages)
        if turn.role == "assistant" and turn.content.strip()
        for before in [asked.messages[:number]]
    ]
    return [*earlier, Sample.of(asked, answer)]


@dataclass(frozen=True, slots=True)
class Unscored:
    """A score that could not be given, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class SegmentScore:
    """One judgement: a span of the response and its score."""

    span: Span
    value: float | Unscored


@dataclass(frozen=True, slots=True)
class SegmentScores:
    """All judgements of one source about one response, in text order.

    `missing` is set instead of scores when the response as a whole could not be scored.
    """

    scores: tuple[SegmentScore, ...] = ()
    missing: Unscored | None = None


@runtime_checkable
class RewardSource(Protocol):
    """Anything that scores spans of responses. Pure but for caches; order and number of samples are kept."""

    @property
    def name(self) -> str:
        """Unique within a mixture; the key in logs and reports."""
        ...

    @property
    def category(self) -> str:
        """What the source judges: "relevance", "factuality", "completeness", "preference", ..."""
        ...

    @property
    def density(self) -> Density:
        """How often the source speaks."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever scores may change; caches are keyed by it."""
        ...

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One SegmentScores per sample, in order."""
        ...


def scores_of(source: RewardSource, samples: Sequence[Sample]) -> list[SegmentScores]:
    """What `source` says of each sample.

    Raises ScoringError where it gives more or fewer results than samples, others than SegmentScores, or scores that are
    no finite numbers: these are defects of the source and must reach neither weights nor tables.
    """
    scored: Any = source.score(samples)
    if not isinstance(scored, Sequence) or isinstance(scored, str):
        raise ScoringError(
            f"Reward source {source.name!r} gave a {type(scored).__name__} for {len(samples)} responses; let `score` "
            "return a list of SegmentScores, one per response."
        )
    results = list(cast("Sequence[Any]", scored))
    if len(results) != len(samples):
        raise ScoringError(
            f"Reward source {source.name!r} gave {len(results)} results for {len(samples)} responses; let `score` "
            "return one SegmentScores per response, in their order, and mark what cannot be judged as Unscored."
        )
    for sample, scores in zip(samples, results, strict=True):
        _check_scores(source, sample, scores)
    return cast("list[SegmentScores]", results)


def _check_scores(source: RewardSource, sample: Sample, scores: Any) -> None:
    where = f"the response {_shortened(sample.response)} to the prompt {_shortened(sample.prompt)}"
    if not isinstance(scores, SegmentScores):
        raise ScoringError(
            f"Reward source {source.name!r} gave a {type(scores).__name__} for {where}; let `score` return "
            "SegmentScores."
        )
    for score in scores.scores:
        value: Any = score.value
        if isinstance(value, Unscored):
            continue
        if not isinstance(value, Real) or not math.isfinite(value):
            raise ScoringError(
                f"Reward source {source.name!r} gave {value!r:.40} for characters {score.span.start} to "
                f"{score.span.end} of {where}; mend the source, or let it say Unscored where it cannot judge."
            )


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
