"""A reward per word from a model of tokens that learned from marked spans: minus the probability of being marked.

A word costs what its worst token costs, however many tokens the model cuts it into, and a clean word costs nothing, so
that length earns nothing. The policy continues its prompt: both are read as one text. Knows nothing of the policy's
tokens.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

from spanwise.core import ConfigError
from spanwise.feedback import Density, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.rewards.change import whole_text, words
from spanwise.rewards.learned import LearnedRewards
from spanwise.text import Span


class MarkedWords:
    """A token-level reward model (`kind: token`, trained on spans) as a source of one score per word.

    ConfigError for a reward model of segments.
    """

    def __init__(self, name: str, rewards: LearnedRewards, *, category: str = "toxicity") -> None:
        heads = rewards.heads
        if [head.kind for head in heads] != ["token"]:
            raise ConfigError("Rewards of marked words need a reward model that judges tokens (kind: token).")
        self._head = heads[0]
        self._rewards = rewards
        self._name, self._category = name, category

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def category(self) -> str:
        """As given."""
        return self._category

    @property
    def density(self) -> Density:
        """Each score is of one word, placed on the tokens that wrote it."""
        return "token"

    @property
    def version(self) -> str:
        """Changes with the reward model."""
        return f"{self._rewards.version}-marked-words"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """Minus the probability that a reader would mark each word of the response."""
        texts = [whole_text(sample.prompt, sample.response) for sample in samples]
        token_lists = self.marked_tokens([text for text, _ in texts])
        return [
            _by_word(sample.response, start, marked)
            for sample, (_, start), marked in zip(samples, texts, token_lists, strict=True)
        ]

    def marked_tokens(self, texts: Sequence[str]) -> list[list[tuple[Span, float]] | Unscored]:
        """Of each text the reward model's tokens that wrote something, and how probably each is marked."""
        scored = self._rewards.score_all([Sample("", text) for text in texts])
        return [self._tokens(scores[self._head.name]) for scores in scored]

    def _tokens(self, scores: SegmentScores) -> list[tuple[Span, float]] | Unscored:
        if scores.missing is not None:
            return scores.missing
        marked: list[tuple[Span, float]] = []
        for score in scores.scores:
            if isinstance(score.value, Unscored):
                return score.value
            if len(score.span):
                right = score.value * self._head.std + self._head.mean  # the logit that the token is right
                marked.append((score.span, 1.0 / (1.0 + math.exp(max(-50.0, min(50.0, right))))))
        return marked


def _by_word(response: str, start: int, marked: list[tuple[Span, float]] | Unscored) -> SegmentScores:
    if isinstance(marked, Unscored):
        return SegmentScores(missing=marked)
    parts = words(response) if response.strip() else ()
    starts = [part.start for part in parts]
    worst = [0.0] * len(parts)
    for span, probability in marked:
        word_index = bisect_right(starts, span.end - 1 - start) - 1
        if span.end > start and word_index >= 0:
            worst[word_index] = max(worst[word_index], probability)
    return SegmentScores(tuple(SegmentScore(part, -cost) for part, cost in zip(parts, worst, strict=True)))
