"""Fits all heads of a reward model at once and exactly, its backbone left as it is.

Reads states and features of every piece once; then each head is a penalised logistic regression whose penalty is
chosen by cross-validation over questions. What the heads of the chosen penalty say out of fold is returned: it
calibrates, and it says how good a head is on questions that it has not seen, so that no record need be held out.
Knows examples and models; nothing of files or labelling rules. Shapes: n rows, p pairs, f features, d states.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from spanwise.core import DataError, RunFolder, numpy_generator
from spanwise.reward_models.config import RewardModelConfig
from spanwise.reward_models.data import Example
from spanwise.reward_models.fitting.evaluate import HeadOutputs
from spanwise.reward_models.fitting.linear_heads import Block, LinearHead, fit_pair_head, fit_segment_head
from spanwise.reward_models.fitting.linear_inputs import HeadInputs, read_inputs
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network import SpanRewardModel

_FOLDS = 4


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
    found = read_inputs(model, examples, batch_size=config.fitting.batch_size, pad_id=pad_id)
    fits = {head.name: fit_by_cross_validation(config, head, found[head.name]) for head in model.config.head_specs}
    for number, (name, fit) in enumerate(fits.items()):
        if model.feature_heads is not None:
            model.feature_heads.standardize(number, torch.from_numpy(found[name].features))
        _write(model, number, found[name].features.shape[1], fit.head)
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
    questions, place = np.unique(question, return_inverse=True)
    if len(questions) < 2:
        raise DataError(f"The labels of the head {head!r} are all of one question; a linear head needs two at least.")
    order = numpy_generator(seed, "reward/inner-folds").permutation(len(questions))
    return (order % min(_FOLDS, len(questions)))[place]


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
    place = np.cumsum(rows) - 1
    mine = rows[data.pairs.better]
    better, worse = place[data.pairs.better[mine]], place[data.pairs.worse[mine]]
    order = data.pairs.order[mine] * config.position_offset
    return fit_pair_head(inputs[rows], better, worse, order, blocks, strength=strength)


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
    return float(np.logaddexp(0.0, logits[data.pairs.worse] - logits[data.pairs.better]).sum())


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
