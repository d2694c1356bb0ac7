import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from spanwise.core.errors import DataError
from spanwise.evals.statistics.intervals import (
    estimate,
    paired_difference,
    permutation_p_value,
    seed_interval,
    sign_test,
)
from spanwise.evals.statistics.score_table import ScoreTable
from spanwise.feedback.scores import Unscored


def rng(seed=0):
    return np.random.default_rng(seed)


def table(values, seeds=None):
    """A table from a (S, P) array of plain values."""
    values = np.atleast_2d(np.asarray(values, dtype=float))
    ids = tuple(f"p{i}" for i in range(values.shape[1]))
    return ScoreTable(ids, values, np.ones_like(values), tuple(seeds or range(len(values))))


def test_mean_interval_equals_scipys_percentile_bootstrap():
    values = rng(3).gamma(2.0, size=80)
    found = estimate(table(values), generator=rng(), resamples=20_000)
    wanted = scipy_stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=rng(1))
    assert found.mean == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx(list(wanted.confidence_interval), abs=0.01)
    assert (found.n, found.unscored, found.seeds, found.over) == (80, 0, 1, "prompts")


def test_bootstrap_width_equals_the_closed_form_of_the_mean():
    values = rng(5).normal(size=400)
    found = estimate(table(values), generator=rng(), resamples=20_000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.02)


def test_micro_average_is_the_ratio_of_sums_and_its_interval_is_that_of_the_linearised_ratio():
    generator = rng(7)
    counts = generator.integers(1, 9, size=300)
    wrong = generator.binomial(counts, 0.3)
    found = estimate(
        ScoreTable.from_ratios(
            {str(i): (float(w), float(c)) for i, (w, c) in enumerate(zip(wrong, counts, strict=True))}
        ),
        generator=rng(),
        resamples=20_000,
    )
    ratio = wrong.sum() / counts.sum()
    error = np.sqrt(((wrong - ratio * counts) ** 2).sum()) / counts.sum()  # delta method
    assert found.mean == pytest.approx(ratio)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.03)


def test_what_could_not_be_scored_is_counted_and_in_no_mean():
    values = {"a": 1.0, "b": None, "c": float("nan"), "d": Unscored("the judge was down"), "e": 3.0}
    found = estimate(ScoreTable.from_values(values), generator=rng())
    assert (found.mean, found.n, found.unscored) == (2.0, 2, 3)


def test_nothing_scored_gives_no_mean_and_one_prompt_gives_no_interval():
    nothing = estimate(ScoreTable.from_values({"a": None}), generator=rng())
    assert (nothing.mean, nothing.low, nothing.n, nothing.unscored) == (None, None, 0, 1)
    empty = estimate(ScoreTable.from_values({}), generator=rng())
    assert (empty.mean, empty.low, empty.n) == (None, None, 0)
    one = estimate(ScoreTable.from_values({"a": 0.5}), generator=rng())
    assert (one.mean, one.low, one.high, one.over) == (0.5, None, None, "")
    seeds = estimate(table([[1.0], [3.0]]), generator=rng())
    assert (seeds.mean, seeds.over) == (2.0, "seeds")


def test_constant_values_give_an_interval_without_width():
    assert estimate(table([0.25] * 12), generator=rng()).low == 0.25
    found = estimate(table([[2.0] * 6] * 3), generator=rng())
    assert (found.low, found.high, found.per_seed) == (2.0, 2.0, (2.0, 2.0, 2.0))


def test_an_infinite_score_is_refused_by_name():
    with pytest.raises(DataError, match="'b'"):
        ScoreTable.from_values({"a": 1.0, "b": float("inf")})


def test_a_seed_without_scores_is_left_out_of_the_seeds():
    values = ScoreTable.stack(
        {0: ScoreTable.from_values({"a": 1.0, "b": 2.0}), 1: ScoreTable.from_values({"a": None, "b": None})}
    )
    found = estimate(values, generator=rng())
    assert (found.mean, found.seeds, found.per_seed, found.unscored) == (1.5, 1, (1.5, None), 2)


def test_same_generator_gives_the_same_numbers_and_blocks_do_not_change_them(monkeypatch):
    values = table(rng(1).normal(size=50))
    whole = estimate(values, generator=rng(4), resamples=300)
    monkeypatch.setattr("spanwise.evals.statistics.intervals._BLOCK", 50 * 7)
    assert estimate(values, generator=rng(4), resamples=300) == whole


@pytest.mark.parametrize(
    ("seeds", "between_seeds", "low", "high"),
    [(1, 0.0, 0.90, 0.98), (3, 0.1, 0.92, 0.99), (5, 0.1, 0.92, 0.99), (5, 0.3, 0.90, 0.98)],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(seeds, between_seeds, low, high):
    generator, hits, trials = rng(11), 0, 400
    for _ in range(trials):
        values = (
            generator.normal(0, between_seeds, (seeds, 1))
            + generator.normal(0, 1, (1, 60))
            + generator.normal(0, 1, (seeds, 60))
        )
        found = estimate(table(values), generator=generator, resamples=400)
        hits += found.low <= 0 <= found.high
    assert low <= hits / trials <= high


def test_paired_difference_equals_scipys_paired_bootstrap():
    baseline = rng(1).normal(size=100)
    arm = baseline + rng(2).normal(0.2, 0.5, size=100)
    found = paired_difference(table(arm), table(baseline), generator=rng(), resamples=20_000)
    wanted = scipy_stats.bootstrap(
        (arm, baseline),
        lambda x, y, axis: (x - y).mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=rng(9),
    )
    assert found.mean == pytest.approx((arm - baseline).mean())
    assert [found.low, found.high] == pytest.approx(list(wanted.confidence_interval), abs=0.005)


def test_pairing_joins_by_id_whatever_the_order():
    arm = ScoreTable.from_values({"a": 1.0, "b": 5.0, "c": 2.0})
    baseline = ScoreTable.from_values({"c": 1.0, "a": 0.0, "b": 4.0})
    found = paired_difference(arm, baseline, generator=rng())
    assert (found.mean, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))


def test_a_prompt_counts_only_where_both_arms_were_scored():
    arm = ScoreTable.from_values({"a": 1.0, "b": 100.0, "c": 3.0})
    baseline = ScoreTable.from_values({"a": 0.0, "b": None, "c": 1.0})
    found = paired_difference(arm, baseline, generator=rng())
    assert (found.mean, found.n, found.unscored) == (1.5, 2, 1)


def test_nothing_to_count_is_a_score_and_keeps_its_prompt_in_the_pair():
    arm = ScoreTable.from_ratios({"a": (1, 4), "b": (0, 0), "c": (2, 4)})
    baseline = ScoreTable.from_ratios({"a": (2, 4), "b": (3, 3), "c": (2, 3)})
    found = paired_difference(arm, baseline, generator=rng())
    assert (found.mean, found.n, found.unscored) == (pytest.approx(3 / 8 - 7 / 10), 3, 0)
    assert estimate(arm, generator=rng()).unscored == 0
    empty = ScoreTable.from_ratios({"a": (0, 0), "b": (0, 0)})
    assert (estimate(empty, generator=rng()).mean, estimate(empty, generator=rng()).n) == (None, 2)


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (ScoreTable.from_values({"a": 1.0}), "lacks 'b' \\(1 missing, 0 too many\\)"),
        (ScoreTable.from_values({"a": 1.0, "b": 1.0, "z": 1.0}), "has 'z'"),
        (ScoreTable.from_values({"a": 1.0, "b": 1.0}, seed=7), "seeds \\(0,\\) and \\(7,\\)"),
    ],
)
def test_arms_of_other_prompts_or_seeds_are_refused(baseline, words):
    with pytest.raises(DataError, match=words):
        paired_difference(ScoreTable.from_values({"a": 1.0, "b": 2.0}), baseline, generator=rng())


def test_stack_aligns_seeds_by_id():
    joined = ScoreTable.stack(
        {3: ScoreTable.from_values({"a": 1.0, "b": 2.0}), 5: ScoreTable.from_values({"b": 4.0, "a": 3.0})}
    )
    assert joined.seeds == (3, 5)
    assert joined.totals.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(DataError, match="seed 5"):
        ScoreTable.stack({3: joined.where(joined.mask), 5: ScoreTable.from_values({"a": 1.0})})


def test_permutation_p_value_equals_the_exact_enumeration():
    differences = np.array([0.4, -0.1, 0.9, 0.3, -0.2, 0.7, 0.5, 0.1])
    signs = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
    exact = (np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12).mean()
    found = permutation_p_value(table(differences), table(np.zeros(8)), generator=rng(), resamples=40_000)
    assert found == pytest.approx(exact, abs=0.005)


def test_permutation_p_value_is_uniform_when_the_arms_are_alike():
    generator = rng(2)
    values = [
        permutation_p_value(
            table(generator.normal(size=(2, 20))),
            table(generator.normal(size=(2, 20))),
            generator=generator,
            resamples=99,
        )
        for _ in range(400)
    ]
    assert scipy_stats.kstest(values, "uniform").pvalue > 0.01


def test_permutation_p_value_of_equal_arms_is_one_and_of_nothing_is_none():
    same = table([1.0, 2.0, 3.0])
    assert permutation_p_value(same, same, generator=rng()) == 1.0
    nothing = ScoreTable.from_values({"a": None})
    assert permutation_p_value(nothing, nothing, generator=rng()) is None


@given(st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_sign_test_equals_scipys_binomial_test(differences):
    above, below = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    wanted = scipy_stats.binomtest(above, above + below).pvalue if above + below else 1.0
    assert sign_test(table(differences), table([0.0] * len(differences))) == pytest.approx(wanted)


def test_seed_interval_is_students():
    means = {0: 0.2, 1: 0.5, 2: 0.3, 3: 0.9}
    found = seed_interval(means)
    wanted = scipy_stats.t.interval(0.95, 3, np.mean(list(means.values())), scipy_stats.sem(list(means.values())))
    assert [found.low, found.high] == pytest.approx(list(wanted))
    assert found.over == "seeds"
    assert seed_interval({4: 0.5}).low is None
    with pytest.raises(DataError, match="seed"):
        seed_interval({0: 1.0, 1: float("nan")})


def test_several_seeds_with_paired_noise_removed():
    """The same prompt noise in both arms cancels, so the interval is that of the seeds' differences."""
    prompts = rng(1).normal(0, 10, (1, 50))
    shifts = np.array([[1.0], [1.2], [0.8]])
    found = paired_difference(table(prompts + shifts), table(np.repeat(prompts, 3, axis=0)), generator=rng())
    wanted = scipy_stats.t.interval(0.95, 2, 1.0, scipy_stats.sem(shifts.ravel()))
    assert [found.low, found.high] == pytest.approx(list(wanted))
