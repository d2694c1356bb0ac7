import numpy as np
import pytest

from spanwise.core.errors import DataError
from spanwise.evals.statistics.pairwise import JudgedPair, Judgements
from spanwise.evals.win_rate.judged_comparison import compare_judged
from spanwise.feedback.scores import Unscored


def judged(shares, answers="mine", judge="judge", start=0):
    pairs = [JudgedPair(f"q{start + i}", "ref", f"{answers} {i}", share) for i, share in enumerate(shares)]
    return Judgements(tuple(pairs), answers, "ref", judge)


def compared(arm, baseline):
    return compare_judged(arm, baseline, names=("arm", "base"), resamples=400)


def test_a_clear_difference_is_called_better_with_its_points():
    generator = np.random.default_rng(0)
    base = generator.random(200) * 0.5
    found = compared(judged(base + 0.25), judged(base, "theirs"))
    assert found.difference == pytest.approx(25)
    assert found.deviation == pytest.approx(0, abs=1e-9)
    assert (found.verdict, found.prompts) == ("not held", 200)
    assert found.p_value < 0.01
    assert found.sign_p_value < 0.01


def test_noise_is_no_clear_difference_and_says_how_many_prompts_it_takes():
    generator = np.random.default_rng(1)
    one, other = (generator.integers(0, 2, 100).astype(float) for _ in range(2))
    found = compared(judged(one), judged(other, "theirs"))
    spread = (100 * (one - other)).std(ddof=1)
    assert found.verdict == "no clear difference"
    assert found.prompts_for_2_points == pytest.approx((2.8016 * spread / 2) ** 2, rel=1e-3)
    assert found.correlation == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert 0.03 < found.power_for_2_points < 0.2


def test_prompts_are_joined_and_those_of_one_side_counted():
    arm = judged([1.0, Unscored("x"), 1.0, 0.0])
    found = compared(arm, judged([0.0, 0.0, 0.5], "theirs", start=1))
    assert (found.prompts, found.only_in_arm, found.only_in_baseline) == (2, 1, 0)
    assert found.difference == pytest.approx(100 * (1.0 + 0.0 - 0.0 - 0.5) / 2)


def test_one_file_under_two_names_and_other_judges_are_told():
    found = compared(judged([1.0, 0.0, 1.0]), judged([1.0, 0.0, 1.0], judge="another"))
    assert found.same_answers == 1.0
    assert "The judges differ" in found.notes[0]
    assert "same text" in found.notes[1]


def test_nothing_in_common_is_refused():
    with pytest.raises(DataError, match="no common instruction"):
        compared(judged([1.0]), judged([1.0], start=7))
