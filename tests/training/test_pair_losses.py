"""The losses on edit pairs against hand values."""

import math

import pytest
import torch

from spanwise.training.config import DPOLossConfig
from spanwise.training.dpo import PairSide, dpo_losses, log_ratios, pair_losses


def side(logprobs, reference, changed, mask=None):
    rows = torch.tensor([logprobs])
    counted = torch.ones_like(rows, dtype=torch.bool) if mask is None else torch.tensor([mask])
    return PairSide(rows, torch.tensor([reference]), counted, torch.tensor([changed]))


# "b" became "x" between two tokens that stay; a fourth column is padding.
EDITED = side([-1.0, -0.5, -2.0, -9.0], [-1.2, -1.0, -1.9, 0.0], [False, True, False, False], [True, True, True, False])
ORIGINAL = side([-1.0, -2.0, -2.5, -9.0], [-1.2, -1.5, -2.5, 0.0], [False, True, False, False], [True] * 3 + [False])


def loss_of(**settings):
    return pair_losses(EDITED, ORIGINAL, DPOLossConfig(**{"penalty": 0.0, **settings}))


@pytest.mark.parametrize(
    ("settings", "edited", "original"),
    [
        ({}, 0.2 + 0.5 - 0.1, 0.2 - 0.5 + 0.0),
        ({"unchanged_weight": 0.0}, 0.5, -0.5),
        ({"changed_weight": 5.0}, 0.2 + 5 * 0.5 - 0.1, 0.2 - 5 * 0.5),
        ({"changed_weight": 5.0, "per_token": True}, (0.2 + 5 * 0.5 - 0.1) / 7, (0.2 - 5 * 0.5) / 7),
    ],
)
def test_log_ratios_are_weighted_sums_over_the_tokens_that_count(settings, edited, original):
    found = loss_of(**settings)
    torch.testing.assert_close(found.edited, torch.tensor([edited]))
    torch.testing.assert_close(found.original, torch.tensor([original]))
    torch.testing.assert_close(found.loss, torch.tensor([math.log1p(math.exp(-0.1 * (edited - original)))]))


def test_plain_dpo_has_the_value_of_its_equation():
    # -log sigmoid(0.1 * (0.6 - -0.3))
    assert float(loss_of().loss) == pytest.approx(-math.log(1 / (1 + math.exp(-0.09))))


def test_the_penalty_counts_only_what_the_edit_lost():
    fallen, risen = torch.tensor([-2.0]), torch.tensor([2.0])
    worse = torch.tensor([-5.0])
    plain = dpo_losses(fallen, worse, beta=0.5)
    assert float(dpo_losses(fallen, worse, beta=0.5, penalty=3.0)) == pytest.approx(
        math.log1p(math.exp(-0.5 * (-2.0 + 5.0 - 3.0 * 2.0)))
    )
    assert float(plain) == pytest.approx(math.log1p(math.exp(-0.5 * 3.0)))
    assert torch.equal(dpo_losses(risen, worse, beta=0.5, penalty=3.0), dpo_losses(risen, worse, beta=0.5))


def test_likelihood_is_the_mean_over_the_tokens_by_weight():
    assert float(loss_of(preference=0.0, likelihood=1.0).loss) == pytest.approx((1.0 + 0.5 + 2.0) / 3)
    weighted = loss_of(preference=0.0, likelihood=2.0, changed_weight=4.0)
    assert float(weighted.loss) == pytest.approx(2 * (1.0 + 4 * 0.5 + 2.0) / 6)


def test_a_side_without_weight_says_nothing():
    same = side([-1.0, -0.5], [-1.2, -1.0], [False, False])
    config = DPOLossConfig(unchanged_weight=0.0, per_token=True, likelihood=1.0)
    assert log_ratios(same, config).tolist() == [0.0]
    assert float(pair_losses(same, ORIGINAL, config).likelihood) == 0.0


def test_a_loss_of_nothing_is_refused():
    with pytest.raises(ValueError, match="both 0"):
        DPOLossConfig(preference=0.0)


def test_figa_pushes_down_what_the_policy_was_confident_of():
    """Weight 1 on the edit's new tokens, -.5 on the original's changed ones that had .55 or more; over both counts."""
    figa = {"preference": 0.0, "likelihood": 1.0, "unchanged_weight": 0.0, "unlikelihood": 0.5}
    assert float(loss_of(**figa).loss) == pytest.approx((0.5 + 0.5 * -2.0) / 2)
    assert float(loss_of(**figa, confident=0.55).loss) == pytest.approx(0.5)  # exp(-2) is below it
    with pytest.raises(ValueError, match="unlikelihood alone only pushes down"):
        DPOLossConfig(unlikelihood=0.5)
