"""Masked GAE against its quadratic definition over the counting tokens of each row."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.rl.algorithms.advantages import length_adaptive_lambda, masked_gae, rewards_to_go


def by_definition(rewards, values, mask, gamma, gae_lambda):
    """Every advantage as its own double sum over the row's counting tokens, in Python floats."""
    advantages = [[0.0] * len(row) for row in rewards]
    for row, (r, v, m) in enumerate(zip(rewards, values, mask, strict=True)):
        where = [t for t, counts in enumerate(m) if counts]
        after = [*(v[t] for t in where[1:]), 0.0]
        for i, t in enumerate(where):
            advantages[row][t] = sum(
                (gamma * gae_lambda) ** (k - i) * (r[where[k]] + gamma * after[k] - v[where[k]])
                for k in range(i, len(where))
            )
    return advantages


@st.composite
def gae_cases(draw):
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    grid = st.lists(st.lists(st.floats(-5, 5), min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    mask = st.lists(st.lists(st.booleans(), min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    unit = st.floats(0, 1)
    return draw(grid), draw(grid), draw(mask), draw(unit), draw(unit)


@settings(deadline=None)
@given(gae_cases())
def test_equals_the_quadratic_definition_for_every_mask(case):
    rewards, values, mask, gamma, gae_lambda = case
    expected = torch.tensor(by_definition(rewards, values, mask, gamma, gae_lambda), dtype=torch.float64)
    values_t = torch.tensor(values, dtype=torch.float64)
    mask_t = torch.tensor(mask)
    found = masked_gae(torch.tensor(rewards, dtype=torch.float64), values_t, mask_t, gamma=gamma, gae_lambda=gae_lambda)
    torch.testing.assert_close(found.advantages, expected)
    torch.testing.assert_close(found.returns, torch.where(mask_t, expected + values_t, 0.0))


def test_by_hand():
    # gamma 1, lambda 0.5; deltas: 1 + 0.25 - 0.5 = 0.75 and 2 - 0.25 = 1.75; advantages 0.75 + 0.5 * 1.75 and 1.75
    rewards, values = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.25]])
    found = masked_gae(rewards, values, torch.ones(1, 2, dtype=torch.bool), gamma=1.0, gae_lambda=0.5)
    torch.testing.assert_close(found.advantages, torch.tensor([[1.625, 1.75]]))
    torch.testing.assert_close(found.returns, torch.tensor([[2.125, 2.0]]))


@pytest.mark.parametrize("rubbish", [0.0, 1e9, float("nan")])
def test_padding_has_no_influence_whatever_lies_there(rubbish):
    rewards, values = torch.tensor([[1.0, -1.0, 2.0]]), torch.tensor([[0.3, 0.2, 0.1]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    padding = torch.full((1, 4), rubbish)
    padded = masked_gae(
        torch.cat([rewards, padding], 1),
        torch.cat([values, padding], 1),
        torch.cat([mask, torch.zeros(1, 4, dtype=torch.bool)], 1),
        gamma=0.99,
        gae_lambda=0.9,
    )
    bare = masked_gae(rewards, values, mask, gamma=0.99, gae_lambda=0.9)
    torch.testing.assert_close(padded.advantages[:, :3], bare.advantages, rtol=0, atol=0)
    torch.testing.assert_close(padded.returns[:, :3], bare.returns, rtol=0, atol=0)
    assert (padded.advantages[:, 3:] == 0).all()
    assert (padded.returns[:, 3:] == 0).all()


def test_a_batch_without_columns_has_no_advantages():
    empty = torch.zeros(2, 0)
    assert masked_gae(empty, empty, empty.bool(), gamma=1.0, gae_lambda=0.95).advantages.shape == (2, 0)


def test_one_lambda_per_row_is_that_lambda_for_that_row():
    rewards, values = torch.randn(2, 4, generator=torch.Generator().manual_seed(0)), torch.ones(2, 4)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    both = masked_gae(rewards, values, mask, gamma=0.9, gae_lambda=torch.tensor([0.3, 0.8]))
    for row, gae_lambda in enumerate((0.3, 0.8)):
        alone = masked_gae(rewards, values, mask, gamma=0.9, gae_lambda=gae_lambda)
        torch.testing.assert_close(both.advantages[row], alone.advantages[row])


def test_length_adaptive_lambda_by_hand():
    mask = torch.tensor([[True] * 8, [True] * 4 + [False] * 4, [False] * 8])
    # 1 - 1 / (0.5 * 8) = 0.75, 1 - 1 / (0.5 * 4) = 0.5, and never below 0
    assert length_adaptive_lambda(mask, alpha=0.5).tolist() == [0.75, 0.5, 0.0]


def test_rewards_to_go_by_hand():
    rewards = torch.tensor([[1.0, 99.0, 2.0, 4.0]])
    mask = torch.tensor([[True, False, True, True]])
    assert rewards_to_go(rewards, mask, gamma=0.5).tolist() == [[3.0, 0.0, 4.0, 4.0]]
    assert rewards_to_go(rewards, mask, gamma=1.0).tolist() == [[7.0, 0.0, 6.0, 4.0]]
