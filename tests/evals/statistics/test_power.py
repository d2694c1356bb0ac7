import numpy as np
import pytest
from scipy.stats import norm

from spanwise.core.errors import ConfigError
from spanwise.evals.statistics.estimates import power_of, prompts_needed


def test_the_textbook_number_for_a_paired_difference_comes_out():
    # Half a standard deviation, 80 % power, 5 % two-sided: 32 by the normal approximation.
    assert prompts_needed(1.0, 0.5) == 32
    assert prompts_needed(60.0, 2.0) == 7064


@pytest.mark.parametrize("difference", [0.5, 2.0, 10.0])
def test_the_needed_prompts_give_the_wanted_power(difference):
    needed = prompts_needed(30.0, difference)
    assert power_of(needed, 30.0, difference) >= 0.8 > power_of(needed - 2, 30.0, difference) - 0.02


def test_power_agrees_with_simulation():
    means = np.random.default_rng(0).normal(1.0, 5 / 50**0.5, size=20_000)
    seen = (np.abs(means) > norm.ppf(0.975) * 5 / 50**0.5).mean()
    assert power_of(50, 5.0, 1.0) == pytest.approx(seen, abs=0.01)


def test_no_difference_has_the_power_of_a_false_alarm():
    assert power_of(10, 1.0, 0.0) == pytest.approx(0.05)


def test_no_difference_cannot_be_planned_for():
    with pytest.raises(ConfigError):
        prompts_needed(1.0, 0.0)
