"""The four reward models on real human marks, out of fold by question, beside the answers that any model must beat.

Every fold trains reward models with `train_reward_model`, as `spanwise reward train` does, on the other folds alone and
scores its answers with `LearnedRewards`, as `spanwise rl` does: what is reported is what a user of these configs gets.
Beside them the majority class and a logistic regression on 14 surface features. What is chosen or calibrated is
chosen inside the training folds. Intervals are bootstraps over questions.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field
from scipy.special import expit, logit
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from experiments.lib.encoder import load_encoder
from experiments.lib.pages import interval_words, table
from experiments.lib.study import Say, Study
from experiments.qa_feedback.data import folds_by_question, load_feedback
from spanwise.core import Config, numpy_generator, write_json, write_text
from spanwise.evals.statistics import ScoreTable, estimate, paired_difference
from spanwise.feedback import FeedbackRecord, Sample, SegmentScores
from spanwise.reward_models import PAIR_HEADS, RewardModelConfig
from spanwise.reward_models.data import Pair, RecordLabels, label_records
from spanwise.reward_models.features import SURFACE_FEATURES, response_features, segment_features
from spanwise.reward_models.fitting import (
    Backbone,
    Block,
    expected_calibration_error,
    fit_pair_head,
    fit_segment_head,
    train_reward_model,
)
from spanwise.rewards import LearnedRewards

Flags = Bool[np.ndarray, " n"]
Floats = Float[np.ndarray, "..."]
PAPER = {"relevance": 0.696, "factuality": 0.778, "completeness": 0.709, "preference": 0.572}
SURFACE = len(SURFACE_FEATURES)
RECIPE = Path(__file__).parents[2] / "recipes" / "qa_feedback" / "reward.yaml"
ARMS = {
    # One layer is the least that a backbone can have; its states get no weight.
    "features": ["layers=1", "fitting.state_scales=[0]"],
    "features+states": [],
}
"""What is changed in the recipe's config."""


@dataclass(frozen=True)
class Items:
    """What a head is judged on, segments or pairs, in the order of `_items`."""

    record: np.ndarray
    """Number of each item's record."""
    right: np.ndarray
    """Of each segment whether it is right; of each pair True."""
    pairs: bool


class QaFeedbackConfig(Config):
    """Sizes of the study; how the models learn is in recipes/qa_feedback/reward.yaml."""

    folds: int = Field(default=5, ge=2)
    """Folds of questions."""
    seed: int = 0
    """Seed of the folds and of the resamples."""
    backbone: str = ""
    """Hugging Face encoder; empty: the installed all-MiniLM-L6-v2."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first records, for a trial."""


class QaFeedback(Study[QaFeedbackConfig, dict[str, Any]]):
    """One run over all folds."""

    seeds = ()
    threads = 1

    @classmethod
    def defaults(cls) -> QaFeedbackConfig:
        """Five folds."""
        return QaFeedbackConfig()

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> dict[str, Any]:  # noqa: ARG002
        """Trains every arm on every fold and compares what they say of the others."""
        started, settings = time.time(), self.settings
        records = load_feedback(self.place.data)[: settings.limit]
        fold = np.array(folds_by_question(records, count=settings.folds, seed=settings.seed))
        recipe = RewardModelConfig.load(RECIPE)
        labelled, left_out = label_records(records, spans=recipe.span_rules, completeness=recipe.completeness)
        logits = {"surface": _surface(labelled, recipe.heads, fold)}
        backbone = load_encoder(settings.backbone)
        for arm, overrides in ARMS.items():
            logits[arm] = _learned(RewardModelConfig.load(RECIPE, overrides), labelled, fold, backbone)
            say(f"{arm}: {(time.time() - started) / 60:.1f} minutes")
        heads: dict[str, Any] = {}
        for head in recipe.heads:
            by_arm = {arm: values[head] for arm, values in logits.items()}
            heads[head] = _compare(_items(labelled, head), by_arm, [r.id for r in records], settings.seed)
        minutes = round((time.time() - started) / 60, 1)
        return {
            "records": len(records), "left_out": left_out, "folds": settings.folds, "heads": heads, "minutes": minutes,
        }  # fmt: skip

    def pages(self, result: dict[str, Any], say: Say, *, command: str) -> None:  # noqa: ARG002
        """results.json and table.md in the output folder."""
        write_json(self.place.output / "results.json", result)
        write_text(self.place.output / "table.md", _table(result))
        say(f"\n{_table(result)}")


def _items(labelled: Sequence[RecordLabels], head: str) -> Items:
    if head in PAIR_HEADS:
        record = [number for number, labels in enumerate(labelled) for _ in labels.pairs[head]]
        return Items(np.array(record), np.ones(len(record), dtype=bool), pairs=True)
    found = [(number, label.correct == 1) for number, labels in enumerate(labelled) for label in _known(labels, head)]
    return Items(np.array([number for number, _ in found]), np.array([right for _, right in found]), pairs=False)


def _known(labels: RecordLabels, head: str) -> Iterator[Any]:
    return (s for segments in labels.segments[head].values() for s in segments if s.correct is not None)


Logits = dict[str, np.ndarray]
"""By head: of each segment the logit that it is right, of each pair that of better minus worse."""


def _learned(config: RewardModelConfig, labelled: Sequence[RecordLabels], fold: np.ndarray, body: Backbone) -> Logits:
    """What reward models say that have seen other questions alone."""
    said: dict[str, dict[int, list[float]]] = {head: {} for head in config.heads}
    for number in range(fold.max() + 1):
        training = [labels.record for labels, of in zip(labelled, fold, strict=True) if of != number]
        run = train_reward_model(config, training, backbone=body)
        rewards = LearnedRewards(run.model, run.tokenizer)
        spread = {head.name: head.std for head in rewards.heads}
        for place in np.flatnonzero(fold == number).tolist():
            labels = labelled[place]
            scores = rewards.score_all([_sample(labels.record, at) for at in range(len(labels.record.responses))])
            for head in config.heads:
                said[head][place] = _said(labels, head, [one[head] for one in scores], spread[head])
    return {head: np.array([x for place in sorted(found) for x in found[place]]) for head, found in said.items()}


def _said(labels: RecordLabels, head: str, scores: Sequence[SegmentScores], spread: float) -> list[float]:
    """Rewards turned back into logits: segments are paid 2 P - 1, sequences in standard deviations."""
    if head in PAIR_HEADS:
        whole = [_values(one)[0] * spread for one in scores]
        return [whole[pair.better] - whole[pair.worse] for pair in labels.pairs[head]]
    return [
        float(logit((value + 1) / 2))
        for at, segments in labels.segments[head].items()
        for segment, value in zip(segments, _values(scores[at]), strict=True)
        if segment.correct is not None
    ]


def _values(scores: SegmentScores) -> list[float]:
    values = [score.value for score in scores.scores if isinstance(score.value, float)]
    if scores.missing is not None or len(values) < len(scores.scores):
        raise SystemExit(f"A response could not be scored: {scores.missing}.")
    return values


def _surface(labelled: Sequence[RecordLabels], heads: Sequence[str], fold: np.ndarray) -> Logits:
    """Logistic regression on the 14 surface features; of whole responses on their means over sub-sentences."""
    whole = [
        np.stack(
            [response_features(_sample(labels.record, at))[:SURFACE] for at in range(len(labels.record.responses))]
        )
        for labels in labelled
    ]
    logits: Logits = {}
    for head in heads:
        items = _items(labelled, head)
        learner = _surface_pairs(labelled, head, whole) if items.pairs else _surface_segments(labelled, head, items)
        values = np.zeros(len(items.right))
        for number in range(fold.max() + 1):
            train, test = (fold != number)[items.record], (fold == number)[items.record]
            values[test] = learner(train, test)
        logits[head] = values
    return logits


Fitted = Callable[[Flags, Flags], Floats]
"""Learns from the items at the first flags and gives the logits of those at the second."""


def _surface_pairs(labelled: Sequence[RecordLabels], head: str, whole: Sequence[Floats]) -> Fitted:
    starts = np.cumsum([0, *(len(rows) for rows in whole)])
    pairs = [(starts[number], pair) for number, labels in enumerate(labelled) for pair in labels.pairs[head]]
    inputs = np.concatenate(whole)
    better = np.array([start + pair.better for start, pair in pairs])
    worse = np.array([start + pair.worse for start, pair in pairs])
    order = np.array([_order(pair) for _, pair in pairs])

    def fitted(train: Flags, test: Flags) -> Floats:
        used, rows = np.unique(np.concatenate([better[train], worse[train]]), return_inverse=True)
        first, second = np.split(rows, 2)
        model = fit_pair_head(inputs[used], first, second, order[train], [Block(SURFACE)], strength=1.0)
        return model.logits(inputs[better[test]]) - model.logits(inputs[worse[test]])

    return fitted


def _surface_segments(labelled: Sequence[RecordLabels], head: str, items: Items) -> Fitted:
    inputs = np.concatenate(list(_surface_of_segments(labelled, head)))

    def fitted(train: Flags, test: Flags) -> Floats:
        model = fit_segment_head(inputs[train], items.right[train].astype(float), [Block(SURFACE)], strength=1.0)
        return model.logits(inputs[test])

    return fitted


def _surface_of_segments(labelled: Sequence[RecordLabels], head: str) -> Iterator[np.ndarray]:
    for labels in labelled:
        for at, segments in labels.segments[head].items():
            known = [index for index, segment in enumerate(segments) if segment.correct is not None]
            rows = segment_features(_sample(labels.record, at), [segment.span for segment in segments])
            yield rows[known, :SURFACE]


def _order(pair: Pair) -> float:
    return 0.0 if pair.better_first is None else (1.0 if pair.better_first else -1.0)


def _sample(record: FeedbackRecord, place: int) -> Sample:
    return Sample(prompt=record.prompt, response=record.responses[place].text, passages=record.passages)


def _compare(items: Items, logits: dict[str, np.ndarray], ids: Sequence[str], seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {"items": len(items.right), "majority": _majority(items)}
    tables = {arm: _accuracy(items, values, ids) for arm, values in logits.items()}
    for arm, values in logits.items():
        generator = numpy_generator(seed, "qa-feedback/interval")
        found[arm] = {"accuracy": estimate(tables[arm], generator=generator).model_dump(), **_measures(items, values)}
        if arm != "surface":
            gain = paired_difference(tables[arm], tables["surface"], generator=generator)
            found[arm]["gain_over_surface"] = gain.model_dump()
    return found


def _majority(items: Items) -> float:
    """Of segments the larger class; of pairs a coin, since no score sees which answer was listed first."""
    return 0.5 if items.pairs else float(max(items.right.mean(), 1 - items.right.mean()))


def _accuracy(items: Items, values: np.ndarray, ids: Sequence[str]) -> ScoreTable:
    hits = ((values > 0) == items.right) + 0.5 * (values == 0) * items.pairs
    ratios = {
        name: (float(hits[items.record == number].sum()), float((items.record == number).sum()))
        for number, name in enumerate(ids)
    }
    return ScoreTable.from_ratios({name: ratio if ratio[1] else None for name, ratio in ratios.items()})


def _measures(items: Items, values: np.ndarray) -> dict[str, float]:
    if items.pairs:
        # A pair has no wrong class of its own: seen from both sides, calibration and AUROC are of "this one is better".
        both, target = np.concatenate([values, -values]), np.repeat([1.0, 0.0], len(values))
        return {
            "auroc": float(roc_auc_score(target, both)),
            "calibration_error": expected_calibration_error(expit(both), target),
        }
    wrong = ~items.right
    precision, recall, f1, _ = precision_recall_fscore_support(wrong, values <= 0, average="binary")
    return {
        "error_precision": float(precision),
        "error_recall": float(recall),
        "error_f1": float(f1),
        "auroc": float(roc_auc_score(items.right, values)),
        "calibration_error": expected_calibration_error(expit(values), items.right.astype(float)),
    }


def _table(result: dict[str, Any]) -> str:
    shown = ["accuracy [95 %]", "over surface [95 %]", "P / R / F1 of errors", "AUROC", "ECE"]
    rows: list[list[str]] = []
    for head, figures in result["heads"].items():
        rows.append([head, str(figures["items"]), "majority", f"{figures['majority']:.3f}", "", "", ".500", ""])
        rows += [_row(arm, figures[arm]) for arm in ("surface", *ARMS)]
        rows.append(["", "", "paper, 2,853 answers", f"{PAPER[head]:.3f}", "", "", "", ""])
    return table(["head", "items", "model", *shown], rows) + "\n"


def _row(arm: str, figures: dict[str, Any]) -> list[str]:
    errors = " / ".join(f"{figures[key]:.3f}" for key in _error_keys(figures))
    gain = interval_words(figures["gain_over_surface"], sign="+") if "gain_over_surface" in figures else ""
    numbers = [f"{figures['auroc']:.3f}", f"{figures['calibration_error']:.3f}"]
    return ["", "", arm, interval_words(figures["accuracy"]), gain, errors, *numbers]


def _error_keys(found: dict[str, Any]) -> Iterator[str]:
    return (key for key in ("error_precision", "error_recall", "error_f1") if key in found)
