"""Fits all segment and pair heads of a reward model at once and exactly, its backbone left as it is.

Reads states and features of every piece once; then each head is a penalised logistic regression whose penalty is
chosen by cross-validation over questions: from a few hundred marked answers it learns more than a small encoder that
is fine-tuned. What the heads of the chosen penalty say out of fold is returned: it calibrates, and it says how good a
head is on questions that it has not seen, so that no record need be held out. Nothing of files or labelling rules.
Shapes: n rows (segments or responses), p pairs, f features or inputs, d states.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from spanwise.core import DataError, RunFolder, numpy_generator
from spanwise.reward_models.config import RewardModelConfig
from spanwise.reward_models.data import Example, TrainingBatch, by_length, make_batch
from spanwise.reward_models.fitting.evaluate import HeadOutputs
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network import SpanRewardModel

_FOLDS = 4
_ORDER_SCALE = 30.0  # the position offset is one number among hundreds of weights: it stays nearly unpenalised


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive inputs that share a prior: `scale` is the spread of each standardised input before the penalty."""

    size: int
    scale: float = 1.0


@dataclass(frozen=True)
class LinearHead:
    """A fitted head; its logit is inputs @ weights + bias. `order_offset` is what the first place is worth."""

    weights: Float[np.ndarray, " f"]
    bias: float
    order_offset: float = 0.0

    def logits(self, inputs: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """One raw logit per row."""
        return inputs @ self.weights + self.bias


def fit_segment_head(
    inputs: Float[np.ndarray, "n f"], correct: Float[np.ndarray, " n"], blocks: Sequence[Block], *, strength: float
) -> LinearHead:
    """A head whose positive logit says that a segment is right; `strength` is the inverse of the ridge penalty.

    `correct` may lie between 0 and 1. Where all is right, or all wrong, the head says no more than that.
    """
    mean, scale = _standard(inputs, blocks)
    if np.all(correct == correct[0]) and correct[0] in (0.0, 1.0):
        odds = np.log(len(correct) + 1.0)  # one more than was seen on the one side, one on the other
        return LinearHead(np.zeros(len(mean)), float(odds if correct[0] else -odds))
    # A segment that is right to a degree counts to that degree as right and to the rest as wrong.
    rows, target = np.tile(np.arange(len(correct)), 2), np.repeat([1, 0], len(correct))
    weight = np.concatenate([correct, 1.0 - correct])
    rows, target, weight = rows[weight > 0], target[weight > 0], weight[weight > 0]
    model = _regression(strength).fit(((inputs - mean) * scale)[rows], target, sample_weight=weight)
    weights = model.coef_[0] * scale
    return LinearHead(weights, float(model.intercept_[0] - mean @ weights))


def fit_pair_head(
    responses: Float[np.ndarray, "n f"],
    better: Int[np.ndarray, " p"],
    worse: Int[np.ndarray, " p"],
    order: Float[np.ndarray, " p"],
    blocks: Sequence[Block],
    *,
    strength: float,
    confidence: Float[np.ndarray, " p"] | None = None,
) -> LinearHead:
    """A head that scores the better response of a pair higher; pairs are row numbers of `responses`.

    `order` is +1/-1 where the better/worse one was shown first, 0 = unknown: what the first place is worth is learnt
    apart and is no part of the scores. A pair counts to the degree of its `confidence` as it stands and to the rest
    turned around; None = wholly.
    """
    mean, scale = _standard(responses, blocks)
    scaled = (responses - mean) * scale
    gaps = np.column_stack([scaled[better] - scaled[worse], order * _ORDER_SCALE])
    # Each pair once as it is and once turned around: the classes stay balanced whatever was listed first.
    sure = np.ones(len(gaps)) if confidence is None else confidence
    mirrored, target = np.vstack([gaps, -gaps, -gaps, gaps]), np.repeat([1, 0, 1, 0], len(gaps))
    weight = np.concatenate([sure, sure, 1 - sure, 1 - sure])
    mirrored, target, weight = mirrored[weight > 0], target[weight > 0], weight[weight > 0]
    model = _regression(strength / 2, intercept=False).fit(mirrored, target, sample_weight=weight)
    weights = model.coef_[0, :-1] * scale
    return LinearHead(weights, float(-mean @ weights), float(model.coef_[0, -1] * _ORDER_SCALE))


def _regression(strength: float, *, intercept: bool = True) -> LogisticRegression:
    return LogisticRegression(C=strength, fit_intercept=intercept, max_iter=2000, tol=1e-6)


def _standard(
    inputs: Float[np.ndarray, "n f"], blocks: Sequence[Block]
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """Mean of each input, and what to multiply it by; an input that never varies is multiplied by 0."""
    spread = inputs.std(0)
    wanted = np.repeat([block.scale for block in blocks], [block.size for block in blocks])
    varies = spread > 1e-9
    return inputs.mean(0), np.where(varies, wanted / np.where(varies, spread, 1.0), 0.0)


@dataclass(frozen=True)
class PairRows:
    """Pairs as row numbers; `order` is +1/-1 where the better/worse one was shown first, 0 = unknown."""

    better: Int[np.ndarray, " p"]
    worse: Int[np.ndarray, " p"]
    order: Float[np.ndarray, " p"]
    confidence: Float[np.ndarray, " p"]
    """How likely the better one is better."""


@dataclass(frozen=True)
class HeadInputs:
    """The rows of one head: labelled segments, or the responses of questions with pairs."""

    features: Float[np.ndarray, "n f"]
    states: Float[np.ndarray, "n d"]
    question: Int[np.ndarray, " n"]
    """Equal for rows of one prompt."""
    length: Int[np.ndarray, " n"]
    """Characters of the response."""
    correct: Float[np.ndarray, " n"]
    """Of segments how right they are, from 0 to 1."""
    pairs: PairRows | None = None
    """Of a pair head."""


def read_inputs(
    model: SpanRewardModel, examples: Sequence[Example], *, batch_size: int, pad_id: int
) -> dict[str, HeadInputs]:
    """Runs the backbone over `examples` once; the rows of every head by its name."""
    heads = model.config.head_specs
    questions = dict.fromkeys(example.labels.record.question for example in examples)
    prompts = {question: number for number, question in enumerate(questions)}
    parts: dict[str, list[HeadInputs]] = {head.name: [] for head in heads}
    model.eval()
    for group in by_length(examples, batch_size=batch_size):
        batch = make_batch(group, heads, pad_id=pad_id, pack_to=model.pack_to)
        with torch.inference_mode():
            states, extra = model.read(batch.inputs.to(model.device))
        features = extra if extra is not None else states[:, :0]
        rows = (features.double().cpu().numpy(), states.double().cpu().numpy())
        for number, head in enumerate(heads):
            parts[head.name].append(_rows(batch, rows, group, prompts, number=number, head=head))
    return {head.name: _joined(parts[head.name]) for head in heads}


def _rows(
    batch: TrainingBatch,
    read: tuple[Float[np.ndarray, "n f"], Float[np.ndarray, "n d"]],
    group: Sequence[Example],
    prompts: dict[str, int],
    *,
    number: int,
    head: HeadSpec,
) -> HeadInputs:
    owners, (features, states) = batch.owners, read
    pairs = batch.pairs.get(head.name)
    if pairs is not None:  # a row is a response: the mean of what its pieces are
        owners = [owners[first] for first in pairs.first.tolist()]
        features, states = (pairs.means(torch.from_numpy(rows)).numpy() for rows in read)
    records = [(group[example].labels.record, position) for example, position in owners]
    question = np.array([prompts[record.question] for record, _ in records], dtype=np.int64)
    if pairs is None:
        wanted: Bool[np.ndarray, " n"] = (batch.label_mask & (batch.inputs.pieces[:, 1] == number)).numpy()
    else:
        wanted = np.isin(question, question[pairs.better.numpy()])
    row_of = np.cumsum(wanted) - 1
    return HeadInputs(
        features[wanted],
        states[wanted],
        question[wanted],
        np.array([len(record.responses[position].text) for record, position in records], dtype=np.int64)[wanted],
        batch.correct.double().numpy()[wanted] if pairs is None else np.zeros(int(wanted.sum())),
        None
        if pairs is None
        else PairRows(
            row_of[pairs.better.numpy()],
            row_of[pairs.worse.numpy()],
            pairs.order.double().numpy(),
            pairs.confidence.double().numpy(),
        ),
    )


def _joined(parts: Sequence[HeadInputs]) -> HeadInputs:
    starts = np.cumsum([0, *(len(part.question) for part in parts)])[:-1]
    pairs = [(part.pairs, start) for part, start in zip(parts, starts, strict=True) if part.pairs is not None]

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return HeadInputs(
        all_of("features"),
        all_of("states"),
        all_of("question"),
        all_of("length"),
        all_of("correct"),
        None
        if not pairs
        else PairRows(
            np.concatenate([pair.better + start for pair, start in pairs]),
            np.concatenate([pair.worse + start for pair, start in pairs]),
            np.concatenate([pair.order for pair, _ in pairs]),
            np.concatenate([pair.confidence for pair, _ in pairs]),
        ),
    )


@dataclass(frozen=True, slots=True)
class LinearFit:
    """A fitted head, what was chosen for it, and what it said of each question from the others."""

    head: LinearHead
    strength: float
    state_scale: float
    outputs: HeadOutputs


def fit_linear(
    config: RewardModelConfig,
    model: SpanRewardModel,
    examples: Sequence[Example],
    pad_id: int,
    folder: RunFolder | None = None,
) -> dict[str, HeadOutputs]:
    """Fits the heads of `model` in place; DataError for a head whose labels are all of one question."""
    inputs = read_inputs(model, examples, batch_size=config.fitting.batch_size, pad_id=pad_id)
    with threadpool_limits(1, user_api="blas"):  # many small products: threads only wait for each other
        fits = {head.name: fit_by_cross_validation(config, head, inputs[head.name]) for head in model.config.head_specs}
    for number, (name, fit) in enumerate(fits.items()):
        if model.feature_heads is not None:
            model.feature_heads.standardize(number, torch.from_numpy(inputs[name].features))
        _write(model, number, inputs[name].features.shape[1], fit.head)
    if folder is not None:
        strengths = {f"reward/strength_{name}": fit.strength for name, fit in fits.items()}
        folder.log_metrics(1, strengths | {f"reward/state_scale_{n}": fit.state_scale for n, fit in fits.items()})
    return {name: fit.outputs for name, fit in fits.items()}


def fit_by_cross_validation(config: RewardModelConfig, head: HeadSpec, data: HeadInputs) -> LinearFit:
    """The head on all rows, with the penalty that serves best on questions left out."""
    fold = question_folds(data.question, seed=config.seed, head=head.name)
    grid = [
        (strength, scale)
        for strength, scale in itertools.product(config.fitting.strengths, config.fitting.state_scales)
        if scale or data.features.shape[1]
    ]
    tried = {choice: _out_of_fold(config, data, fold, *choice) for choice in grid}
    strength, scale = min(grid, key=lambda choice: _loss(data, tried[choice]))
    everything = np.ones(len(data.question), dtype=bool)
    fitted = fit_head(config, data, everything, strength=strength, state_scale=scale)
    return LinearFit(fitted, strength, scale, outputs_of(data, tried[strength, scale]))


def question_folds(question: Int[np.ndarray, " n"], *, seed: int, head: str) -> Int[np.ndarray, " n"]:
    """The fold of each row; rows of one question share it."""
    questions, question_index = np.unique(question, return_inverse=True)
    if len(questions) < 2:
        raise DataError(f"The labels of the head {head!r} are all of one question; a linear head needs two at least.")
    order = numpy_generator(seed, "reward/inner-folds").permutation(len(questions))
    return (order % min(_FOLDS, len(questions)))[question_index]


def fit_head(
    config: RewardModelConfig,
    data: HeadInputs,
    rows: Bool[np.ndarray, " n"],
    *,
    strength: float,
    state_scale: float,
) -> LinearHead:
    """The head that the given rows teach; its inputs are the features, then the states."""
    inputs = np.hstack([data.features, data.states if state_scale else data.states[:, :0]])
    blocks = [Block(data.features.shape[1]), Block(inputs.shape[1] - data.features.shape[1], state_scale)]
    if data.pairs is None:
        return fit_segment_head(inputs[rows], data.correct[rows], blocks, strength=strength)
    row_of = np.cumsum(rows) - 1
    mine = rows[data.pairs.better]
    better, worse = row_of[data.pairs.better[mine]], row_of[data.pairs.worse[mine]]
    order = data.pairs.order[mine] * config.position_offset
    sure = data.pairs.confidence[mine]
    return fit_pair_head(inputs[rows], better, worse, order, blocks, strength=strength, confidence=sure)


def logits_of(head: LinearHead, data: HeadInputs) -> Float[np.ndarray, " n"]:
    """What a head says of every row."""
    return head.logits(np.hstack([data.features, data.states])[:, : len(head.weights)])


def outputs_of(data: HeadInputs, logits: Float[np.ndarray, " n"]) -> HeadOutputs:
    """Logits and labels as the measures of a head read them."""
    if data.pairs is None:
        return HeadOutputs(logits=logits.tolist(), correct=data.correct.tolist())
    better, worse, order = data.pairs.better, data.pairs.worse, data.pairs.order
    return HeadOutputs(
        better=logits[better].tolist(),
        worse=logits[worse].tolist(),
        better_longer=(data.length[better] > data.length[worse]).tolist(),
        better_first=(order[order != 0] > 0).tolist(),
        scores=logits.tolist(),
    )


def _out_of_fold(
    config: RewardModelConfig, data: HeadInputs, fold: Int[np.ndarray, " n"], strength: float, scale: float
) -> Float[np.ndarray, " n"]:
    logits = np.zeros(len(fold))
    for number in range(fold.max() + 1):
        head = fit_head(config, data, fold != number, strength=strength, state_scale=scale)
        logits[fold == number] = logits_of(head, data)[fold == number]
    return logits


def _loss(data: HeadInputs, logits: Float[np.ndarray, " n"]) -> float:
    if data.pairs is None:
        return float((np.logaddexp(0.0, logits) - data.correct * logits).sum())
    gap, sure = logits[data.pairs.better] - logits[data.pairs.worse], data.pairs.confidence
    return float((np.logaddexp(0.0, -gap) + (1 - sure) * gap).sum())


def _write(model: SpanRewardModel, number: int, width: int, head: LinearHead) -> None:
    """Puts a head on `width` raw features and raw states into the model's output units."""
    on_features, on_states = torch.from_numpy(head.weights[:width]), torch.from_numpy(head.weights[width:])
    bias = head.bias
    with torch.no_grad():
        model.heads.weight[number] = 0.0
        model.heads.weight[number, : len(on_states)] = on_states.to(model.heads.weight)
        if model.feature_heads is not None:
            mean, scale = (
                model.feature_heads.mean[number].cpu().double(),
                model.feature_heads.scale[number].cpu().double(),
            )
            weight = torch.where(scale > 0, on_features / scale, 0.0)
            model.feature_heads.weight[number] = weight.to(model.feature_heads.weight)
            bias += float(mean @ on_features)
        model.heads.bias[number] = bias
