"""PPO's losses against numbers worked by hand and against other libraries' formulas where those differ."""

import math

import pytest
import torch

from spanwise.rl.losses import clipped_policy_loss, clipped_value_loss, token_mean

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
