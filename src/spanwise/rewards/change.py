"""Rewards from a scorer of whole texts: one at the end, or the change of the score after each part of the response.

For an unwanted attribute with probability P, prompt x and response y = y1 y2 ... yn (Wu et al. 2023, section 4):

- holistic: 1 - P(x y), once;
- change: P(x y1 ... y(j-1)) - P(x y1 ... yj), for each part j.

The changes add up to P(x) - P(x y), the holistic reward less what the prompt fixes: with gamma 1 both ask for the same
policy, and what the changes add is which part is to blame. The policy continues its prompt, so that both are one text.
Knows nothing of models or of tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spanwise.core import ConfigError, ScoringError
from spanwise.feedback import Density, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.rewards.scorers import Probability, Scorer
from spanwise.text import Span, get_segmenter
from spanwise.text import words as words_in

_CLINGS = re.compile(r"[,.;:!?)\]}'\u2019\u201d%]")


def whole_text(prompt: str, response: str) -> tuple[str, int]:
    """Prompt and response as one text, and where the response begins in it.

    A blank parts them, but for closing punctuation, which clings to the prompt.
    """
    if not prompt.strip() or not response.strip():
        return (response, 0) if not prompt.strip() else (prompt, len(prompt))
    lead = prompt.rstrip() + ("" if _CLINGS.match(response) else " ")
    return lead + response, len(lead)


@dataclass(frozen=True)
class HolisticReward:
    """1 - P of prompt and response together: one score per response."""

    name: str
    scorer: Scorer
    category: str = "toxicity"
    density: Density = "sequence"

    @property
    def version(self) -> str:
        """Changes with the scorer."""
        return f"{self.scorer.version}-holistic"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One score per sample, over the whole response."""
        texts = [whole_text(sample.prompt, sample.response)[0].rstrip() for sample in samples]
        values = probabilities(self.scorer, texts)
        return [_whole(sample, value) for sample, value in zip(samples, values, strict=True)]


@dataclass(frozen=True)
class ChangeReward:
    """The fall of P after each part of the response; density "token" takes words as the parts.

    ConfigError for density "sequence", whose one change is the holistic reward.
    """

    name: str
    scorer: Scorer
    density: Density = "sentence"
    category: str = "toxicity"

    def __post_init__(self) -> None:
        if self.density == "sequence":
            raise ConfigError("The change of a score needs parts; set density to sentence, sub-sentence or token.")

    @property
    def version(self) -> str:
        """Changes with the scorer and with the parts."""
        return f"{self.scorer.version}-change-{self.density}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One score per part; a part whose text or the text before it could not be scored is Unscored."""
        parts = [self._parts(sample.response) for sample in samples]
        texts = [_prefixes(sample, spans) for sample, spans in zip(samples, parts, strict=True)]
        values = iter(probabilities(self.scorer, [text for row in texts for text in row]))
        return [_changes(spans, [next(values) for _ in row]) for spans, row in zip(parts, texts, strict=True)]

    def _parts(self, response: str) -> tuple[Span, ...]:
        if not response.strip():
            return ()
        return words(response) if self.density == "token" else get_segmenter(self.density)(response)


def words(text: str) -> tuple[Span, ...]:
    """The words of a text."""
    return tuple(words_in(text))


def probabilities(scorer: Scorer, texts: Sequence[str]) -> list[Probability]:
    """What the scorer says, equal texts asked once; where nothing is said, nothing has the attribute."""
    asked = list(dict.fromkeys(text for text in texts if text.strip()))
    said = scorer.score(asked) if asked else []
    if len(said) != len(asked):
        raise ScoringError(
            f"The scorer gave {len(said)} results for {len(asked)} texts; let `score` return one per text, in order."
        )
    by_text = dict(zip(asked, said, strict=True))
    return [by_text[text] if text.strip() else 0.0 for text in texts]


def _prefixes(sample: Sample, parts: Sequence[Span]) -> list[str]:
    """The prompt, then the text up to the end of each part."""
    if not parts:
        return []
    text, start = whole_text(sample.prompt, sample.response)
    return [sample.prompt.rstrip(), *(text[: start + part.end].rstrip() for part in parts)]


def _changes(parts: Sequence[Span], values: Sequence[Probability]) -> SegmentScores:
    pairs = zip(parts, values, values[1:], strict=False)
    return SegmentScores(tuple(SegmentScore(span, _fall(before, after)) for span, before, after in pairs))


def _fall(before: Probability, after: Probability) -> float | Unscored:
    if isinstance(before, Unscored):
        return before
    return after if isinstance(after, Unscored) else before - after


def _whole(sample: Sample, value: Probability) -> SegmentScores:
    if isinstance(value, Unscored):
        return SegmentScores(missing=value)
    return SegmentScores((SegmentScore(Span(0, len(sample.response)), 1.0 - value),))
