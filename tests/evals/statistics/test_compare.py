import pytest

from spanwise.core.errors import DataError
from spanwise.evals.statistics.compare import arm_estimates, compare_arms
from spanwise.evals.statistics.results import MetricInfo
from spanwise.evals.statistics.score_table import ScoreTable

INFOS = {"error": MetricInfo(label="E", better="lower"), "words": MetricInfo(label="W")}


def tables():
    base = {f"p{i}": 0.6 + 0.01 * (i % 5) for i in range(40)}
    return {
        "base": {"error": ScoreTable.from_values(base), "words": ScoreTable.from_values(dict.fromkeys(base, 30.0))},
        "new": {"error": ScoreTable.from_values({key: value - 0.2 for key, value in base.items()})},
    }


def test_only_metrics_that_both_arms_ran_are_compared():
    found = compare_arms(tables(), INFOS, [("new", "base")], resamples=200)
    assert [(one.metric, one.verdict) for one in found] == [("error", "not held")]
    assert found[0].difference.mean == pytest.approx(-0.2)
    assert found[0].p_value < 0.01


def test_another_metric_or_arm_changes_no_number():
    alone = arm_estimates({"error": tables()["base"]["error"]}, arm="base", resamples=200)
    both = arm_estimates(tables()["base"], arm="base", resamples=200)
    assert alone["error"] == both["error"]
    assert arm_estimates(tables()["base"], arm="base", seed=1, resamples=200)["error"] != both["error"]


def test_arms_of_other_prompts_cannot_be_compared():
    wrong = tables()
    wrong["new"]["error"] = ScoreTable.from_values({"q": 1.0})
    with pytest.raises(DataError, match="same prompts"):
        compare_arms(wrong, INFOS, [("new", "base")], resamples=200)


def rival_tables(shift):
    """An arm .2 below the baseline, and a free rival `shift` below it."""
    found = tables()
    base = dict(zip(found["base"]["error"].ids, found["base"]["error"].totals[0], strict=True))
    noise = {key: 0.01 * (number % 2 - 0.5) for number, key in enumerate(base)}
    rival = {key: value - shift + noise[key] for key, value in base.items()}
    return found | {"free": {"error": ScoreTable.from_values(rival)}}


@pytest.mark.parametrize(("shift", "verdict"), [(0.1, "better"), (0.2, "sharpens"), (0.3, "sharpens")])
def test_an_arm_is_held_against_its_best_free_rival(shift, verdict):
    rivals = {"new": ("base", "free"), "base": ("free",)}
    (found,) = compare_arms(rival_tables(shift), INFOS, [("new", "base")], rivals=rivals, resamples=200)
    assert (found.verdict, found.rival) == (verdict, "free")
    assert found.rival_difference.mean == pytest.approx(shift - 0.2)
    (plain,) = compare_arms(tables(), INFOS, [("new", "base")], resamples=200)
    assert (found.difference, found.p_value) == (plain.difference, plain.p_value)


def test_a_rival_that_was_not_measured_on_the_metric_holds_nothing():
    found = rival_tables(0.1)
    found["free"] = {}
    (one,) = compare_arms(found, INFOS, [("new", "base")], rivals={"new": ("free",)}, resamples=200)
    assert (one.verdict, one.rival, one.rival_difference) == ("not held", "", None)


def test_a_free_rival_may_be_better_than_its_baseline():
    (one,) = compare_arms(rival_tables(0.1), INFOS, [("free", "base")], rivals={"new": ("free",)}, resamples=200)
    assert (one.verdict, one.rival) == ("better", "free")
