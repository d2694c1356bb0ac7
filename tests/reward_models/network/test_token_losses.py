"""Token losses equal the hand examples and closed forms of the equations; padding and unchanged tokens stay out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.reward_models.config import TokenLossConfig
from spanwise.reward_models.network.losses import (
    TokenSide,
    edited_difference,
    full_difference,
    sequence_scores,
    token_pair_loss,
    unchanged_share,
)

PLAIN = {"temperature": 1.0, "consistency": 0.0, "neutral": 0.0}


def side(rewards, changed, padding=0, junk=7.0):
    """One response: its rewards, the positions that changed, and `padding` slots of junk behind."""
    length = len(rewards)
    mask = [True] * length + [False] * padding
    flags = [place in changed for place in range(length)] + [False] * padding
    values = torch.tensor([[*rewards, *[junk] * padding]], requires_grad=True)
    return TokenSide(values, torch.tensor([mask]), torch.tensor([flags]))


def pairs(*places):
    return torch.tensor([(0, *place) for place in places], dtype=torch.long).reshape(-1, 3)


def loss_of(original, edited, unchanged=(), **fields):
    return token_pair_loss(original, edited, pairs(*unchanged), TokenLossConfig(**{**PLAIN, **fields}))


SUBSTITUTION = (side([0.1, -0.4, 0.2, 0.0], {1}), side([0.1, 0.6, 0.2, 0.0], {1}))
INSERTION = (side([0.1, 0.2, 0.0], set()), side([0.1, 0.5, 0.2, 0.0], {1}))
DRIFT = (side([0.1, -0.4, 0.2, -0.1], {1}), side([0.1, 0.6, 0.3, 0.0], {1}))


@pytest.mark.parametrize(
    ("pair", "name", "difference", "loss"),
    [
        (SUBSTITUTION, "full", 0.25, 0.575939),
        (SUBSTITUTION, "edited", 0.25, 0.575939),
        (INSERTION, "full", 0.10, 0.644397),
        (INSERTION, "edited", 0.125, 0.632599),
        (DRIFT, "full", 0.30, math.log1p(math.exp(-0.30))),
        (DRIFT, "edited", 0.25, math.log1p(math.exp(-0.25))),
    ],
)
def test_the_hand_examples(pair, name, difference, loss):
    found = loss_of(*pair, name=name)
    assert found.difference.item() == pytest.approx(difference, abs=1e-6)
    assert found.loss.item() == pytest.approx(loss, abs=1e-6)


def test_equation_3_is_the_full_difference_where_unchanged_tokens_agree():
    """Insertion: (1/4 - 1/3) * .3 + .5/4."""
    unchanged = 0.1 + 0.2 + 0.0
    assert full_difference(*INSERTION).item() == pytest.approx((1 / 4 - 1 / 3) * unchanged + 0.5 / 4, abs=1e-6)


def test_the_sequence_score_is_the_mean_over_the_response():
    response = side([1.0, 2.0, 6.0], set(), padding=2)
    assert sequence_scores(response.rewards, response.response_mask).tolist() == [3.0]


def test_the_edited_loss_has_the_gradient_of_the_paper_and_none_on_unchanged_tokens():
    original, edited = side([0.1, -0.4, 0.2], {1}), side([0.1, 0.6, 0.3, 0.2], {1, 2})
    found = loss_of(original, edited, name="edited")
    found.loss.backward()
    pull = torch.sigmoid(-found.difference).item()
    assert torch.allclose(edited.rewards.grad, torch.tensor([[0.0, -pull / 4, -pull / 4, 0.0]]))
    assert torch.allclose(original.rewards.grad, torch.tensor([[0.0, pull / 3, 0.0]]))


def test_the_full_loss_moves_every_token():
    original, edited = side([0.1, -0.4, 0.2], {1}), side([0.1, 0.6], {1})
    found = loss_of(original, edited, name="full")
    found.loss.backward()
    pull = torch.sigmoid(-found.difference).item()
    assert torch.allclose(edited.rewards.grad, torch.full((1, 2), -pull / 2))
    assert torch.allclose(original.rewards.grad, torch.full((1, 3), pull / 3))


def test_temperature_and_margin_enter_the_sigmoid():
    found = loss_of(*SUBSTITUTION, name="edited", temperature=4.0, margin=0.3)
    assert found.loss.item() == pytest.approx(math.log1p(math.exp(0.3 - 4.0 * 0.25)), abs=1e-6)


def test_dividing_by_the_changed_tokens_ignores_how_long_the_response_is():
    short = side([0.1, -0.4], {1}), side([0.1, 0.6, 0.2], {1, 2})
    long = side([0.1, -0.4, 5.0, 5.0], {1}), side([0.1, 0.6, 0.2, 5.0], {1, 2})
    for original, edited in (short, long):
        assert edited_difference(original, edited, "changed").item() == pytest.approx(0.4 + 0.4, abs=1e-6)


def test_consistency_and_neutrality_are_means_over_the_tokens_that_stay():
    fields = {"name": "edited+consistency", "consistency": 2.0, "neutral": 3.0}
    found = loss_of(*DRIFT, unchanged=[(0, 0), (2, 2), (3, 3)], **fields)
    consistency = (0.0 + 0.01 + 0.01) / 3
    neutral = (0.01 + 0.01 + 0.04 + 0.09 + 0.01 + 0.0) / 6
    assert found.consistency.item() == pytest.approx(consistency, abs=1e-6)
    assert found.neutral.item() == pytest.approx(neutral, abs=1e-6)
    plain = loss_of(*DRIFT, name="edited").loss.item()
    assert found.loss.item() == pytest.approx(plain + 2 * consistency + 3 * neutral, abs=1e-6)


def test_only_drift_of_unchanged_tokens_counts_as_theirs():
    assert unchanged_share(*SUBSTITUTION).item() == pytest.approx(0.0, abs=1e-6)
    assert unchanged_share(*DRIFT).item() == pytest.approx(0.05 / 0.30, abs=1e-5)
    nothing = side([0.0, 0.0], set()), side([0.0, 0.0], set())
    assert unchanged_share(*nothing).item() == 0.0


def test_a_pure_insertion_and_a_pure_deletion_are_one_sided_and_finite():
    for name in ("edited", "edited+consistency"):
        for divide_by in ("length", "changed"):
            for original, edited in (INSERTION, INSERTION[::-1]):
                assert math.isfinite(loss_of(original, edited, name=name, divide_by=divide_by).loss.item())


def test_no_pairs_teach_nothing():
    empty = TokenSide(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.bool), torch.zeros(0, 3, dtype=torch.bool))
    assert loss_of(empty, empty).loss.item() == 0.0


@settings(deadline=None)
@given(
    original=st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=6),
    edited=st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=6),
    padding=st.integers(1, 4),
    name=st.sampled_from(["full", "edited", "edited+consistency"]),
    data=st.data(),
)
def test_padding_changes_neither_loss_nor_gradient(original, edited, padding, name, data):
    places = [(a, a) for a in range(min(len(original), len(edited))) if data.draw(st.booleans())]
    kept = {a for a, _ in places}
    changed = [set(range(len(rewards))) - kept for rewards in (original, edited)]

    def run(more):
        sides = side(original, changed[0], more), side(edited, changed[1], 2 * more)
        found = loss_of(*sides, unchanged=places, name=name, consistency=0.5, neutral=0.5)
        found.loss.backward()
        return found.loss.item(), [one.rewards.grad for one in sides]

    (bare, gradients), (padded, others) = run(0), run(padding)
    assert padded == pytest.approx(bare, abs=1e-5)
    for gradient, other in zip(gradients, others, strict=True):
        length = gradient.shape[1]
        assert torch.allclose(other[:, :length], gradient, atol=1e-6)
        assert not other[:, length:].any()


def test_the_full_loss_cannot_divide_by_changed_tokens():
    with pytest.raises(ValueError, match="set divide_by to length"):
        TokenLossConfig(name="full", divide_by="changed")
