"""Masked normalisation: mean 0 and variance 1 under the mask as a property, and other libraries' traps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.rl.algorithms.advantages import masked_mean, masked_normalize, masked_variance

ALL = torch.ones(1, 4, dtype=torch.bool)


@st.composite
def masked_rows(draw):
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(2, 9))
    numbers = st.floats(-50, 50, width=32)
    values = torch.tensor(draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns)))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns)))
    return values.reshape(rows, columns).double(), mask.reshape(rows, columns)


@settings(deadline=None)
@given(masked_rows())
def test_mean_is_zero_and_variance_one_under_the_mask(case):
    values, mask = case
    counted = values[mask]
    if len(counted) < 2 or counted.var(unbiased=False) < 0.01:
        return
    normal = masked_normalize(values, mask)
    assert float(normal[mask].mean()) == pytest.approx(0, abs=1e-9)
    assert float(normal[mask].var(unbiased=False)) == pytest.approx(1, abs=1e-5)
    assert (normal[~mask] == 0).all()


@settings(deadline=None)
@given(masked_rows())
def test_without_centring_the_variance_is_one_and_zeros_stay_zero(case):
    values, mask = case
    counted = values[mask]
    if len(counted) < 2 or counted.var(unbiased=False) < 0.01:
        return
    scaled = masked_normalize(values, mask, center=False)
    assert float(scaled[mask].var(unbiased=False)) == pytest.approx(1, abs=1e-5)
    assert (scaled[values == 0] == 0).all()
    assert (scaled[mask].sign() == counted.sign()).all()


@settings(deadline=None)
@given(masked_rows(), st.floats(-1e6, 1e6))
def test_what_lies_under_the_mask_has_no_influence(case, noise):
    values, mask = case
    noisy = torch.where(mask, values, noise)
    torch.testing.assert_close(masked_normalize(noisy, mask), masked_normalize(values, mask), rtol=0, atol=0)


def test_by_hand():
    # mean 3, deviations -2 -1 0 3, population variance 14 / 4
    normal = masked_normalize(torch.tensor([[1.0, 2.0, 3.0, 6.0]]), ALL)
    torch.testing.assert_close(normal, torch.tensor([[-1.0690450, -0.5345225, 0.0, 1.6035675]]))


def test_centring_takes_the_mean_away_where_torchtune_gives_it_back():
    # torchtune's whiten(shift_mean=True) re-adds the mean, the reverse of TRL's masked_whiten that it cites: on
    # [1, 2, 3, 6] its result has mean 3.0, so its "whitened" advantages are not centred.
    normal = masked_normalize(torch.tensor([[1.0, 2.0, 3.0, 6.0]]), ALL, center=True)
    assert float(normal.mean()) == pytest.approx(0.0, abs=1e-6)


def test_population_variance_where_trl_and_verl_take_the_sample_variance():
    # TRL's and verl's masked_whiten use Bessel's correction: 14 / 3 here, so their result is sqrt(3 / 4) of ours.
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    assert float(masked_variance(x, ALL)) == pytest.approx(3.5)
    theirs = torch.tensor([[-0.9258201, -0.4629100, 0.0, 1.3887301]])
    torch.testing.assert_close(masked_normalize(x, ALL) * (3 / 4) ** 0.5, theirs)


def test_equal_numbers_and_an_empty_mask_give_zeros():
    assert (masked_normalize(torch.full((1, 4), 7.0), ALL) == 0).all()
    assert (masked_normalize(torch.full((1, 4), 7.0), ~ALL) == 0).all()
    assert float(masked_mean(torch.full((1, 4), 7.0), ~ALL)) == 0
