"""Fits the token head exactly on a frozen backbone: its losses (`network/losses.py`) are convex in linear rewards.

With linear rewards r = x . w, the difference of a pair is linear in w, and what is asked of tokens that stay is
quadratic in it: a few matrices of frozen inputs hold all of it, whatever the number of tokens. The penalty and the
scale of the backbone's states are chosen by the loss on held-out examples. Shapes: n tokens, p pairs, k labels,
f inputs (the likelihoods, the backbone's states, and a 1 for the constant).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit
from threadpoolctl import threadpool_limits

from spanwise.core import RunFolder
from spanwise.reward_models.config import TokenLossConfig, TokenRewardConfig
from spanwise.reward_models.data import LabelExample, PairExample, TokenExample, by_length, token_batch
from spanwise.reward_models.network import SpanRewardModel

Weights = Float[np.ndarray, " f"]


@dataclass(frozen=True, slots=True)
class TokenInputs:
    """The raw inputs of the tokens of each response of an example."""

    example: TokenExample
    rows: tuple[Float[np.ndarray, "_ f"], ...]


@dataclass(frozen=True, slots=True)
class Standard:
    """Mean and deviation of each raw input; what never varies counts for nothing."""

    mean: Float[np.ndarray, " f"]
    scale: Float[np.ndarray, " f"]

    @classmethod
    def of(cls, inputs: Sequence[TokenInputs]) -> "Standard":
        """Over all tokens."""
        rows = np.concatenate([row for item in inputs for row in item.rows]).astype(np.float64)
        spread = rows.std(0)
        return cls(rows.mean(0), np.where(spread > 1e-6, 1 / np.where(spread > 1e-6, spread, 1.0), 0.0))

    def apply(self, rows: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n g"]:
        """Standardised inputs, and the constant behind them."""
        return np.column_stack([(rows - self.mean) * self.scale, np.ones(len(rows))])


@dataclass(frozen=True, slots=True)
class Design:
    """What the loss of linear token rewards w depends on."""

    differences: Float[np.ndarray, "p f"]
    """Row times w is the argument of a pair's sigmoid, less temperature and margin."""
    moves: Float[np.ndarray, "f f"]
    """w moves w is the mean squared difference between both rewards of a token that stays."""
    stays: Float[np.ndarray, "f f"]
    """w stays w is the mean squared reward of the tokens that stay."""
    labelled: Float[np.ndarray, "k f"]
    correct: Float[np.ndarray, " k"]

    def scaled(self, scale: Float[np.ndarray, " f"]) -> "Design":
        """The same for inputs multiplied by `scale`."""
        outer = np.outer(scale, scale)
        return Design(
            self.differences * scale, self.moves * outer, self.stays * outer, self.labelled * scale, self.correct
        )


def read_tokens(
    model: SpanRewardModel, examples: Sequence[TokenExample], *, batch_size: int, pad_id: int
) -> list[TokenInputs]:
    """Runs the backbone over `examples` once, shortest first."""
    (head,) = model.config.head_specs
    token_inputs: list[TokenInputs] = []
    model.eval()
    for group in by_length(examples, batch_size=batch_size):
        batch = token_batch(group, head, pad_id=pad_id, pack_to=model.pack_to)
        with torch.inference_mode():
            states, extra = model.read(batch.inputs.to(model.device))
        flat = torch.cat([states[:, :0] if extra is None else extra, states], 1).float().cpu().numpy()
        sizes = [len(response.pieces["token"]) for example in group for response in example.responses]
        pieces = iter([flat[left:right] for left, right in pairwise(np.cumsum([0, *sizes]).tolist())])
        token_inputs += [TokenInputs(example, tuple(next(pieces) for _ in example.responses)) for example in group]
    return token_inputs


def design_of(inputs: Sequence[TokenInputs], standard: Standard, loss: TokenLossConfig) -> Design:
    """The matrices of one set of examples; of no pairs, or of no labels, the parts are empty or 0."""
    width = len(standard.mean) + 1
    differences: list[Float[np.ndarray, " f"]] = []
    labelled: list[Float[np.ndarray, "k f"]] = [np.zeros((0, width))]
    correct: list[float] = []
    moves, stays, count = np.zeros((width, width)), np.zeros((width, width)), 0
    for item in inputs:
        sides = [standard.apply(rows) for rows in item.rows]
        if isinstance(item.example, LabelExample):
            known = [token for token, value in enumerate(item.example.correct) if value is not None]
            labelled.append(sides[0][known])
            correct += [value for value in item.example.correct if value is not None]
            continue
        differences.append(_difference(item.example, sides[0], sides[1], loss))
        places = item.example.edit.unchanged_pairs
        before, after = sides[0][places[:, 0]], sides[1][places[:, 1]]
        moves += (before - after).T @ (before - after)
        stays += (before.T @ before + after.T @ after) / 2
        count += len(places)
    return Design(
        np.array(differences).reshape(-1, width),
        moves / max(1, count),
        stays / max(1, count),
        np.concatenate(labelled),
        np.array(correct, dtype=np.float64),
    )


def _difference(
    example: PairExample, original: Float[np.ndarray, "n f"], edited: Float[np.ndarray, "m f"], loss: TokenLossConfig
) -> Float[np.ndarray, " f"]:
    """Equations 2 (full) and 4 (edited) of Xu et al. 2024 for rewards that are linear in their inputs."""
    if loss.name == "full":
        return edited.mean(0) - original.mean(0)
    better = _changed_mean(edited, example.edit.edited_changed, loss)
    return better - _changed_mean(original, example.edit.original_changed, loss)


def _changed_mean(
    rows: Float[np.ndarray, "n f"], changed: Bool[np.ndarray, " n"], loss: TokenLossConfig
) -> Float[np.ndarray, " f"]:
    divisor = len(rows) if loss.divide_by == "length" else max(1, int(changed.sum()))
    return rows[changed].sum(0) / divisor


@dataclass(frozen=True, slots=True)
class TokenLinearFit:
    """Weights of standardised inputs, what was chosen for them, and their loss on the examples that chose."""

    standard: Standard
    weights: Weights
    strength: float
    state_scale: float
    loss: float

    def rewards(self, rows: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """The reward of each token, from its raw inputs."""
        return self.standard.apply(rows) @ self.weights


def fit_token_head(
    config: TokenRewardConfig,
    model: SpanRewardModel,
    train: Sequence[TokenExample],
    judge: Sequence[TokenExample],
    *,
    pad_id: int,
    folder: RunFolder | None = None,
) -> None:
    """Fits the one head of `model` in place on `train`; `judge` chooses strength and state scale."""
    size = config.fitting.batch_size
    read = [read_tokens(model, examples, batch_size=size, pad_id=pad_id) for examples in (train, judge)]
    best = best_fit(config, read[0], read[1], states=model.heads.in_features)
    _write(model, best)
    if folder is not None:
        chosen = {"reward/strength": best.strength, "reward/state_scale": best.state_scale}
        folder.log_metrics(1, {**chosen, "heldout/loss": best.loss})


def best_fit(
    config: TokenRewardConfig, train: Sequence[TokenInputs], judge: Sequence[TokenInputs], *, states: int
) -> TokenLinearFit:
    """The fit on `train` that does best on `judge`; the last `states` inputs are the backbone's."""
    standard = Standard.of(train)
    design, tested = (design_of(part, standard, config.loss) for part in (train, judge))
    features = len(standard.mean) - states
    tried: list[TokenLinearFit] = []
    for strength, scale in itertools.product(config.fitting.strengths, config.fitting.state_scales):
        if scale or features:
            weights = _fitted(config, design, _scales(features, states, scale), strength)
            loss, _ = loss_of(config, tested, weights)
            tried.append(TokenLinearFit(standard, weights, strength, scale, loss))
    return min(tried, key=lambda fit: fit.loss)


def loss_of(config: TokenRewardConfig, design: Design, weights: Weights) -> tuple[float, Weights]:
    """The loss of `network.token_pair_loss` and of labelled tokens, with its gradient."""
    rule = config.loss
    total, gradient = 0.0, np.zeros_like(weights)
    if len(design.differences):
        argument = rule.margin - rule.temperature * (design.differences @ weights)
        total += float(np.logaddexp(0.0, argument).mean())
        gradient -= rule.temperature * (expit(argument) @ design.differences) / len(argument)
    if rule.name == "edited+consistency":
        asked = rule.consistency * design.moves + rule.neutral * design.stays
        total += float(weights @ asked @ weights)
        gradient += 2 * (asked @ weights)
    if len(design.correct):
        logits = design.labelled @ weights
        losses = np.logaddexp(0.0, logits) - design.correct * logits
        total += config.label_weight * float(losses.mean())
        gradient += config.label_weight * ((expit(logits) - design.correct) @ design.labelled) / len(logits)
    return total, gradient


def _fitted(config: TokenRewardConfig, design: Design, scale: Weights, strength: float) -> Weights:
    """The weights of standardised inputs under a ridge penalty; `strength` is its inverse, per pair or label."""
    inner = design.scaled(scale)
    count = max(1, len(design.differences) + len(design.correct))
    penalty = np.where(np.arange(len(scale)) < len(scale) - 1, 1 / (strength * count), 1e-9)  # the constant is free

    def objective(weights: Weights) -> tuple[float, Weights]:
        total, gradient = loss_of(config, inner, weights)
        return total + 0.5 * float(penalty @ weights**2), gradient + penalty * weights

    with threadpool_limits(1, user_api="blas"):  # many small products: threads only wait for each other
        solution = minimize(objective, np.zeros(len(scale)), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(solution.x, dtype=np.float64) * scale


def _scales(features: int, states: int, state_scale: float) -> Weights:
    return np.concatenate([np.ones(features), np.full(states, state_scale), np.ones(1)])


def _write(model: SpanRewardModel, fit: TokenLinearFit) -> None:
    """Puts weights of standardised inputs into the model's output unit, which reads raw ones."""
    mean, scale = fit.standard.mean, fit.standard.scale
    features = len(mean) - model.heads.in_features
    on_states = fit.weights[features:-1] * scale[features:]
    bias = fit.weights[-1] - on_states @ mean[features:]
    with torch.no_grad():
        model.heads.weight[0] = torch.from_numpy(on_states).to(model.heads.weight)
        model.heads.bias[0] = float(bias)
        if model.feature_heads is not None:
            unit = model.feature_heads
            unit.mean[0] = torch.from_numpy(mean[:features]).to(unit.mean)
            unit.scale[0] = torch.from_numpy(scale[:features]).to(unit.scale)
            unit.weight[0] = torch.from_numpy(fit.weights[:features]).to(unit.weight)
