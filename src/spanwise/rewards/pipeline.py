"""From responses to token scores: sources judge, the mixture weighs, the projection places.

Joins the three and keeps each source's share apart. Knows nothing of how sources judge or of KL and advantages.
Shapes: b responses, t tokens of the longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from spanwise.feedback import RewardSource, Sample, SegmentScores, scores_of
from spanwise.rewards.config import MixtureConfig, Placement
from spanwise.rewards.mixture import MixedScores, Mixture
from spanwise.rewards.projection import place, place_tokens
from spanwise.text import Span, TokenSpans


@dataclass(frozen=True)
class TokenScores:
    """The rewards of a batch of responses, before KL, and where they come from."""

    total: Float[Tensor, "b t"]
    """Sum of the shares, padded right with 0."""
    shares: dict[str, Float[Tensor, "b t"]]
    """By source name: its weighted scores, token by token."""
    raw: list[dict[str, SegmentScores]]
    """Per response and source: what the source said, before any weight."""
    dropped: Bool[Tensor, " b"]
    """True = leave the response out of the loss: it could not be scored, or it has no tokens."""


class RewardPipeline:
    """Reward sources, their mixture and a placement, applied to batches of responses.

    Raises ConfigError when the mixture and the sources do not name the same sources.
    """

    def __init__(self, sources: Sequence[RewardSource], mixture: MixtureConfig, placement: Placement = "end") -> None:
        self.sources = tuple(sources)
        self.mixture = Mixture(mixture, [source.name for source in sources])
        self.placement: Placement = placement

    def __call__(
        self, samples: Sequence[Sample], token_spans: Sequence[Sequence[Span]], *, step: int = 0
    ) -> TokenScores:
        """Scores `samples`, whose policy tokens wrote the characters `token_spans`; `step` moves scheduled weights.

        `samples[i].response` must be the text that the tokens decode to. Raises ScoringError for a score that is
        missing under missing="raise", and for one that is no number.
        """
        scored = {source.name: scores_of(source, samples) for source in self.sources}
        raw = [{name: scores[index] for name, scores in scored.items()} for index in range(len(samples))]
        mixed = [self.mixture.mix(scores, step=step) for scores in raw]
        shares = self._project(samples, token_spans, mixed)
        dropped = [item.dropped is not None or not spans for item, spans in zip(mixed, token_spans, strict=True)]
        return TokenScores(
            total=shares.sum(0),
            shares={source.name: share for source, share in zip(self.sources, shares, strict=True)},
            raw=raw,
            dropped=torch.tensor(dropped, dtype=torch.bool),
        )

    def _project(
        self, samples: Sequence[Sample], token_spans: Sequence[Sequence[Span]], mixed: Sequence[MixedScores]
    ) -> Float[Tensor, "k b t"]:
        """The weighted scores of each source on the tokens."""
        tokens = [TokenSpans.of(spans) for spans in token_spans]
        scores = np.zeros((len(self.sources), len(samples), max(map(len, tokens), default=0)), dtype=np.float32)
        for source, rows in zip(self.sources, scores, strict=True):
            for row, sample, spans, item in zip(rows, samples, tokens, mixed, strict=True):
                share = item.shares[source.name]
                values = share.values if spans else ()
                parts, where = share.spans[: len(values)], self.placement
                if source.density == "token":
                    place_tokens(row, parts, values, spans, text=sample.response, placement=where)
                    continue
                whole = source.density == "sequence"
                place(row, parts, values, spans, text=sample.response, placement=where, whole_response=whole)
        return torch.from_numpy(scores)
