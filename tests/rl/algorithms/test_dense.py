"""The contract of dense advantages: layouts, holes, dropped rows and lone responses, against loops over tokens."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spanwise.core import DataError
from spanwise.rl.algorithms.dense import dense_advantages, group_numbers

ESTIMATORS = ["grpo", "rloo"]
GROUPS = torch.tensor([0, 0, 0, 1, 1])
ROWS = [[1.0, 0.0, -2.0], [0.5], [0.0, 3.0], [1.0, 1.0], [-1.0, 0.0, 0.25, 2.0]]


def laid_out(rows, width, side="left", *, holes=False):
    """(rewards, mask) with the rows' numbers at the left or right; with holes every number has a masked one before."""
    rewards, mask = torch.zeros(len(rows), width), torch.zeros(len(rows), width, dtype=torch.bool)
    for index, row in enumerate(rows):
        stride = 2 if holes else 1
        start = 0 if side == "left" else width - stride * len(row)
        places = [start + stride * t + stride - 1 for t in range(len(row))]
        rewards[index, places], mask[index, places] = torch.tensor(row), True
    return rewards, mask


def by_loop(rows, groups, *, estimator, gamma, divide_by_std):
    """The definition, token by token, in Python floats; matched by position."""
    togo = [[sum(gamma ** (k - t) * row[k] for k in range(t, len(row))) for t in range(len(row))] for row in rows]
    found = []
    for i, row in enumerate(togo):
        members = [j for j, group in enumerate(groups) if group == groups[i]]
        others = [j for j in members if j != i] if estimator == "rloo" else members

        def at(j, t):
            return togo[j][min(t, len(togo[j]) - 1)]

        width = max(len(togo[j]) for j in members)
        variances = []
        for t in range(width):
            column = [at(j, t) for j in members]
            mean = sum(column) / len(column)
            variances.append(sum((x - mean) ** 2 for x in column) / max(1, len(column) - 1))
        deviation = math.sqrt(sum(variances) / width) + 1e-6 if estimator == "grpo" and divide_by_std else 1.0
        lone = len(members) == 1
        base = [row[t] if lone else sum(at(j, t) for j in others) / len(others) for t in range(len(row))]
        found.append([(x - b) / deviation for x, b in zip(row, base, strict=True)])
    return found


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("gamma", [1.0, 0.9, 0.0])
@pytest.mark.parametrize("divide_by_std", [True, False])
def test_equals_the_definition(estimator, gamma, divide_by_std):
    rewards, mask = laid_out(ROWS, 5)
    settings = {"estimator": estimator, "gamma": gamma, "divide_by_std": divide_by_std}
    found = dense_advantages(rewards, mask, GROUPS, **settings)
    expected = by_loop(ROWS, GROUPS.tolist(), **settings)
    for row, numbers in zip(found.advantages, expected, strict=True):
        assert row[: len(numbers)].tolist() == pytest.approx(numbers, abs=1e-5)
        assert (row[len(numbers) :] == 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("match", ["position", "relative"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("holes", [False, True])
def test_padding_and_holes_change_nothing(estimator, match, side, holes):
    plain, counted = laid_out(ROWS, 4)
    moved, mask = laid_out(ROWS, 11, side, holes=holes)
    settings = {"estimator": estimator, "match": match, "gamma": 0.9}
    expected = dense_advantages(plain, counted, GROUPS, **settings)
    found = dense_advantages(moved, mask, GROUPS, **settings)
    for here, there in zip(found, expected, strict=True):
        assert torch.equal(here[mask], there[counted])
        assert (here[~mask] == 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("how", ["dropped", "empty"])
def test_left_out_responses_are_in_no_statistics(estimator, how):
    rewards, mask = laid_out([*ROWS, [50.0, -50.0]], 4)
    groups = torch.tensor([*GROUPS.tolist(), 0])
    dropped = torch.tensor([False] * 5 + [how == "dropped"])
    if how == "empty":
        mask[5] = False  # as an engine does that masks truncated answers after they were scored
    found = dense_advantages(rewards, mask, groups, dropped=dropped, estimator=estimator)
    expected = dense_advantages(rewards[:5], mask[:5], GROUPS, estimator=estimator)
    assert torch.equal(found.advantages[:5], expected.advantages)
    assert (found.advantages[5] == 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_response_alone_learns_nothing(estimator):
    rewards, mask = laid_out([[3.0, -1.0], [2.0], [1.0, 4.0]], 3)
    found = dense_advantages(
        rewards, mask, torch.tensor([0, 1, 1]), dropped=torch.tensor([False, True, False]), estimator=estimator
    )
    assert (found.advantages == 0).all()
    assert found.returns[0].tolist() == [2.0, -1.0, 0.0]


def test_no_response_left_is_no_error():
    rewards, mask = laid_out([[3.0], [2.0]], 2)
    found = dense_advantages(rewards, mask, torch.tensor([0, 0]), dropped=torch.tensor([True, True]))
    assert (found.advantages == 0).all()


@given(
    scores=st.lists(st.floats(-9, 9, width=32), min_size=2, max_size=6),
    lengths=st.lists(st.integers(1, 5), min_size=6, max_size=6),
)
def test_one_reward_at_the_end_is_the_known_formula(scores, lengths):
    rows = [[0.0] * (length - 1) + [score] for score, length in zip(scores, lengths, strict=False)]
    rewards, mask = laid_out(rows, 5)
    groups, total = torch.zeros(len(rows), dtype=torch.long), torch.tensor(scores)
    found = dense_advantages(rewards, mask, groups, estimator="grpo").advantages
    expected = (total - total.mean()) / (total.std() + 1e-6)
    torch.testing.assert_close(
        found, expected[:, None] * mask, rtol=1e-4, atol=1e-4 + 10 * 1e-6 / (1e-6 + total.std().item())
    )
    found = dense_advantages(rewards, mask, groups, estimator="rloo").advantages
    expected = total - (total.sum() - total) / (len(rows) - 1)
    torch.testing.assert_close(found, expected[:, None] * mask, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("reward", "says"), [(5.0, "row 1|Response 1, token 2: a reward of 5"), (math.nan, "nan")])
def test_a_reward_that_would_be_lost_is_refused(reward, says):
    rewards, mask = laid_out([[1.0, 2.0], [3.0, 4.0]], 3)
    rewards[1, 2 if reward == 5.0 else 1] = reward
    with pytest.raises(DataError, match=says):
        dense_advantages(rewards, mask, torch.tensor([0, 0]))


def test_group_numbers_of_names():
    assert group_numbers(["a", "b", "a", ("c", 1)]).tolist() == [0, 1, 0, 2]
