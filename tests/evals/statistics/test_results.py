import json

import pytest
from doubles.experiment import write_experiment
from pydantic import ValidationError

from spanwise.core.errors import DataError
from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.results import Arm, Comparison, ExperimentResults, MetricInfo


def small(**changes):
    values = {
        "title": "t",
        "created": "2026-01-01",
        "seeds": [0],
        "metrics": {"m": {"label": "M"}},
        "arms": {"a": {"label": "A"}, "b": {"label": "B"}},
    }
    return values | changes


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    root = tmp_path_factory.mktemp("experiment")
    return root, write_experiment(root, seeds=(0, 1), prompts=12, steps=4)


def test_results_survive_their_file(experiment):
    root, results = experiment
    assert ExperimentResults.load(root) == results
    assert json.loads((root / "results.json").read_text("utf-8"))["version"] == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arms": {"a": {"label": "A", "metrics": {"x": {"mean": 1.0}}}}}, "arms.a.metrics: 'x'"),
        (
            {
                "comparisons": [
                    {"arm": "z", "baseline": "a", "metric": "m", "difference": {"mean": 0}, "verdict": "better"}
                ]
            },
            "'z'",
        ),
        ({"examples": [{"prompt": "q", "answers": {"z": {"response": "r"}}}]}, "examples.0.answers: 'z'"),
        ({"arms": {"a": {"label": "A"}, "b": {"label": "A"}}}, "same label"),
        ({"version": 2}, "version"),
        ({"surprise": 1}, "surprise"),
        ({"seeds": ["first"]}, "seeds"),
    ],
)
def test_wrong_results_are_refused_by_name(tmp_path, changes, words):
    (tmp_path / "results.json").write_text(json.dumps(small(**changes)), "utf-8")
    with pytest.raises(DataError, match=words) as caught:
        ExperimentResults.load(tmp_path)
    assert str(tmp_path / "results.json") in str(caught.value)


def test_not_a_number_is_never_stored():
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            Estimate(mean=bad)
        with pytest.raises(ValidationError):
            Comparison(arm="a", baseline="b", metric="m", difference=Estimate(mean=0.0), p_value=bad, verdict="better")


@pytest.mark.parametrize("ends", [{"low": 0.0}, {"low": 1.0, "high": 0.0}])
def test_half_and_reversed_intervals_are_refused(ends):
    with pytest.raises(ValidationError):
        Estimate(mean=0.5, **ends)


def test_results_are_frozen():
    with pytest.raises(ValidationError):
        Arm(label="A").label = "B"
    with pytest.raises(ValidationError):
        MetricInfo(label="M", better="up")
