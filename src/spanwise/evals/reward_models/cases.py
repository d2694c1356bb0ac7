"""What a reward model says of labelled feedback, case by case, as the source that training would use.

Scores are those of `rewards/learned.py`, labels those that training would make of the records; both cut responses by
the same segmenter, so that the n-th score belongs to the n-th label.
"""

from collections.abc import Sequence
from statistics import fmean

from spanwise.evals.reward_models.bias import HeadCases, PairCase, SegmentCase
from spanwise.feedback import FeedbackRecord, Sample, SegmentScores, Unscored
from spanwise.reward_models import RewardModelConfig
from spanwise.reward_models.data import RecordLabels, label_records
from spanwise.rewards import LearnedRewards
from spanwise.text import count_words


def collect_cases(
    settings: RewardModelConfig, rewards: LearnedRewards, records: Sequence[FeedbackRecord]
) -> tuple[dict[str, HeadCases], dict[str, list[float | None]]]:
    """Cases by head, and by head the mean score of every response (None = it could not be scored)."""
    names = [head.name for head in rewards.heads]
    settings = settings.model_copy(update={"heads": tuple(names)})
    labelled, _ = label_records(
        records,
        spans=settings.span_rules,
        completeness=settings.completeness if "completeness" in names else None,
        preference="preference" in names,
    )
    cases = {name: HeadCases() for name in names}
    means: dict[str, list[float | None]] = {name: [] for name in names}
    for labels in labelled:
        record = labels.record
        samples = [Sample.of(record, response.text) for response in record.responses]
        response_scores = rewards.score_all(samples)
        for name in names:
            head_scores = [_values(scores[name]) for scores in response_scores]
            means[name] += [fmean(values) if values else None for values in head_scores]
            _add_segments(cases[name], labels, name, head_scores)
            _add_pairs(cases[name], labels, name, head_scores)
    return cases, means


def _values(scores: SegmentScores) -> list[float]:
    """All scores of a response, or none where one is missing."""
    values = [score.value for score in scores.scores]
    known: list[float] = [value for value in values if not isinstance(value, Unscored)]
    return known if len(known) == len(values) and scores.missing is None else []


def _add_segments(cases: HeadCases, labels: RecordLabels, head: str, scores: Sequence[Sequence[float]]) -> None:
    for position, segment_labels in labels.segments.get(head, {}).items():
        text = labels.record.responses[position].text
        for label, score in zip(
            segment_labels, scores[position], strict=False
        ):  # a response that was not scored has no scores
            if label.correct is not None:
                words = count_words(label.span.of(text))
                cases.segments.append(SegmentCase(score, label.correct == 1.0, words, label.span.start / len(text)))


def _add_pairs(cases: HeadCases, labels: RecordLabels, head: str, scores: Sequence[Sequence[float]]) -> None:
    for pair in labels.pairs.get(head, ()):
        better, worse = scores[pair.better], scores[pair.worse]
        if better and worse:
            words = [count_words(labels.record.responses[response].text) for response in (pair.better, pair.worse)]
            cases.pairs.append(PairCase(better[0], worse[0], words[0], words[1], pair.better_first))
