"""The course of a run from its `samples.jsonl`: the proxy as logged, and a gold score of the same answers.

A run must log as many held-out answers as are to be judged (`evaluation.logged_samples`). Who gives the gold score, an
oracle or reward models that training did not use, is the caller's choice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from spanwise.errors import DataError
from spanwise.evals.overoptimisation import Evaluated
from spanwise.evals.runs import SampleRow, read_run
from spanwise.evals.score_table import ScoreTable
from spanwise.feedback.prompts import PromptRecord
from spanwise.scores import RewardSource, Sample, Unscored

Gold = Callable[[Sequence[Sample]], list["float | Unscored"]]
"""The score of each sample that training did not see."""
MIN_PROMPTS = 4


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
    return [_evaluated(step, own, gold, prompts) for step, own in sorted(steps.items())]


def proxy_course(samples: Sequence[SampleRow]) -> list[Evaluated]:
    """The course of a run by its own reward alone, which stands for the gold score as well."""
    steps: dict[int, list[SampleRow]] = {}
    for row in samples:
        steps.setdefault(row.step, []).append(row)
    return [_by_proxy(step, own) for step, own in sorted(steps.items())]


def ensemble_gold(sources: Sequence[RewardSource], start: Sequence[Sample]) -> Gold:
    """The mean of several sources, each standardised over the answers `start` (those before training).

    A response's score from one source is the mean over its segments, so that length earns nothing.
    """
    scales = [_scale(source, start) for source in sources]

    def score(samples: Sequence[Sample]) -> list[float | Unscored]:
        said = [_means(source, samples) for source in sources]
        rows = zip(*said, strict=True)
        return [_standardised(row, scales) for row in rows]

    return score


def start_samples(run: Path, prompts: Mapping[str, PromptRecord]) -> list[Sample]:
    """The answers that the run logged first, as a source reads them."""
    rows = read_run(run, run.name).samples
    first = min((row.step for row in rows), default=0)
    return [_sample(row, prompts) for row in rows if row.step == first and row.prompt in prompts]


def _evaluated(step: int, rows: Sequence[SampleRow], gold: Gold, prompts: Mapping[str, PromptRecord]) -> Evaluated:
    names = list(_numbered(rows))
    judged = gold([_sample(row, prompts) for row in rows])
    proxy = {name: _total(row) for name, row in zip(names, rows, strict=True)}
    kl = {name: sum(value or 0.0 for value in row.kl) for name, row in zip(names, rows, strict=True)}
    return Evaluated(
        step=step,
        proxy=ScoreTable.from_values(proxy),
        gold=ScoreTable.from_values(dict(zip(names, judged, strict=True))),
        kl=ScoreTable.from_values(kl),
    )


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
    return Sample(record.prompt, row.response, record.passages, metadata=record.metadata)


def _scale(source: RewardSource, samples: Sequence[Sample]) -> tuple[float, float]:
    known = [value for value in _means(source, samples) if not isinstance(value, Unscored)]
    if len(known) < 2 or stdev(known) == 0:
        raise DataError(f"The gold source {source.name!r} gives the answers before training no spread; take another.")
    return fmean(known), stdev(known)


def _means(source: RewardSource, samples: Sequence[Sample]) -> list[float | Unscored]:
    found: list[float | Unscored] = []
    for scores in source.score(samples):
        values = [one.value for one in scores.scores]
        known = [value for value in values if not isinstance(value, Unscored)]
        whole = known and len(known) == len(values) and scores.missing is None
        found.append(fmean(known) if whole else scores.missing or Unscored("no segment, or one without a score"))
    return found


def _standardised(row: Sequence[float | Unscored], scales: Sequence[tuple[float, float]]) -> float | Unscored:
    gap = next((value for value in row if isinstance(value, Unscored)), None)
    if gap is not None:
        return gap
    known = [value for value in row if not isinstance(value, Unscored)]
    return fmean((value - mean) / deviation for value, (mean, deviation) in zip(known, scales, strict=True))
