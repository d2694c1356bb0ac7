"""Over-optimisation: does what was trained on (the proxy) still agree with what was wanted (the gold score)?

A course is the proxy, the gold score and the KL of one run at every evaluation, prompt by prompt; `read_course` makes
it of the answers in a run folder. From it follow the step at which to stop, whether later steps are worse by more than
chance, and the curve gold(KL) of Gao et al. 2023 (arXiv 2210.10760). Knows nothing of pages.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from jaxtyping import Bool
from scipy.optimize import lsq_linear

from spanwise.core import DataError, numpy_generator
from spanwise.evals.runs.folders import SampleRow, read_run
from spanwise.evals.runs.pareto import front
from spanwise.evals.statistics import Estimate, ScoreTable, estimate, paired_difference
from spanwise.feedback import PromptRecord, RewardSource, Sample, Unscored, scores_of

_NO_PEAK = 20.0  # alpha / beta of a peak at exp(38) nats: a straight line, fitted in floating point
Gold = Callable[[Sequence[Sample]], list["float | Unscored"]]
"""The score of each sample that training did not see."""
MIN_PROMPTS = 4


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a run; all tables are of the same prompts."""

    step: int
    proxy: ScoreTable
    gold: ScoreTable
    kl: ScoreTable


@dataclass(frozen=True)
class StepFigures:
    """One evaluation as estimates."""

    step: int
    proxy: Estimate
    gold: Estimate
    kl: float
    """NaN where the run measured none."""
    on_frontier: bool
    """No other step has a higher gold score at no more KL."""


@dataclass(frozen=True)
class StopAdvice:
    """Where to stop, and what was lost after it."""

    step: int
    """The step with the highest mean gold score."""
    last_step: int
    gold_after: Estimate
    """Gold score of the last step less that of the best step, on prompts that did not choose the best step."""
    proxy_after: Estimate
    """The same of the proxy."""

    @property
    def over_optimised(self) -> bool:
        """Whether the gold score fell by more than chance while the proxy did not."""
        gold, proxy = self.gold_after, self.proxy_after
        fell = gold.high is not None and gold.high < 0
        return fell and proxy.mean is not None and not (proxy.high is not None and proxy.high < 0)


@dataclass(frozen=True)
class GoldCurve:
    """gold(d) = start + d * (alpha - beta * ln d) with d = sqrt(KL), as Gao et al. find for reinforcement learning."""

    start: float
    alpha: float
    beta: float

    @property
    def peak_kl(self) -> float | None:
        """The KL at which the curve is highest; None where it has no peak, or one beyond any run."""
        if self.beta <= 0 or self.alpha / self.beta > _NO_PEAK:
            return None
        return math.exp(self.alpha / self.beta - 1) ** 2

    def at(self, kl: float) -> float:
        """The curve's gold score at a KL (nats per response)."""
        distance = math.sqrt(max(0.0, kl))
        return self.start + (distance * (self.alpha - self.beta * math.log(distance)) if distance else 0.0)


def step_figures(course: Sequence[Evaluated]) -> list[StepFigures]:
    """Means with intervals over prompts, step by step, and the frontier of KL and gold score."""
    kl = [_mean(evaluated.kl) for evaluated in course]
    gold = [
        estimate(evaluated.gold, generator=numpy_generator(evaluated.step, "overoptimisation/gold"))
        for evaluated in course
    ]
    points = np.array([[k, math.nan if g.mean is None else g.mean] for k, g in zip(kl, gold, strict=True)])
    frontier = front(points.reshape(-1, 2), ("lower", "higher"))
    return [
        StepFigures(
            step=evaluated.step,
            proxy=estimate(evaluated.proxy, generator=numpy_generator(evaluated.step, "overoptimisation/proxy")),
            gold=gold[index],
            kl=kl[index],
            on_frontier=index in frontier,
        )
        for index, evaluated in enumerate(course)
    ]


def advise(course: Sequence[Evaluated]) -> StopAdvice:
    """Where the run should have stopped; raises DataError for fewer than two evaluations or four prompts.

    The best of many noisy means is high by luck, and what follows it looks like a fall. So the fall is measured
    across: each half of the prompts chooses a best step, and the other half says what was lost after it.
    """
    if len(course) < 2:
        raise DataError("One evaluation says nothing of a course; give a run with two or more.")
    prompts = len(course[0].gold.ids)
    if prompts < 4:
        raise DataError(f"{prompts} prompts are too few to choose a step and to judge it; log four or more.")
    last = course[-1]
    halves = [np.arange(prompts) % 2 == parity for parity in (0, 1)]
    gold: list[tuple[ScoreTable, ScoreTable]] = []
    proxy: list[tuple[ScoreTable, ScoreTable]] = []
    for judging, choosing in (halves, halves[::-1]):
        best = course[_best(course, choosing)]
        gold.append(_after(last.gold, best.gold, judging))
        proxy.append(_after(last.proxy, best.proxy, judging))
    best = course[_best(course, np.ones(prompts, dtype=np.bool_))]
    names = ("overoptimisation/after", "overoptimisation/proxy-after")
    after = [
        paired_difference(*_joined(pairs), generator=numpy_generator(best.step, name))
        for pairs, name in zip((gold, proxy), names, strict=True)
    ]
    return StopAdvice(best.step, last.step, after[0], after[1])


def fit_gold_curve(kl: Sequence[float], gold: Sequence[float]) -> GoldCurve:
    """The least-squares curve through points of one or several runs; beta is at least 0, as in the paper.

    Raises DataError for fewer than three points at different KL.
    """
    if len(set(kl)) < 3:
        raise DataError("A curve of three parameters needs points at three KLs or more.")
    distances = np.sqrt(np.clip(np.array(kl, dtype=np.float64), 0.0, None))
    logs = np.log(distances, out=np.zeros_like(distances), where=distances > 0)
    design = np.stack([np.ones_like(distances), distances, -distances * logs], axis=1)
    solution = lsq_linear(design, np.array(gold, dtype=np.float64), bounds=([-np.inf, -np.inf, 0.0], np.inf))
    start, alpha, beta = (float(value) for value in solution.x)
    return GoldCurve(start, alpha, beta)


def read_course(run: Path, gold: Gold, prompts: Mapping[str, PromptRecord]) -> list[Evaluated]:
    """One entry per evaluation; `prompts` by their text give passages back to the answers.

    Raises DataError where the run logged too few answers, or an answer to a prompt that is not among `prompts`.
    """
    rows = read_run(run, run.name).samples
    steps: dict[int, list[SampleRow]] = {}
    for row in rows:
        steps.setdefault(row.step, []).append(row)
    first = steps[min(steps)] if steps else []
    if len({row.prompt for row in first}) < MIN_PROMPTS or len(steps) < 2:
        raise DataError(
            f"{run}: samples.jsonl holds answers to {len(first)} prompts at {len(steps)} evaluations; set "
            f"evaluation.logged_samples to {MIN_PROMPTS} or more and evaluate twice or more."
        )
    for row in rows:
        if row.prompt not in prompts:
            raise DataError(f"{run}: an answer to {row.prompt[:80]!r}, which is no prompt of the file given.")
    return [_evaluated(step, step_rows, gold, prompts) for step, step_rows in sorted(steps.items())]


def proxy_course(samples: Sequence[SampleRow]) -> list[Evaluated]:
    """The course of a run by its own reward alone, which stands for the gold score as well."""
    steps: dict[int, list[SampleRow]] = {}
    for row in samples:
        steps.setdefault(row.step, []).append(row)
    return [_by_proxy(step, step_rows) for step, step_rows in sorted(steps.items())]


def ensemble_gold(sources: Sequence[RewardSource], start: Sequence[Sample]) -> Gold:
    """The mean of several sources, each standardised over the answers `start` (those before training).

    A response's score from one source is the mean over its segments, so that length earns nothing.
    """
    scales = [_scale(source, start) for source in sources]

    def score(samples: Sequence[Sample]) -> list[float | Unscored]:
        means = [_means(source, samples) for source in sources]
        rows = zip(*means, strict=True)
        return [_standardised(row, scales) for row in rows]

    return score


def start_samples(run: Path, prompts: Mapping[str, PromptRecord]) -> list[Sample]:
    """The answers that the run logged first, as a source reads them."""
    rows = read_run(run, run.name).samples
    first = min((row.step for row in rows), default=0)
    return [_sample(row, prompts) for row in rows if row.step == first and row.prompt in prompts]


def _best(course: Sequence[Evaluated], chosen: Bool[np.ndarray, " p"]) -> int:
    means = [_mean(evaluated.gold.where(evaluated.gold.mask & chosen[None])) for evaluated in course]
    return max(range(len(course)), key=lambda index: -math.inf if math.isnan(means[index]) else means[index])


def _after(last: ScoreTable, best: ScoreTable, chosen: Bool[np.ndarray, " p"]) -> tuple[ScoreTable, ScoreTable]:
    both = last.mask & best.mask & chosen[None]
    return last.where(both), best.where(both)


def _joined(pairs: Sequence[tuple[ScoreTable, ScoreTable]]) -> tuple[ScoreTable, ScoreTable]:
    """The halves put together again: prompts of both, each against the step that the other half chose."""
    sides = list(zip(*pairs, strict=True))
    first, second = (
        ScoreTable(
            tuple(key for part in side for key in part.ids),
            np.concatenate([part.totals for part in side], axis=1),
            np.concatenate([part.counts for part in side], axis=1),
            side[0].seeds,
        )
        for side in sides
    )
    return first, second


def _mean(table: ScoreTable) -> float:
    count = float(table.counts.sum())
    return float(table.totals.sum()) / count if count else math.nan


def _evaluated(step: int, rows: Sequence[SampleRow], gold: Gold, prompts: Mapping[str, PromptRecord]) -> Evaluated:
    names = list(_numbered(rows))
    judged = gold([_sample(row, prompts) for row in rows])
    proxy = {name: _total(row) for name, row in zip(names, rows, strict=True)}
    kl = {name: _kl(row) for name, row in zip(names, rows, strict=True)}
    return Evaluated(
        step=step,
        proxy=ScoreTable.from_values(proxy),
        gold=ScoreTable.from_values(dict(zip(names, judged, strict=True))),
        kl=ScoreTable.from_values(kl),
    )


def _kl(row: SampleRow) -> float | None:
    """Of a whole answer; None where the run measured none."""
    return sum(value or 0.0 for value in row.kl) if row.kl or not row.tokens else None


def _by_proxy(step: int, rows: Sequence[SampleRow]) -> Evaluated:
    proxy = ScoreTable.from_values({name: _total(row) for name, row in zip(_numbered(rows), rows, strict=True)})
    return Evaluated(step, proxy, proxy, ScoreTable.from_values(dict.fromkeys(proxy.ids, None)))


def _numbered(rows: Sequence[SampleRow]) -> Iterator[str]:
    """A name for each answer: its prompt, and its number among the answers to it."""
    seen: dict[str, int] = {}
    for row in rows:
        number = seen.get(row.prompt, 0)
        seen[row.prompt] = number + 1
        yield f"{row.prompt}#{number}"


def _total(row: SampleRow) -> float | Unscored:
    known = [value for value in row.token_scores if value is not None]
    return Unscored("left out in training") if row.dropped or len(known) < len(row.token_scores) else sum(known)


def _sample(row: SampleRow, prompts: Mapping[str, PromptRecord]) -> Sample:
    record = prompts[row.prompt]
    return Sample.of(record, row.response, metadata=record.metadata)


def _scale(source: RewardSource, samples: Sequence[Sample]) -> tuple[float, float]:
    known = [value for value in _means(source, samples) if not isinstance(value, Unscored)]
    if len(known) < 2 or stdev(known) == 0:
        raise DataError(f"The gold source {source.name!r} gives the answers before training no spread; take another.")
    return fmean(known), stdev(known)


def _means(source: RewardSource, samples: Sequence[Sample]) -> list[float | Unscored]:
    means: list[float | Unscored] = []
    for scores in scores_of(source, samples):
        values = [segment.value for segment in scores.scores]
        known = [value for value in values if not isinstance(value, Unscored)]
        whole = known and len(known) == len(values) and scores.missing is None
        means.append(fmean(known) if whole else scores.missing or Unscored("no segment, or one without a score"))
    return means


def _standardised(row: Sequence[float | Unscored], scales: Sequence[tuple[float, float]]) -> float | Unscored:
    gap = next((value for value in row if isinstance(value, Unscored)), None)
    if gap is not None:
        return gap
    known = [value for value in row if not isinstance(value, Unscored)]
    return fmean((value - mean) / deviation for value, (mean, deviation) in zip(known, scales, strict=True))
