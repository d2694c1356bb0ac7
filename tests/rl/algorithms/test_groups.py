"""Group baselines: hand-worked numbers, the known formulas for terminal rewards, and what is biased and what is not."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.rl.algorithms.groups import group_deviation, group_mean, leave_one_out

MATCHES = ["position", "relative"]


def ragged(*rows):
    """Rows of numbers as (returns, mask)."""
    width = max(map(len, rows))
    returns = torch.tensor([[*row, *[7.0] * (width - len(row))] for row in rows])
    return returns, torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])


@pytest.mark.parametrize(
    ("match", "first", "second"), [("position", [9, 5, 5], [6, 5, 0]), ("relative", [9, 9, 5], [6, 5, 0])]
)
def test_the_other_responses_at_the_corresponding_token_by_hand(match, first, second):
    returns, mask = ragged([6.0, 5.0, 3.0], [9.0, 5.0])
    found = leave_one_out(returns, mask, torch.tensor([4, 4]), match=match)
    assert found.tolist() == [first, second]
    mean = group_mean(returns, mask, torch.tensor([4, 4]), match=match)
    assert mean.tolist() == [[(a + b) / 2 for a, b in zip([6, 5, 3], first, strict=True)], [7.5, 5, 0]]


def test_a_response_alone_is_its_own_baseline_and_groups_do_not_mix():
    returns, mask = ragged([3.0, 1.0], [5.0], [1.0, 1.0])
    found = leave_one_out(returns, mask, torch.tensor([0, 1, 0]), match="position")
    assert found.tolist() == [[1, 1], [5, 0], [3, 1]]
    assert group_deviation(returns, mask, torch.tensor([0, 1, 0]))[1] == 0


@pytest.mark.parametrize("match", MATCHES)
def test_terminal_rewards_give_the_known_formulas(match):
    rewards = torch.tensor([1.0, 4.0, -2.0, 5.0])
    returns, mask = ragged(*([float(r)] * n for r, n in zip(rewards, (3, 1, 5, 2), strict=True)))
    groups = torch.zeros(4, dtype=torch.long)
    others = (rewards.sum() - rewards) / 3
    found = leave_one_out(returns, mask, groups, match=match)
    torch.testing.assert_close(found, (others[:, None] * mask), rtol=0, atol=1e-6)
    torch.testing.assert_close(group_mean(returns, mask, groups, match=match), rewards.mean() * mask, rtol=0, atol=1e-6)
    torch.testing.assert_close(group_deviation(returns, mask, groups), rewards.std().expand(4), rtol=0, atol=1e-6)


def test_the_deviation_sees_equal_sums_in_different_places():
    returns, mask = ragged([3.0, 3.0], [3.0, 0.0])  # all of it at the end, all of it at the start
    assert group_deviation(returns, mask, torch.zeros(2, dtype=torch.long)).tolist() == pytest.approx([1.5] * 2)


@st.composite
def group_cases(draw):
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 6))

    def grid(cells):
        return draw(st.lists(st.lists(cells, min_size=columns, max_size=columns), min_size=rows, max_size=rows))

    groups = draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows))
    return grid(st.floats(-9, 9)), grid(st.booleans()), groups


@given(case=group_cases(), match=st.sampled_from(MATCHES))
@settings(deadline=None, max_examples=40)
def test_baselines_are_those_of_a_loop_over_tokens(case, match):
    values, mask, groups = case
    where = [[t for t, counts in enumerate(row) if counts] for row in mask]
    expected = [[0.0] * len(row) for row in mask]
    for i, t in ((i, t) for i, places in enumerate(where) for t in range(len(places))):
        others = []
        for j in range(len(groups)):
            if groups[j] == groups[i] and j != i:
                place = t if match == "position" else t * len(where[j]) // len(where[i])
                place = min(place, len(where[j]) - 1)
                others.append(values[j][where[j][place]] if where[j] else 0.0)
        expected[i][where[i][t]] = sum(others) / len(others) if others else values[i][where[i][t]]
    returns = torch.tensor(values).masked_fill(~torch.tensor(mask), 0.0)
    found = leave_one_out(returns, torch.tensor(mask), torch.tensor(groups), match=match)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-5)


WORTH = {"a": 1.0, "b": -0.5, ".": 0.3}
LONGEST = 3


def toy_answers():
    """Every answer of a toy policy over a, b and the end: at most three tokens."""
    for length in range(1, LONGEST + 1):
        for body in itertools.product("ab", repeat=length - 1):
            for last in "ab." if length == LONGEST else ".":
                yield (*body, last)


def toy_reward(answer, t):
    """Dense, and dependent on what came before."""
    return WORTH[answer[t]] * (2.0 if t and answer[t - 1] == "b" else 1.0)


@pytest.mark.parametrize(("match", "unbiased"), [("position", True), ("relative", False)])
def test_only_matching_by_position_leaves_the_gradient_unbiased(match, unbiased):
    """The exact expectation over all pairs of answers against the exact gradient of the expected reward."""
    logits = torch.tensor([[0.3, -0.2, 0.1], [0.0, 0.4, -0.5], [-0.3, 0.2, 0.6]], dtype=torch.float64)
    logits.requires_grad_()
    tokens = logits.log_softmax(1)
    answers = list(toy_answers())
    logps = [torch.stack([tokens[t, "ab.".index(c)] for t, c in enumerate(answer)]) for answer in answers]
    probs = torch.stack([logp.sum().exp() for logp in logps])
    rewards = [[toy_reward(answer, t) for t in range(len(answer))] for answer in answers]
    (truth,) = torch.autograd.grad((probs * torch.tensor([sum(r) for r in rewards])).sum(), logits, retain_graph=True)
    surrogate = torch.zeros((), dtype=torch.float64)
    for i, j in itertools.product(range(len(answers)), repeat=2):
        rows = [[sum(rewards[k][t:]) for t in range(len(rewards[k]))] for k in (i, j)]
        returns, mask = ragged(*rows)
        advantages = returns - leave_one_out(returns, mask, torch.zeros(2, dtype=torch.long), match=match)
        both = sum((advantages[row, : len(logps[k])] * logps[k]).sum() for row, k in ((0, i), (1, j)))
        surrogate = surrogate + (probs[i] * probs[j]).detach() * both / 2
    (estimate,) = torch.autograd.grad(surrogate, logits)
    assert torch.allclose(estimate, truth, rtol=0, atol=1e-6) == unbiased
