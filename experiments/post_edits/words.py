"""How well scores of words find the words that people found bad, with intervals by resampling whole texts.

Words are runs between white space. A score says how bad a word is, the higher the worse: a reward with its sign
turned. A model of whole responses is asked for it by occlusion: how much better a text gets when one word is left out,
one forward pass per word. Words of one text (or of one question) share a group and are drawn together. Shapes: n words,
g groups, a arms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from spanwise.core import DataError
from spanwise.evals.statistics import Estimate
from spanwise.feedback import RewardSource, Sample, SegmentScores
from spanwise.text import Span

Scores = Float[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class Words:
    """Words of many texts in a row: the group of each, and whether a person found it bad."""

    group: Int[np.ndarray, " n"]
    bad: Bool[np.ndarray, " n"]

    def where(self, kept: Bool[np.ndarray, " n"]) -> "Words":
        """The words that are kept; groups keep their numbers."""
        return Words(self.group[kept], self.bad[kept])


@dataclass(frozen=True, slots=True)
class Localisation:
    """How well each arm finds the bad words, and by how much the first arm differs from each other."""

    auroc: dict[str, Estimate]
    auroc_gain: dict[str, Estimate]
    matthews: dict[str, Estimate]
    matthews_gain: dict[str, Estimate]


def words_of(text: str) -> list[Span]:
    """The words of a text, parted by white space, as `str.split` gives them; no word holds a blank."""
    found: list[Span] = []
    start = 0
    for word in text.split():
        start = text.index(word, start)
        found.append(Span(start, start + len(word)))
        start += len(word)
    return found


def touched(words: Sequence[Span], spans: Sequence[Span]) -> list[bool]:
    """Of each word whether one of the spans covers part of it."""
    return [any(word.overlap(span) for span in spans) for word in words]


def badness(text: str, scores: SegmentScores) -> list[float]:
    """Of each word how low the lowest reward of its tokens is; DataError where a word has no reward."""
    if scores.missing is not None:
        raise DataError(f"{text!r:.60} was not scored: {scores.missing.reason}.")
    tokens = [(score.span, score.value) for score in scores.scores]
    found: list[float] = []
    for word in words_of(text):
        values = [value for span, value in tokens if isinstance(value, float) and span.overlap(word)]
        if not values:
            raise DataError(f"{word.of(text)!r:.60} has no reward; the reward model's tokenizer left it out.")
        found.append(-min(values))
    return found


def auroc(words: Words, scores: Scores) -> float:
    """The chance that a bad word has the higher score of a bad and a good one; equal scores count half."""
    ranked = _Ranked(words, scores)
    return ranked.auroc(np.ones(int(words.group.max()) + 1))


def matthews(words: Words, scores: Scores, threshold: float) -> float:
    """The correlation of "the score reaches the threshold" with "the word is bad"; 0 where either never varies."""
    return float(_matthews(_table(words.bad, scores >= threshold).sum(0)[None])[0])


def best_threshold(words: Words, scores: Scores) -> float:
    """The score from which on a word is called bad so that the Matthews correlation is highest."""
    values, place = np.unique(scores, return_inverse=True)
    bad = np.bincount(place, weights=words.bad, minlength=len(values))
    good = np.bincount(place, weights=~words.bad, minlength=len(values))
    hits, alarms = bad[::-1].cumsum()[::-1], good[::-1].cumsum()[::-1]
    tables = np.stack([hits, alarms, bad.sum() - hits, good.sum() - alarms], axis=1)
    return float(values[int(np.argmax(_matthews(tables)))])


def localisation(
    words: Words,
    arms: Mapping[str, Scores],
    thresholds: Mapping[str, float],
    *,
    generator: np.random.Generator,
    resamples: int = 1000,
) -> Localisation:
    """AUROC and Matthews correlation of each arm, and what the first arm has more than each other; 95 % intervals.

    Every resample draws groups with replacement, the same ones for all arms. `thresholds` come from other words.
    """
    groups = int(words.group.max()) + 1
    present = np.unique(words.group)
    ranked = [_Ranked(words, scores) for scores in arms.values()]
    tables = [_by_group(words, scores >= thresholds[name], groups) for name, scores in arms.items()]
    found: list[tuple[list[float], list[float]]] = []
    for number in range(resamples + 1):
        weight = np.zeros(groups)
        count = len(present)
        weight[present] = generator.multinomial(count, np.full(count, 1 / count)) if number else 1.0
        matthews_now = [float(_matthews((weight @ table)[None])[0]) for table in tables]
        found.append(([arm.auroc(weight) for arm in ranked], matthews_now))
    areas, correlations = (np.array([one[kind] for one in found]) for kind in (0, 1))
    return Localisation(
        _estimates(list(arms), areas, len(present)),
        _gains(list(arms), areas, len(present)),
        _estimates(list(arms), correlations, len(present)),
        _gains(list(arms), correlations, len(present)),
    )


class _Ranked:
    """Words sorted by score once, so that the area under the curve of any weighting of groups is quick."""

    def __init__(self, words: Words, scores: Scores) -> None:
        self._values, self._place = np.unique(scores, return_inverse=True)
        self._words = words

    def auroc(self, weight: Float[np.ndarray, " g"]) -> float:
        mine = weight[self._words.group]
        bad = np.bincount(self._place, weights=mine * self._words.bad, minlength=len(self._values))
        good = np.bincount(self._place, weights=mine * ~self._words.bad, minlength=len(self._values))
        pairs = bad.sum() * good.sum()
        return float((bad * (good.cumsum() - good / 2)).sum() / pairs) if pairs else float("nan")


def _table(bad: Bool[np.ndarray, " n"], called: Bool[np.ndarray, " n"]) -> Float[np.ndarray, "n 4"]:
    """Hit, false alarm, miss, rightly passed: one of them per word."""
    return np.stack([bad & called, ~bad & called, bad & ~called, ~bad & ~called], axis=1).astype(np.float64)


def _by_group(words: Words, called: Bool[np.ndarray, " n"], groups: int) -> Float[np.ndarray, "g 4"]:
    columns = _table(words.bad, called).T
    return np.stack([np.bincount(words.group, weights=column, minlength=groups) for column in columns], axis=1)


def _matthews(tables: Float[np.ndarray, "k 4"]) -> Float[np.ndarray, " k"]:
    hits, alarms, misses, passed = tables.T
    scale = np.sqrt((hits + alarms) * (hits + misses) * (passed + alarms) * (passed + misses))
    return np.where(scale > 0, (hits * passed - alarms * misses) / np.where(scale > 0, scale, 1.0), 0.0)


def _estimates(names: Sequence[str], drawn: Float[np.ndarray, "r a"], groups: int) -> dict[str, Estimate]:
    return {name: _estimate(drawn[:, place], groups) for place, name in enumerate(names)}


def _gains(names: Sequence[str], drawn: Float[np.ndarray, "r a"], groups: int) -> dict[str, Estimate]:
    return {name: _estimate(drawn[:, 0] - drawn[:, place], groups) for place, name in enumerate(names) if place}


def _estimate(drawn: Float[np.ndarray, " r"], groups: int) -> Estimate:
    """The first value is that of the data as they are, the others those of the resamples."""
    known = drawn[1:][np.isfinite(drawn[1:])]
    if not np.isfinite(drawn[0]) or len(known) < 2:
        return Estimate(mean=None, n=groups)
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(mean=float(drawn[0]), low=float(low), high=float(high), n=groups, over="prompts")


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
