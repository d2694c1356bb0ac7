"""Fits the token head exactly on a frozen backbone: the losses of `token_losses.py` are convex in linear rewards.

The penalty and the scale of the backbone's states are chosen by the loss on held-out examples. Knows matrices
(`token_design.py`) and models; nothing of files. Shapes: f inputs, p pairs.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import expit

from spanwise.core import RunFolder
from spanwise.reward_models.data import TokenExample
from spanwise.reward_models.fitting.token_design import Design, Standard, TokenInputs, design_of, read_tokens
from spanwise.reward_models.network import SpanRewardModel
from spanwise.reward_models.token_config import TokenRewardConfig

Weights = Float[np.ndarray, " f"]


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
    found = best_fit(config, read[0], read[1], states=model.heads.in_features)
    _write(model, found)
    if folder is not None:
        chosen = {"reward/strength": found.strength, "reward/state_scale": found.state_scale}
        folder.log_metrics(1, {**chosen, "heldout/loss": found.loss})


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
    """The loss of `token_losses.token_pair_loss` and of labelled tokens, with its gradient."""
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

    found = minimize(objective, np.zeros(len(scale)), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x, dtype=np.float64) * scale


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
