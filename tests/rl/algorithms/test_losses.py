"""PPO's losses against numbers worked by hand and against other libraries' formulas where those differ."""

import math

import pytest
import torch

from spanwise.rl.algorithms.losses import (
    clipped_policy_loss,
    clipped_value_loss,
    kl_loss,
    likelihood_loss,
    response_weights,
    token_mean,
)

MASK = torch.tensor([[True, True, False], [True, True, True]])


def test_policy_loss_by_hand():
    # ratios 1.5, 0.5, 1.1 with advantages 2, -1, 1 and clip 0.2:
    # max(-3, -2.4) = -2.4 clipped; max(0.5, 0.8) = 0.8 clipped; max(-1.1, -1.1) = -1.1
    ratios = torch.tensor([[1.5, 0.5, 1.1]])
    out = clipped_policy_loss(
        ratios.log(),
        torch.zeros(1, 3),
        torch.tensor([[2.0, -1.0, 1.0]]),
        torch.ones(1, 3, dtype=torch.bool),
        clip_range=0.2,
        tokens=3,
    )
    assert float(out.loss) == pytest.approx((-2.4 + 0.8 - 1.1) / 3)
    assert float(out.metrics["policy/clip_fraction"]) == pytest.approx(2 / 3)
    assert float(out.metrics["policy/ratio"]) == pytest.approx(3.1 / 3)
    kl = sum(r - 1 - math.log(r) for r in (1.5, 0.5, 1.1)) / 3
    assert float(out.metrics["policy/approx_kl"]) == pytest.approx(kl, rel=1e-5)


def test_gradient_stops_only_where_the_clip_binds():
    logprobs = torch.tensor([[1.5, 0.5, 1.5]]).log().requires_grad_()
    advantages = torch.tensor([[1.0, 1.0, -1.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    clipped_policy_loss(logprobs, torch.zeros(1, 3), advantages, mask, clip_range=0.2, tokens=3).loss.backward()
    # d/d logprob of -A * ratio / 3 is -A * ratio / 3
    torch.testing.assert_close(logprobs.grad, torch.tensor([[0.0, -0.5 / 3, 1.5 / 3]]))


def test_value_loss_by_hand():
    # clip 0.2 around 0: values 0.5, -0.1; returns 0, 1. max(0.25, 0.04), max(1.21, 1.21)
    out = clipped_value_loss(
        torch.tensor([[0.5, -0.1]]),
        torch.zeros(1, 2),
        torch.tensor([[0.0, 1.0]]),
        torch.ones(1, 2, dtype=torch.bool),
        clip_range_value=0.2,
        tokens=2,
    )
    assert float(out.loss) == pytest.approx(0.5 * (0.25 + 1.21) / 2)
    assert float(out.metrics["value/clip_fraction"]) == 0
    # 1.0 towards a return of 2 is held back at 0.2: (0.2 - 2)**2 > (1 - 2)**2
    held = clipped_value_loss(
        torch.tensor([[1.0]]),
        torch.zeros(1, 1),
        torch.tensor([[2.0]]),
        torch.ones(1, 1, dtype=torch.bool),
        clip_range_value=0.2,
        tokens=1,
    )
    assert float(held.loss) == pytest.approx(0.5 * 1.8**2)
    assert float(held.metrics["value/clip_fraction"]) == 1


def test_token_mean_weighs_tokens_where_a_mean_of_row_means_weighs_rows():
    losses = torch.tensor([[1.0, 1.0, 99.0], [4.0, 4.0, 4.0]])
    # verl's token-mean: (2 * 1 + 3 * 4) / 5; its seq-mean-token-mean would be (1 + 4) / 2
    assert float(token_mean(losses, MASK, tokens=5)) == pytest.approx(2.8)


def test_parts_of_a_minibatch_add_up_to_it_in_loss_gradient_and_metrics():
    generator = torch.Generator().manual_seed(1)
    logprobs, old, advantages = (torch.randn(2, 3, generator=generator) for _ in range(3))
    whole = logprobs.clone().requires_grad_()
    out = clipped_policy_loss(whole, old, advantages, MASK, clip_range=0.2, tokens=5)
    out.loss.backward()
    split = logprobs.clone().requires_grad_()
    parts = [
        clipped_policy_loss(
            split[i : i + 1], old[i : i + 1], advantages[i : i + 1], MASK[i : i + 1], clip_range=0.2, tokens=5
        )
        for i in range(2)
    ]
    for part in parts:
        part.loss.backward()
    torch.testing.assert_close(split.grad, whole.grad)
    for name, value in out.metrics.items():
        torch.testing.assert_close(sum(part.metrics[name] for part in parts), value)


@pytest.mark.parametrize("rubbish", [float("inf"), float("nan")])
def test_masked_tokens_enter_neither_loss_nor_gradient(rubbish):
    logprobs = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    old = torch.tensor([[-1.1, rubbish]])
    mask = torch.tensor([[True, False]])
    out = clipped_policy_loss(logprobs, old, torch.ones(1, 2), mask, clip_range=0.2, tokens=1)
    out.loss.backward()
    assert float(out.loss.detach()) == pytest.approx(-math.exp(0.1))
    assert logprobs.grad[0, 1] == 0


def test_a_minibatch_without_tokens_has_loss_zero():
    out = clipped_policy_loss(
        torch.zeros(1, 2),
        torch.zeros(1, 2),
        torch.ones(1, 2),
        torch.zeros(1, 2, dtype=torch.bool),
        clip_range=0.2,
        tokens=0,
    )
    assert float(out.loss) == 0


# Token losses 1, 2 of the first response and 3, 4, 5 of the second; at most 10 tokens are allowed.
AGGREGATED = {
    "token-mean": 15 / 5,
    "seq-mean-token-sum": (3 + 12) / 2,
    "seq-mean-token-mean": (1.5 + 4) / 2,
    "seq-mean-token-sum-norm": (0.3 + 1.2) / 2,
}


@pytest.mark.parametrize(("aggregation", "expected"), AGGREGATED.items())
def test_aggregations_by_hand_and_part_by_part(aggregation, expected):
    losses = torch.tensor([[1.0, 2.0, 99.0], [3.0, 4.0, 5.0]])
    weights = response_weights(MASK, aggregation, longest=10)
    assert float(token_mean(losses, MASK, tokens=5, weights=weights)) == pytest.approx(expected)
    parts = []
    for row in (slice(0, 1), slice(1, 2)):
        share = None if weights is None else weights[row]
        parts.append(token_mean(losses[row], MASK[row], tokens=5, weights=share))
    assert float(sum(parts)) == pytest.approx(expected)


def test_a_higher_upper_clip_by_hand():
    # ratios 1.5 and 1.25 with advantage 1: the upper bound is 1.28, so -1.28 and -1.25; below, 0.8 still holds.
    ratios = torch.tensor([[1.5, 1.25, 0.5]])
    advantages = torch.tensor([[1.0, 1.0, -1.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    out = clipped_policy_loss(
        ratios.log(), torch.zeros(1, 3), advantages, mask, clip_range=0.2, clip_range_high=0.28, tokens=3
    )
    assert float(out.loss) == pytest.approx((-1.28 - 1.25 + 0.8) / 3)


def test_dual_clip_bounds_the_loss_of_a_ratio_that_exploded():
    # advantage -2, ratio 10: 20 without, 2 * 3 with a bound of 3; advantage 2 is not concerned.
    logprobs = torch.tensor([[10.0, 10.0]]).log().requires_grad_()
    mask = torch.ones(1, 2, dtype=torch.bool)
    advantages = torch.tensor([[-2.0, 2.0]])
    out = clipped_policy_loss(logprobs, torch.zeros(1, 2), advantages, mask, clip_range=0.2, dual_clip=3.0, tokens=2)
    assert out.loss.item() == pytest.approx((6 - 2.4) / 2)
    out.loss.backward()
    assert logprobs.grad.tolist() == [[0.0, 0.0]]


def test_likelihood_loss_by_hand():
    logprobs = torch.tensor([[-1.0, -2.0, -5.0], [-3.0, -1.0, -1.0]])
    advantages = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    assert float(likelihood_loss(logprobs, logprobs, advantages, MASK, tokens=5).loss) == pytest.approx(3 / 5)


def exact_gradient(divergence, theta, ref):
    """The gradient of a sum over all three tokens."""
    policy = theta.detach().clone().requires_grad_()
    log_p, log_q = policy.log_softmax(0), ref.log_softmax(0)
    loss = (log_p.exp() * (log_p - log_q)).sum() if divergence == "reverse" else (log_q.exp() * (log_q - log_p)).sum()
    return torch.autograd.grad(loss, policy)[0]


@pytest.mark.parametrize(("estimator", "divergence"), [("k1", None), ("k2", "reverse"), ("k3", "forward")])
def test_the_expected_gradient_of_each_kl_estimator_as_a_loss(estimator, divergence):
    """Three tokens, every one weighed by the policy's own probability: exact expectations instead of samples."""
    theta, ref = torch.tensor([0.5, -1.0, 0.3], requires_grad=True), torch.tensor([-0.2, 0.4, 0.9])
    log_p, log_q = theta.log_softmax(0), ref.log_softmax(0)
    mask = torch.ones(3, 1, dtype=torch.bool)
    weights = log_p.exp().detach()
    out = kl_loss(log_p[:, None], log_q[:, None], mask, estimator=estimator, tokens=1, weights=weights)
    (found,) = torch.autograd.grad(out.loss, theta)
    expected = torch.zeros(3) if divergence is None else exact_gradient(divergence, theta, ref)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert divergence is None or float(expected.abs().max()) > 0.05
