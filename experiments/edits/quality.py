"""How good the reward models of the study of edits are: which of two answers they prefer, and whether they know where.

Every model is asked through its reward source, so that sequence and token models answer the same questions. A sequence
model says where by occlusion: what its score gains when a word is left out. Knows nothing of training.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np
from sklearn.metrics import roc_auc_score

from experiments.edits.pairs import PairSet, better_and_worse, samples_of
from spanwise.core import ScoringError
from spanwise.feedback import RewardSource, Sample, SegmentScores
from spanwise.reward_models.data import PairExample
from spanwise.text import Span, get_segmenter

Quality = dict[str, float]


def pair_accuracies(source: RewardSource, tests: Mapping[str, PairSet]) -> Quality:
    """Share of pairs whose better answer scores higher, on original and on edit pairs; equal scores count half."""
    found: Quality = {}
    for name, test in tests.items():
        found[f"original/{name}"] = _accuracy(source, [better_and_worse(record) for record in test.original])
        found[f"edits/{name}"] = _accuracy(source, list(samples_of(test.edits)))
    return found


def response_scores(source: RewardSource, samples: Sequence[Sample]) -> list[float]:
    """One number per response: its score, or the mean over its tokens (Xu et al. 2024, equation 1)."""
    return [fmean(_values(scores)) for scores in source.score(samples)]


def localisation(source: RewardSource, examples: Sequence[PairExample], samples: Sequence[Sample]) -> Quality:
    """How well low scores find the tokens of the originals that the edits changed: area under the ROC curve.

    `samples` are the originals of `examples`. auroc leaves the closing token out, where occlusion cannot say
    anything; a token source is also measured with it.
    """
    dense = source.density == "token"
    said = _token_scores(source, samples) if dense else _occlusions(source, samples)
    scores: list[float] = []
    changed: list[bool] = []
    writes: list[bool] = []
    for example, by_span in zip(examples, said, strict=True):
        spans = example.original.segments["token"]
        scores += [_at(span, by_span) for span in spans]
        changed += example.edit.original_changed.tolist()
        writes += [len(span) > 0 for span in spans]
    found = {"auroc": _auroc(changed, scores, writes), "changed": fmean(changed)}
    return {**found, "auroc_with_end": _auroc(changed, scores, [True] * len(changed))} if dense else found


def _accuracy(source: RewardSource, pairs: Sequence[tuple[Sample, Sample]]) -> float:
    if not pairs:
        return float("nan")
    scores = response_scores(source, [sample for pair in pairs for sample in pair])
    gaps = [better - worse for better, worse in zip(scores[::2], scores[1::2], strict=True)]
    return fmean(1.0 if gap > 0 else 0.5 if gap == 0 else 0.0 for gap in gaps)


def _token_scores(source: RewardSource, samples: Sequence[Sample]) -> list[dict[Span, float]]:
    return [
        dict(zip((score.span for score in scores.scores), _values(scores), strict=True))
        for scores in source.score(samples)
    ]


def _occlusions(source: RewardSource, samples: Sequence[Sample]) -> list[dict[Span, float]]:
    """Of each word: the score of the response less its score without that word; low = the word harms."""
    words = [[span for span in get_segmenter("window:1")(s.response) if span.of(s.response).strip()] for s in samples]
    asked: list[Sample] = []
    for sample, spans in zip(samples, words, strict=True):
        text = sample.response
        without = [text[: span.start] + text[span.end :] for span in spans] if len(spans) > 1 else []
        asked += [sample, *(Sample(sample.prompt, rest.strip(), sample.passages) for rest in without)]
    scores = response_scores(source, asked)
    edges = np.cumsum([0, *(1 + (len(spans) if len(spans) > 1 else 0) for spans in words)]).tolist()
    return [
        {span: scores[start] - score for span, score in zip(spans, scores[start + 1 : end], strict=False)}
        for spans, (start, end) in zip(words, pairwise(edges), strict=True)
    ]


def _at(token: Span, scores: Mapping[Span, float]) -> float:
    """The score of the token, or of the word that it overlaps most; 0 of none."""
    if token in scores:
        return scores[token]
    best = max(scores, key=token.overlap, default=None)
    return scores[best] if best is not None and token.overlap(best) else 0.0


def _values(scores: SegmentScores) -> list[float]:
    values = [score.value for score in scores.scores if isinstance(score.value, float | int)]
    if scores.missing is not None or not values or len(values) < len(scores.scores):
        raise ScoringError("A reward model could not score an answer of the test; shorten the answers of the study.")
    return [float(value) for value in values]


def _auroc(changed: Sequence[bool], scores: Sequence[float], counted: Sequence[bool]) -> float:
    keep = np.array(counted)
    return float(roc_auc_score(np.array(changed)[keep], -np.array(scores)[keep]))
