"""KL estimators against an exact sum over a toy vocabulary, and the controller against hand-worked numbers."""

import pytest
import torch

from spanwise.rl.algorithms.kl import KLController, token_kl

POLICY = torch.tensor([0.5, 0.3, 0.2])
REFERENCE = torch.tensor([0.2, 0.5, 0.3])
ONE_OF_EACH = torch.ones(1, 3, dtype=torch.bool)


def estimates(estimator):
    """The estimate for each token that the policy could have sampled."""
    return token_kl(POLICY.log()[None], REFERENCE.log()[None], ONE_OF_EACH, estimator=estimator)[0]


def test_k1_and_k3_have_the_exact_divergence_as_their_mean():
    exact = (POLICY * (POLICY / REFERENCE).log()).sum()
    torch.testing.assert_close((POLICY * estimates("k1")).sum(), exact)
    torch.testing.assert_close((POLICY * estimates("k3")).sum(), exact)


def test_k2_has_half_the_mean_squared_log_ratio_as_its_mean_and_is_biased():
    by_hand = 0.5 * (0.5 * 0.91629073**2 + 0.3 * 0.51082562**2 + 0.2 * 0.40546511**2)
    assert float((POLICY * estimates("k2")).sum()) == pytest.approx(by_hand, rel=1e-6)
    assert by_hand != pytest.approx(float((POLICY * (POLICY / REFERENCE).log()).sum()), rel=0.05)


def test_k1_may_be_negative_k2_and_k3_may_not():
    assert (estimates("k1") < 0).any()
    assert (estimates("k2") >= 0).all()
    assert (estimates("k3") >= 0).all()


def test_k3_by_hand():
    # d = log(0.5 / 0.2); exp(-d) - 1 + d = 0.4 - 1 + 0.9162907
    assert float(estimates("k3")[0]) == pytest.approx(0.3162907, rel=1e-5)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_masked_tokens_cost_nothing_whatever_lies_there(estimator):
    logprobs = torch.tensor([[-1.0, float("-inf")]])
    ref_logprobs = torch.tensor([[-1.5, -2.0]])
    kl = token_kl(logprobs, ref_logprobs, torch.tensor([[True, False]]), estimator=estimator)
    assert kl[0, 0] > 0
    assert kl[0, 1] == 0


def test_adaptive_coefficient_follows_the_proportional_rule_with_its_clip():
    controller = KLController(0.2, target=6.0, horizon=10_000)
    controller.update(6.6, 64)  # error 0.1: 0.2 * (1 + 0.1 * 64 / 10000)
    assert controller.coef == pytest.approx(0.200128)
    controller.update(60.0, 5_000)  # error clipped to 0.2: * 1.1
    assert controller.coef == pytest.approx(0.2201408)
    controller.update(0.0, 5_000)  # error clipped to -0.2: * 0.9
    assert controller.coef == pytest.approx(0.19812672)


def test_fixed_coefficient_stays():
    controller = KLController(0.2)
    controller.update(1e6, 64)
    assert controller.coef == 0.2
