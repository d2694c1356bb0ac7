"""Losses equal their closed forms, and stay finite where the naive forms do not."""

import math

import pytest
import torch

from spanwise.reward_models.network.losses import pair_loss, segment_loss


def test_segment_loss_is_the_mean_of_minus_log_probability_over_labelled_segments():
    logits = torch.tensor([math.log(3.0), math.log(1 / 3), 5.0])
    loss = segment_loss(logits, torch.tensor([1.0, 1.0, 0.0]), torch.tensor([True, True, False]))
    assert loss.item() == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2, rel=1e-6)


def test_a_soft_label_is_best_met_by_its_own_probability():
    logit = torch.tensor([math.log(3.0)], requires_grad=True)
    segment_loss(logit, torch.tensor([0.75]), torch.tensor([True])).backward()
    assert logit.grad is not None
    assert logit.grad.item() == pytest.approx(0.0, abs=1e-7)


def test_ignored_segments_give_no_gradient_and_nothing_to_learn_is_zero():
    logits = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = segment_loss(logits, torch.zeros(2), torch.tensor([False, False]))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros(2))
    assert pair_loss(torch.zeros(0), torch.zeros(0)).item() == 0.0


def test_pair_loss_of_equal_scores_is_log_two():
    assert pair_loss(torch.zeros(3), torch.zeros(3)).item() == pytest.approx(math.log(2.0))


def test_pair_loss_on_a_confident_error_is_finite_with_full_gradient():
    better = torch.tensor([-200.0], requires_grad=True)
    loss = pair_loss(better, torch.tensor([200.0]))
    loss.backward()
    assert loss.item() == pytest.approx(400.0)
    assert better.grad is not None
    assert better.grad.item() == pytest.approx(-1.0)


def test_the_offset_of_the_listing_order_moves_the_difference():
    shifted = pair_loss(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([0.5]))
    assert shifted.item() == pytest.approx(pair_loss(torch.tensor([1.5]), torch.tensor([0.0])).item())


def test_a_pair_that_is_half_sure_counts_both_ways():
    better, worse = torch.tensor([1.2]), torch.tensor([0.4])
    wanted = 0.75 * pair_loss(better, worse) + 0.25 * pair_loss(worse, better)
    assert pair_loss(better, worse, confidence=torch.tensor([0.75])).item() == pytest.approx(wanted.item())
