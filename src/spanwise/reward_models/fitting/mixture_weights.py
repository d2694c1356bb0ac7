"""Weights of a mixture, learnt: from which of two answers people preferred, or from an overall score of answers.

What a source is worth in an answer is the sum of its centred, scaled and clipped scores, as the mixture has it at
weight 1. Preferences give the weights by Bradley-Terry on the differences, overall scores by least squares; both with a
little ridge, so that they stay finite. Intervals are a bootstrap over questions, fitted anew each time. Shapes: n
answers or pairs, k sources.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize

from spanwise.core import DataError, numpy_generator
from spanwise.feedback import FeedbackRecord, RewardSource, Sample, SegmentScores, scores_of
from spanwise.rewards import Mixture, MixtureConfig, SourceWeight

RIDGE = 1e-3


@dataclass(frozen=True)
class LearntWeight:
    """One source's weight with its interval; `scale` is the deviation of its worth over answers."""

    weight: float
    low: float
    high: float
    scale: float

    @property
    def tells(self) -> bool:
        """Whether the interval is clear of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class LearntMixture:
    """The weights by source, and how often they agree with the held-out folds, beside equal weights."""

    weights: dict[str, LearntWeight]
    agreement: float
    """Of pairs the share decided as people did, of scores the correlation, each out of fold."""
    agreement_of_equal: float
    """The same of equal weights for standardised sources."""
    items: int

    def config(self, rules: Mapping[str, SourceWeight]) -> MixtureConfig:
        """The mixture with these weights; everything else as in `rules`."""
        learnt = {name: rules[name].model_copy(update={"weight": one.weight}) for name, one in self.weights.items()}
        return MixtureConfig(sources=learnt)


def worths(
    sources: Sequence[RewardSource], samples: Sequence[Sample], rules: Mapping[str, SourceWeight]
) -> Float[np.ndarray, "n k"]:
    """What each source is worth in each answer at weight 1; nan where it could not be scored.

    Raises ConfigError where sources and rules are not of the same names.
    """
    Mixture(MixtureConfig(sources=dict(rules)), [source.name for source in sources])  # each has its rule
    raw = {source.name: scores_of(source, samples) for source in sources}
    alone = {name: _alone(name, rules[name], list(raw)) for name in raw}
    return np.array([
        [_worth(mixture, name, {other: scores[index] for other, scores in raw.items()}) for name, mixture in
         alone.items()]
        for index in range(len(samples))
    ]).reshape(len(samples), len(raw))  # fmt: skip


def weights_of_preferences(
    sources: Sequence[RewardSource],
    records: Sequence[FeedbackRecord],
    rules: Mapping[str, SourceWeight],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> LearntMixture:
    """Weights with which the mixture prefers what people preferred; pairs with an unscored answer are left out."""
    samples = [Sample.of(record, response.text) for record in records for response in record.responses]
    values = worths(sources, samples, rules)
    gaps: list[np.ndarray] = []
    questions: list[str] = []
    start = 0
    for record in records:
        for pair in record.preferences:
            if pair.winner != "tie":
                first, second = values[start + pair.first], values[start + pair.second]
                gaps.append(first - second if pair.winner == "first" else second - first)
                questions.append(record.question)
        start += len(record.responses)
    kept = [index for index, gap in enumerate(gaps) if np.isfinite(gap).all()]
    rows = np.array([gaps[index] for index in kept]).reshape(len(kept), values.shape[1])
    names = [source.name for source in sources]
    return _learnt(rows, None, [questions[index] for index in kept], names, resamples=resamples, seed=seed)


def weights_of_scores(
    sources: Sequence[RewardSource],
    samples: Sequence[Sample],
    scores: Sequence[float],
    rules: Mapping[str, SourceWeight],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> LearntMixture:
    """Weights with which the mixture is nearest to an overall score of each answer, up to a number for all."""
    values = worths(sources, samples, rules)
    kept = [index for index, row in enumerate(values) if np.isfinite(row).all()]
    target = np.asarray(scores, dtype=float)[kept]
    questions = [samples[index].prompt for index in kept]
    return _learnt(values[kept], target, questions, [source.name for source in sources], resamples=resamples, seed=seed)


def _alone(name: str, rule: SourceWeight, names: Sequence[str]) -> Mixture:
    """The mixture in which this source alone counts, at weight 1."""
    silent = {other: SourceWeight(weight=0.0) for other in names}
    counted = rule.model_copy(update={"weight": 1.0, "final_weight": None, "schedule_steps": 0, "missing": "mask"})
    return Mixture(MixtureConfig(sources={**silent, name: counted}), names)


def _worth(mixture: Mixture, name: str, raw: Mapping[str, SegmentScores]) -> float:
    mixed = mixture.mix(raw)
    return float("nan") if mixed.dropped else sum(mixed.shares[name].values)


def _learnt(
    rows: Float[np.ndarray, "n k"],
    target: Float[np.ndarray, " n"] | None,
    questions: Sequence[Hashable],
    names: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> LearntMixture:
    group = np.unique([str(question) for question in questions], return_inverse=True)[1]
    count = int(group.max()) + 1 if len(group) else 0
    if count < 2:
        raise DataError(f"Weights need scored answers to two questions at least, there are {count}; give more.")
    scale = rows.std(0) if target is not None else np.sqrt((rows**2).mean(0))
    if (scale < 1e-12).any():
        dull = names[int(np.argmin(scale))]
        raise DataError(f"Source {dull!r} says the same of every answer, so it has no weight; leave it out.")
    fitted = _fit(rows / scale, target) / scale
    generator = numpy_generator(seed, "mixture/bootstrap")
    draws = np.array([
        _fit(rows[chosen] / scale, None if target is None else target[chosen]) / scale
        for chosen in (_drawn(group, count, generator) for _ in range(resamples))
    ])  # fmt: skip
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    out_of_fold = _out_of_fold(rows / scale, target, group)
    weights = {
        name: LearntWeight(float(fitted[k]), float(low[k]), float(high[k]), float(scale[k]))
        for k, name in enumerate(names)
    }
    return LearntMixture(weights, _agreement(out_of_fold, target), _agreement((rows / scale).sum(1), target), len(rows))


def _fit(rows: Float[np.ndarray, "n k"], target: Float[np.ndarray, " n"] | None) -> Float[np.ndarray, " k"]:
    ridge = RIDGE * len(rows)
    if target is not None:
        centred, goal = rows - rows.mean(0), target - target.mean()
        return np.linalg.solve(centred.T @ centred + ridge * np.eye(rows.shape[1]), centred.T @ goal)

    def loss(weights: Float[np.ndarray, " k"]) -> tuple[float, Float[np.ndarray, " k"]]:
        margin = rows @ weights
        slope = -1.0 / (1.0 + np.exp(np.clip(margin, -500, 500)))
        value = np.logaddexp(0.0, -margin).sum() + 0.5 * ridge * weights @ weights
        return float(value), rows.T @ slope + ridge * weights

    return minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x


def _drawn(group: Int[np.ndarray, " n"], count: int, generator: np.random.Generator) -> Int[np.ndarray, " m"]:
    """The rows of as many questions drawn with replacement."""
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(count + 1))
    return np.concatenate([order[edges[one] : edges[one + 1]] for one in generator.integers(0, count, size=count)])


def _out_of_fold(
    rows: Float[np.ndarray, "n k"], target: Float[np.ndarray, " n"] | None, group: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    said = np.zeros(len(rows))
    for fold in range(2):
        mine = group % 2 == fold
        said[mine] = rows[mine] @ _fit(rows[~mine], None if target is None else target[~mine])
    return said


def _agreement(said: Float[np.ndarray, " n"], target: Float[np.ndarray, " n"] | None) -> float:
    if target is None:
        return float((said > 0).mean() + 0.5 * (said == 0).mean())
    return float(np.corrcoef(said, target)[0, 1]) if said.std() > 0 and target.std() > 0 else float("nan")
