"""Whether a reward source knows where an answer is wrong: low scores on marked words, within each answer.

Every source is asked for the same words, whatever it speaks of: a word has the mean of the scores that touch it, by
characters, and 0 where none does. Differences between answers do not count, so that one score at the end finds nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import roc_auc_score

from spanwise.core import numpy_generator
from spanwise.feedback import RewardSource, Sample, SegmentScores, Unscored, scores_of
from spanwise.text import Span, words

RESAMPLES = 1000


@dataclass(frozen=True)
class Marked:
    """An answer and the spans in it that are wrong; answers to one question share `question`."""

    sample: Sample
    wrong: tuple[Span, ...]
    question: str


class SourceRow(BaseModel):
    """What was measured of one source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    world: str
    density: str
    models: str
    """Models that it needs, with their licences."""
    aurocs: dict[str, list[float]]
    """By question: of each answer with right and wrong words how well low scores find the wrong ones."""
    placebo: float
    """The mean of the same after the scores were dealt out anew within each answer."""
    unscored: float
    """Share of the answers that it could not score."""
    cost_ms: float
    """Milliseconds an answer, one thread."""


def measure(source: RewardSource, answers: Sequence[Marked], *, world: str, models: str, seed: int) -> SourceRow:
    """Asks the source for all answers at once and times it."""
    samples = [answer.sample for answer in answers]
    begun = time.perf_counter()
    scored = scores_of(source, samples)
    seconds = time.perf_counter() - begun
    generator = numpy_generator(seed, "reward-sources/placebo")
    aurocs: dict[str, list[float]] = {}
    placebos: list[float] = []
    for answer, scores in zip(answers, scored, strict=True):
        found = _auroc(answer, scores)
        if found is not None:
            aurocs.setdefault(answer.question, []).append(found)
            placebos.append(_auroc(answer, _dealt_anew(scores, generator)) or 0.0)
    return SourceRow(
        source=source.name,
        world=world,
        density=source.density,
        models=models,
        aurocs=aurocs,
        placebo=float(np.mean(placebos)) if placebos else float("nan"),
        unscored=float(np.mean([_unscored(scores) for scores in scored])),
        cost_ms=1000 * seconds / len(samples),
    )


def word_scores(scores: SegmentScores, text: str) -> list[float]:
    """A score for each word of the text."""
    values: list[float] = []
    for word in words(text):
        touching = [(score.span.overlap(word), score.value) for score in scores.scores]
        known = [(size, float(value)) for size, value in touching if size and not isinstance(value, Unscored)]
        total = sum(size for size, _ in known)
        mean = sum(size * value for size, value in known) / total if total else 0.0
        values.append(round(mean, 9))  # the same score in words of different lengths is the same
    return values


def interval(aurocs: dict[str, list[float]], *, seed: int = 0) -> tuple[float, float, float]:
    """Mean over answers and its 95 % interval by bootstrap over questions."""
    questions = list(aurocs)
    sums = np.array([sum(aurocs[question]) for question in questions])
    counts = np.array([len(aurocs[question]) for question in questions])
    draws = numpy_generator(seed, "reward-sources/bootstrap").integers(0, len(sums), size=(RESAMPLES, len(sums)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(sums.sum() / counts.sum()), float(low), float(high)


def _auroc(answer: Marked, scores: SegmentScores) -> float | None:
    """None for an answer without a right or without a wrong word, and for one that was not scored."""
    text = answer.sample.response
    wrong = [any(word.overlap(span) for span in answer.wrong) for word in words(text)]
    if _unscored(scores) or len(set(wrong)) < 2:
        return None
    return float(roc_auc_score(wrong, [-value for value in word_scores(scores, text)]))


def _unscored(scores: SegmentScores) -> bool:
    return scores.missing is not None or any(isinstance(score.value, Unscored) for score in scores.scores)


def _dealt_anew(scores: SegmentScores, generator: np.random.Generator) -> SegmentScores:
    order = generator.permutation(len(scores.scores)).tolist()
    pairs = zip(scores.scores, order, strict=True)
    return SegmentScores(tuple(type(score)(score.span, scores.scores[place].value) for score, place in pairs))
