"""Dense rewards by hand: where a value goes, what reaches earlier tokens, and what a filter leaves alone (rivals)."""

import math

import pytest
import torch

from spanwise.rewards.projection import project
from spanwise.rl.algorithms.advantages import masked_gae, rewards_to_go
from spanwise.text import Span

EVEN = ("very", " big", " red", " dog")
UNEVEN = ("un", "happiness", " is", " a man")


def scores(pieces, placement):
    text, spans = "".join(pieces), []
    for piece in pieces:
        start = spans[-1].end if spans else 0
        spans.append(Span(start, start + len(piece)))
    return project([Span(0, len(text))], [2.0], spans, text=text, placement=placement)


def credit(rewards, gae_lambda):
    row = rewards[None]
    mask = torch.ones_like(row, dtype=torch.bool)
    return masked_gae(row, torch.zeros_like(row), mask, gamma=1.0, gae_lambda=gae_lambda).advantages[0].tolist()


@pytest.mark.parametrize(
    ("placement", "placed", "to_go", "gae"),
    [
        ("end", [0, 0, 0, 2], [2, 2, 2, 2], [1.71475, 1.805, 1.9, 2]),
        ("every", [0.5] * 4, [2, 1.5, 1, 0.5], [1.85494, 1.42625, 0.975, 0.5]),
        ("spread", [0.5] * 4, [2, 1.5, 1, 0.5], [1.85494, 1.42625, 0.975, 0.5]),
    ],
)
def test_a_value_of_2_over_four_tokens(placement, placed, to_go, gae):
    """Whatever the placement the sum stays 2; a value repeated on every token, as some do, would be 8."""
    values = scores(EVEN, placement)
    assert values.tolist() == pytest.approx(placed)
    assert credit(values, 1.0) == pytest.approx(to_go)
    assert credit(values, 0.95) == pytest.approx(gae, abs=1e-5)


def test_spread_differs_when_tokens_do():
    values = scores(UNEVEN, "spread")
    assert values.tolist() == pytest.approx([0.2, 0.9, 0.3, 0.6], abs=1e-6)
    assert credit(values, 0.95) == pytest.approx([1.84018, 1.7265, 0.87, 0.6], abs=1e-4)


def test_credit_crosses_a_token_that_does_not_teach():
    """A token without weight in the loss passes on what comes after it; only padding is out of the sums."""
    rewards = torch.tensor([[0.0, 0.0, -1.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    advantages = masked_gae(rewards, torch.zeros(1, 3), mask, gamma=1.0, gae_lambda=1.0).advantages
    teaches = torch.tensor([[math.log(0.5), math.log(0.99), math.log(0.5)]]) <= math.log(0.9)
    assert advantages.masked_fill(~teaches, 0.0).tolist() == [[-1.0, 0.0, -1.0]]


def test_padding_of_one_answer_changes_nothing_in_another():
    rewards = torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.5, 0.5, 0.5, 2.0]])
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    together = rewards_to_go(rewards, mask, gamma=1.0)
    assert together[0, :2].tolist() == rewards_to_go(rewards[:1, :2], mask[:1, :2], gamma=1.0)[0].tolist()
    assert together[1].tolist() == rewards_to_go(rewards[1:], mask[1:], gamma=1.0)[0].tolist()
