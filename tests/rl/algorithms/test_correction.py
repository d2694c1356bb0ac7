"""Importance weights on a toy of three tokens, where every expectation is a sum."""

import pytest
import torch

from spanwise.rl.algorithms.correction import correction_metrics, sampling_weights
from spanwise.rl.config import CorrectionConfig

P, Q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
WORTH = torch.tensor([1.0, -2.0, 5.0])
ALL = torch.ones(1, 3, dtype=torch.bool)


def expected(how, cap):
    """The mean of weight x worth over samples of the engine."""
    weights = sampling_weights(P.log()[None], Q.log()[None], ALL, CorrectionConfig(how=how, cap=cap))[0]
    return float((Q * weights * WORTH).sum())


def test_wide_bounds_give_the_policys_expectation():
    for how in ("truncate", "mask"):
        assert expected(how, 100.0) == pytest.approx(float((P * WORTH).sum()))
    assert expected("none", 2.0) == pytest.approx(float((Q * WORTH).sum()))


def test_truncation_takes_from_the_likely_what_is_above_the_bound():
    # p / q is 2.33, 0.67 and 0.25; only the first meets a bound of 2.
    assert expected("truncate", 2.0) == pytest.approx(2.0 * 0.3 * 1.0 + 0.2 * -2.0 + 0.1 * 5.0)


def test_masking_leaves_out_both_sides():
    assert expected("mask", 2.0) == pytest.approx(0.2 * -2.0)
    assert expected("mask", 4.5) == pytest.approx(float((P * WORTH).sum()))


def test_padding_has_no_weight_and_does_not_count():
    mask = torch.tensor([[True, True, False]])
    logprobs, sampled = torch.tensor([[0.0, -1.0, 7.0]]), torch.tensor([[-0.5, -1.0, 0.0]])
    config = CorrectionConfig(cap=1.5)
    assert sampling_weights(logprobs, sampled, mask, config).tolist() == [[1.5, 1.0, 0.0]]
    assert correction_metrics(logprobs, sampled, mask, config) == pytest.approx(
        {"sampler/kl": -0.25, "sampler/bounded": 0.5}
    )
