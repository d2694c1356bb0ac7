"""Spoilt answers under reward sources and changed prompts under policies, each paired with the unchanged.

Knows nothing of files, or of how answers are made. A difference is of one prompt's two answers, and its interval a
bootstrap over prompts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spanwise.core import numpy_generator
from spanwise.evals.metrics import AnswerText, text_scores
from spanwise.evals.robustness.perturbations import CANARY, PERTURBATIONS
from spanwise.evals.robustness.probes import PROBES
from spanwise.evals.statistics import Estimate, ScoreTable, paired_difference
from spanwise.feedback import PromptRecord, RewardSource, Sample, SegmentScores, Unscored, scores_of
from spanwise.text import split_words

Truth = Callable[[PromptRecord, str], float]
"""The true score of an answer to a prompt, changed or not, where it is known."""
_COPIED = 6  # words in a row that also stand in a passage are copied
TEXT = ("rouge_lsum", "words", "distinct_2")


@dataclass(frozen=True)
class ProbeRow:
    """What one source pays for one way to spoil answers."""

    source: str
    probe: str
    pays: Estimate
    """Score of the spoilt answer less that of the ordinary one, in deviations of the ordinary ones."""
    better: float | None
    """Share of the prompts where the spoilt answer scores higher."""
    unscored: float
    """Share of spoilt answers that the source could not score: they would be left out, not paid."""
    truth: Estimate | None = None
    """The same of the true score, in its own units, where it is known."""

    @property
    def is_paid(self) -> bool:
        """Whether the source surely pays it, and by the true score, where that is known, not with right."""
        earned = self.truth is not None and self.truth.low is not None and self.truth.low > 0
        return self.pays.low is not None and self.pays.low > 0 and not earned

    @property
    def sentence(self) -> str:
        """What to know before the source is used for RL."""
        title = PROBES[self.probe].title
        if self.pays.mean is None:
            return f"{self.source} could not score {title}."
        ends = "" if self.pays.low is None else f" [{self.pays.low:+.2f}, {self.pays.high:+.2f}]"
        verb = "pays" if self.is_paid else "does not surely pay"
        return f"{self.source} {verb} {title}: {self.pays.mean:+.2f} deviations{ends}."

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the sentence included."""
        values = asdict(self) | {"pays": self.pays.model_dump(), "sentence": self.sentence, "is_paid": self.is_paid}
        return values | {"truth": None if self.truth is None else self.truth.model_dump()}


@dataclass(frozen=True)
class StressRow:
    """What one change of prompts does to one figure of one policy's answers."""

    policy: str
    perturbation: str
    metric: str
    plain: float | None
    """The mean under the unchanged prompts that the change applies to."""
    change: Estimate
    """Under the changed prompt less that under the unchanged."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        kind = PERTURBATIONS[self.perturbation].kind if self.perturbation in PERTURBATIONS else "paraphrased"
        return asdict(self) | {"change": self.change.model_dump(), "kind": kind}


@dataclass(frozen=True)
class Draws:
    """How intervals are had."""

    resamples: int = 2000
    level: float = 0.95
    seed: int = 0

    def difference(self, changed: ScoreTable, plain: ScoreTable) -> Estimate:
        """The paired difference with its interval."""
        generator = numpy_generator(self.seed, "robustness/bootstrap")
        return paired_difference(changed, plain, generator=generator, resamples=self.resamples, level=self.level)


def total(scores: SegmentScores) -> float | None:
    """What a source pays a whole answer: the sum of its scores; None where a part could not be scored."""
    values = [score.value for score in scores.scores]
    known = [float(value) for value in values if not isinstance(value, Unscored)]
    return sum(known) if scores.missing is None and len(known) == len(values) else None


def probe_sources(
    sources: Sequence[RewardSource],
    records: Mapping[str, PromptRecord],
    answers: Mapping[str, str],
    *,
    probes: Sequence[str] = tuple(PROBES),
    truth: Truth | None = None,
    draws: Draws | None = None,
) -> list[ProbeRow]:
    """Spoils each answer in each way and asks every source for both; `answers` are by the ids of `records`."""
    draws, keys = draws or Draws(), list(answers)
    rows: list[ProbeRow] = []
    spoilt = {name: _spoilt(name, records, answers, keys) for name in probes}
    for source in sources:
        ordinary = _totals(source, records, answers)
        known = [value for value in ordinary.values() if value is not None]
        deviation = float(np.std(known)) if len(known) > 1 else 0.0
        for name, texts in spoilt.items():
            if not texts:
                continue
            paid = _totals(source, records, texts)
            both = [(value, ordinary[key]) for key, value in paid.items()]
            gaps = [value - before for value, before in both if value is not None and before is not None]
            rows.append(
                ProbeRow(
                    source.name,
                    name,
                    draws.difference(_table(paid, deviation), _table({k: ordinary[k] for k in texts}, deviation)),
                    float(np.mean([gap > 1e-9 for gap in gaps])) if gaps else None,
                    float(np.mean([value is None for value in paid.values()])),
                    None if truth is None else _true_change(truth, records, texts, answers, draws),
                )
            )
    return rows


def stress(
    policy: str,
    perturbation: str,
    plain: Mapping[str, tuple[PromptRecord, str]],
    changed: Mapping[str, tuple[PromptRecord, str]],
    *,
    sources: Sequence[RewardSource] = (),
    truth: Truth | None = None,
    draws: Draws | None = None,
) -> list[StressRow]:
    """Every figure of the answers under changed prompts, less that under the unchanged; both by id."""
    draws = draws or Draws()
    before = _figures({key: plain[key] for key in changed}, sources, truth)
    after = _figures(changed, sources, truth)
    return [
        StressRow(policy, perturbation, name, _mean(before[name]), draws.difference(table, before[name]))
        for name, table in after.items()
        if name in before
    ]


def _spoilt(
    name: str, records: Mapping[str, PromptRecord], answers: Mapping[str, str], keys: Sequence[str]
) -> dict[str, str]:
    texts = {
        key: PROBES[name].spoil(answers[key], records[key], answers[keys[(place + 1) % len(keys)]])
        for place, key in enumerate(keys)
    }
    return {key: text for key, text in texts.items() if text is not None}


def _totals(
    source: RewardSource, records: Mapping[str, PromptRecord], answers: Mapping[str, str]
) -> dict[str, float | None]:
    scored = scores_of(source, [Sample.of(records[key], text) for key, text in answers.items()])
    return dict(zip(answers, map(total, scored), strict=True))


def _table(values: Mapping[str, float | None], unit: float = 1.0) -> ScoreTable:
    """A unit of 0, of answers that all score alike, leaves values as they are."""
    size = unit if unit > 1e-12 else 1.0
    return ScoreTable.from_values({key: None if value is None else value / size for key, value in values.items()})


def _true_change(
    truth: Truth,
    records: Mapping[str, PromptRecord],
    texts: Mapping[str, str],
    answers: Mapping[str, str],
    draws: Draws,
) -> Estimate:
    spoilt = {key: truth(records[key], text) for key, text in texts.items()}
    return draws.difference(_table(spoilt), _table({key: truth(records[key], answers[key]) for key in texts}))


def _figures(
    answered: Mapping[str, tuple[PromptRecord, str]], sources: Sequence[RewardSource], truth: Truth | None
) -> dict[str, ScoreTable]:
    texts = [AnswerText(key, text, record.references) for key, (record, text) in answered.items()]
    measured = text_scores(texts)
    tables = {name: measured[name] for name in TEXT if name in measured}
    tables["copied"] = _table({key: copied_share(text, record) for key, (record, text) in answered.items()})
    tables["obeys"] = _table({key: float(CANARY in text) for key, (_, text) in answered.items()})
    records = {key: record for key, (record, _) in answered.items()}
    own = {key: text for key, (_, text) in answered.items()}
    tables |= {f"reward/{source.name}": _table(_totals(source, records, own)) for source in sources}
    if truth is not None:
        tables["true score"] = _table({key: truth(records[key], text) for key, text in own.items()})
    return tables


def copied_share(answer: str, record: PromptRecord) -> float:
    """The share of an answer's words that stand in six or more in a row of its passages."""
    words = split_words(answer.lower())
    read = {run for passage in record.passages for run in _runs(split_words(passage.text.lower()))}
    covered = {place + step for place, run in enumerate(_runs(words)) if run in read for step in range(_COPIED)}
    return len(covered) / len(words) if words else 0.0


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(_COPIED)), strict=False))


def _mean(table: ScoreTable) -> float | None:
    counts = float(table.counts.sum())
    return float(table.totals.sum()) / counts if counts else None
