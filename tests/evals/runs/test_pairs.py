import json

import pytest

from spanwise.evals.runs.pairs import pair_experiments
from spanwise.evals.runs.scores import RunScores
from spanwise.evals.statistics.compare import arm_estimates
from spanwise.evals.statistics.results import Arm, Example, ExampleAnswer, ExperimentResults, MetricInfo
from spanwise.evals.statistics.score_table import ScoreTable

METRICS = {"score": MetricInfo(label="Score", better="higher")}


def write(root, by_seed, *, arm="new", prompt="", kept="scores"):
    """An experiment of one arm; `by_seed` has its values by seed and prompt id."""
    tables = {seed: ScoreTable.from_values(own, seed=seed) for seed, own in by_seed.items()}
    means = arm_estimates({"score": next(iter(tables.values()))}, arm=arm)
    shown = (Example(prompt=prompt, answers={arm: ExampleAnswer(response="a")}),) if prompt else ()
    ExperimentResults(
        title="t", created="2026-01-01", seeds=tuple(by_seed), metrics=METRICS, examples=shown,
        arms={arm: Arm(label=arm, metrics=means)},
    ).save(root)  # fmt: skip
    for seed, table in tables.items():
        if kept == "scores":
            RunScores.of({"score": table}, METRICS).save(root / arm / f"seed-{seed}")
        if kept == "outcomes":
            (root / "outcomes").mkdir(exist_ok=True)
            own = {"totals": table.totals[0].tolist(), "counts": table.counts[0].tolist()}
            stored = {"ids": list(table.ids), "tables": {arm: {"score": own}}}
            (root / "outcomes" / f"seed-{seed}.json").write_text(json.dumps(stored))
    return root


def pair(one, two):
    return pair_experiments(one, two, ("one", "two"), resamples=200)


@pytest.mark.parametrize("kept", ["scores", "outcomes"])
def test_shared_prompts_and_seeds_are_paired_and_the_rest_is_counted(tmp_path, kept):
    one = write(tmp_path / "one", {s: {"a": 1.0, "b": 5.0, "c": 2.0} for s in (0, 1)}, kept=kept)
    two = write(tmp_path / "two", {s: {"b": 6.0, "a": 2.5, "d": 9.0} for s in (0, 1, 2)}, kept=kept)
    found = pair(one, two)
    (only,) = found.comparisons
    assert (only.arm, only.baseline) == ("two: new", "one: new")
    assert only.difference.mean == pytest.approx((1.5 + 1.0) / 2)
    assert (only.difference.n, only.difference.seeds) == (2, 2)
    assert "new: paired over the seeds 0, 1 of both only." in found.notes
    assert "new: 4 prompts are of one folder only and do not count." in found.notes


def test_seeds_with_prompts_of_their_own_are_paired_by_place(tmp_path):
    one = write(tmp_path / "one", {0: {"a": 1.0, "b": 2.0}, 1: {"c": 3.0, "d": 4.0}})
    two = write(tmp_path / "two", {0: {"a": 2.0, "b": 3.0}, 1: {"c": 4.0, "d": 5.0}})
    (only,) = pair(one, two).comparisons
    assert only.difference.per_seed == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({"arm": "old"}, {}, "no arm of one name"),
        ({"kept": "nothing"}, {}, "no values per prompt are kept"),
        ({"prompt": "p"}, {"prompt": "q"}, "different prompts"),
        ({"by_seed": {3: {"a": 1.0, "b": 1.0}}}, {}, "none is shared"),
        ({"by_seed": {0: {"x": 1.0, "y": 1.0}}}, {}, "no prompt id is in both"),
    ],
)
def test_what_cannot_be_paired_is_said(tmp_path, first, second, told):
    values = {"by_seed": {0: {"a": 1.0, "b": 2.0}}}
    found = pair(write(tmp_path / "one", **values | first), write(tmp_path / "two", **values | second))
    assert found.comparisons == ()
    assert told in found.notes[0]


@pytest.mark.parametrize(("of_rival", "verdict"), [(1.5, "better"), (2.5, "sharpens"), (None, "not held")])
def test_an_arm_is_better_only_where_it_beats_the_free_rival_of_its_folder(tmp_path, of_rival, verdict):
    values = {f"q{i}": float(i % 3) for i in range(20)}
    one = write(tmp_path / "one", {0: values, 1: values})
    raised = {key: value + 2 for key, value in values.items()}
    two = write(tmp_path / "two", {0: raised, 1: raised})
    if of_rival is not None:
        results = ExperimentResults.load(two)
        arms = {"new": results.arms["new"].model_copy(update={"rivals": ("free",)}), "free": Arm(label="free")}
        results.model_copy(update={"arms": arms}).save(two)
        for seed in (0, 1):
            table = ScoreTable.from_values({key: value + of_rival for key, value in values.items()}, seed=seed)
            RunScores.of({"score": table}, METRICS).save(two / "free" / f"seed-{seed}")
    (only,) = pair(one, two).comparisons
    assert only.verdict == verdict
