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
    assert [(one.metric, one.verdict) for one in found] == [("error", "better")]
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
