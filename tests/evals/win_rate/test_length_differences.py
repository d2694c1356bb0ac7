import numpy as np
import pytest

from spanwise.core.seeding import numpy_generator
from spanwise.evals.statistics.pairwise import JudgedPair, Judgements
from spanwise.evals.win_rate.length_control import length_controlled
from spanwise.evals.win_rate.length_differences import length_difference
from spanwise.feedback.scores import Unscored


def judged(shares, lengths, model):
    pairs = [
        JudgedPair(f"q{n}", "r" * 100, "a" * int(length), share)
        for n, (share, length) in enumerate(zip(shares, lengths, strict=True))
    ]
    return Judgements(tuple(pairs), model, "ref", "judge")


def answers(seed, *, longer, gain):
    """A judge that likes length: each model's shares follow its length and what it is worth beyond that."""
    generator = np.random.default_rng(seed)
    lengths = 100 + longer + generator.normal(0, 40, 150)
    chance = 1 / (1 + np.exp(-(np.tanh((lengths - 100) / 40) + gain)))
    return judged((generator.random(150) < chance).astype(float), lengths, f"m{seed}")


def test_the_difference_is_that_of_the_two_rates_and_turns_with_the_order():
    one, other = answers(1, longer=60, gain=0.0), answers(2, longer=0, gain=0.0)
    found = length_difference(one, other, resamples=60)
    rates = [length_controlled(own, generator=numpy_generator(0, "x"), resamples=0)[0].win_rate for own in (one, other)]
    assert (found.arm, found.baseline) == pytest.approx(rates)
    assert found.difference == pytest.approx(rates[0] - rates[1])
    assert found.low < found.difference < found.high
    back = length_difference(other, one, resamples=60)
    assert (back.difference, back.low, back.high) == pytest.approx((-found.difference, -found.high, -found.low))


def test_a_gain_by_length_alone_shrinks_and_a_model_never_differs_from_itself():
    long, short = answers(3, longer=60, gain=0.0), answers(4, longer=0, gain=0.0)
    plain = 100 * (np.mean(long.shares) - np.mean(short.shares))
    assert abs(length_difference(long, short, resamples=0).difference) < plain
    itself = length_difference(long, long, resamples=20)
    assert (itself.difference, itself.low, itself.high) == (0.0, 0.0, 0.0), "both are drawn alike"


def test_only_prompts_decided_for_both_count_in_any_order():
    one, other = (
        judged([1.0, 0.0, 1.0, Unscored("x")], [9, 8, 7, 6], "a"),
        judged([0.0, 1.0, 0.0, 0.0], [5, 6, 7, 8], "b"),
    )
    turned = Judgements(other.pairs[::-1], "b", "ref", "judge")
    found, again = (length_difference(one, own, resamples=20) for own in (other, turned))
    assert found.prompts == 3
    assert found == again
    assert length_difference(one, judged([0.0], [3], "b"), resamples=5) is None
