"""Localisation by a model of whole responses: how much better a text gets for it when one word is left out.

The way to ask a sequence reward model, trained on the same pairs as preferences, which words are bad. Costs one
forward pass per word. Knows nothing of training.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from experiments.post_edits.words import words_of
from spanwise.core import DataError
from spanwise.feedback import RewardSource, Sample, SegmentScores
from spanwise.text import Span


def occlusion_badness(source: RewardSource, samples: Sequence[Sample]) -> Float[np.ndarray, " n"]:
    """Of every word of the responses the score without it less the score with it."""
    whole = sequence_scores(source, samples)
    places = [(number, word) for number, sample in enumerate(samples) for word in words_of(sample.response)]
    shorter = sequence_scores(source, [without(samples[number], word) for number, word in places])
    return shorter - whole[[number for number, _ in places]]


def without(sample: Sample, word: Span) -> Sample:
    """The sample with one word and the blank behind it left out of its response."""
    text = sample.response
    left = text[: word.start] + text[word.end :].removeprefix(" ")
    return Sample(sample.prompt, left.strip(), sample.passages)


def sequence_scores(source: RewardSource, samples: Sequence[Sample]) -> Float[np.ndarray, " n"]:
    """The score of each whole response; DataError where there is none."""
    return np.array([_one(scores) for scores in source.score(samples)])


def mean_scores(source: RewardSource, samples: Sequence[Sample]) -> Float[np.ndarray, " n"]:
    """The mean of each response's token rewards: what a token-level model says of a whole response."""
    return np.array([float(np.mean(_values(scores))) for scores in source.score(samples)])


def _one(scores: SegmentScores) -> float:
    (value,) = _values(scores)
    return value


def _values(scores: SegmentScores) -> list[float]:
    values = [score.value for score in scores.scores if isinstance(score.value, float)]
    if scores.missing is not None or len(values) < len(scores.scores) or not values:
        reason = scores.missing.reason if scores.missing is not None else "a part of it has no score"
        raise DataError(f"A response could not be scored: {reason}.")
    return values
