"""The mixture weighs segment scores by hand-computable rules and never turns a missing score into 0."""

import statistics
import subprocess
import sys

import pytest

from spanwise.core.errors import ConfigError, ScoringError
from spanwise.feedback.scores import SegmentScore, SegmentScores, Unscored
from spanwise.rewards.config import MixtureConfig, SourceWeight
from spanwise.rewards.mixture import Mixture, segment_statistics, total_deviation
from spanwise.text.spans import Span


def scores(*values):
    return SegmentScores(tuple(SegmentScore(Span(3 * i, 3 * i + 3), value) for i, value in enumerate(values)))


def mixture(**sources):
    return Mixture(MixtureConfig.model_validate({"sources": sources}), list(sources))


def test_the_papers_weights_on_hard_scores():
    mixed = mixture(rel={"weight": 0.3}, fact={"weight": 0.5}, comp={"weight": 0.3}).mix(
        {"rel": scores(1.0, -1.0, 1.0), "fact": scores(-1.0), "comp": scores(2.0)}
    )
    assert mixed.shares["rel"].values == (0.3, -0.3, 0.3)
    assert mixed.shares["rel"].spans == (Span(0, 3), Span(3, 6), Span(6, 9))
    assert mixed.shares["fact"].values == (-0.5,)
    assert mixed.shares["comp"].values == (0.6,)
    assert mixed.dropped is None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"center": 0.5}, (0.5, -1.5)),
        ({"center": 0.5, "scale": 0.5}, (1.0, -3.0)),
        ({"center": 0.5, "scale": 0.5, "clip": 2.0}, (1.0, -2.0)),
        ({"aggregate": "mean"}, (0.5, -0.5)),
        ({"weight": 2.0, "aggregate": "mean", "center": 0.5}, (0.5, -1.5)),
        ({"aggregate": "fixed", "length": 4.0}, (0.25, -0.25)),
    ],
)
def test_each_score_is_centred_scaled_clipped_and_weighted(rule, expected):
    assert mixture(a=rule).mix({"a": scores(1.0, -1.0)}).shares["a"].values == pytest.approx(expected)


@pytest.mark.parametrize("rule", [{"aggregate": "fixed"}, {"aggregate": "sum", "length": 4.0}])
def test_a_fixed_length_and_its_number_go_together(rule):
    with pytest.raises(ValueError, match="go together"):
        SourceWeight.model_validate(rule)


def test_mean_makes_the_reward_of_a_good_answer_independent_of_its_length():
    neutral = mixture(a={"aggregate": "mean"})
    totals = [sum(neutral.mix({"a": scores(*[1.0] * n)}).shares["a"].values) for n in (1, 3, 10)]
    assert totals == pytest.approx([1.0, 1.0, 1.0])


def test_a_scheduled_weight_moves_linearly_and_stays_at_its_end():
    rule = SourceWeight(weight=1.0, final_weight=0.0, schedule_steps=10)
    assert [rule.weight_at(step) for step in (0, 5, 10, 99)] == [1.0, 0.5, 0.0, 0.0]


def test_a_schedule_without_an_end_is_refused():
    with pytest.raises(ConfigError, match="set both or neither"):
        SourceWeight.from_values({"final_weight": 0.0}, place="x.yaml")


@pytest.mark.parametrize(
    "gap", [scores(1.0, Unscored("judge is down")), SegmentScores(missing=Unscored("judge is down"))]
)
def test_a_missing_score_stops_or_masks_and_never_counts(gap):
    with pytest.raises(ScoringError, match=r"'b'.*judge is down.*sources\.b"):
        mixture(a={}, b={}).mix({"a": scores(1.0), "b": gap})
    mixed = mixture(a={}, b={"missing": "mask"}).mix({"a": scores(1.0), "b": gap})
    assert mixed.dropped == Unscored("judge is down")
    assert all(share.values == () for share in mixed.shares.values())


def test_a_score_that_is_not_finite_counts_as_missing():
    with pytest.raises(ScoringError, match=r"\[3, 6\) is nan"):
        mixture(a={}).mix({"a": scores(1.0, float("nan"))})


def test_weight_zero_is_an_ablation_that_nothing_can_stop():
    mixed = mixture(a={"weight": 0.0}, b={}).mix({"a": SegmentScores(missing=Unscored("x")), "b": scores(1.0)})
    assert mixed.dropped is None
    assert mixed.shares["a"].values == ()
    assert mixed.shares["b"].values == (1.0,)


@pytest.mark.parametrize(
    ("configured", "present", "message"),
    [
        (["a", "b"], ["a"], r"sources\.b: there is no such reward source; known: a"),
        (["a"], ["a", "b"], "'b' has no entry"),
        (["a"], ["a", "a"], "Two reward sources are named 'a'"),
    ],
)
def test_config_and_sources_must_name_the_same(configured, present, message):
    config = MixtureConfig.model_validate({"sources": {name: {} for name in configured}})
    with pytest.raises(ConfigError, match=message):
        Mixture(config, present)


def test_statistics_are_over_segments():
    assert segment_statistics([scores(1.0, 2.0), scores(3.0, Unscored("no"))]) == (2.0, 1.0)
    with pytest.raises(ScoringError, match="at least 2"):
        segment_statistics([scores(1.0)])


def test_the_mixture_imports_without_torch():
    code = "import sys, spanwise.rewards.mixture; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_deviation_of_totals_is_that_of_the_weighted_sums():
    config = MixtureConfig(sources={"a": SourceWeight(weight=2.0, aggregate="mean"), "b": SourceWeight(weight=-1.0)})
    said = {
        "a": [scores(1.0, 3.0), scores(0.0), scores(5.0)],
        "b": [scores(1.0), scores(2.0, 2.0), scores(0.0)],
    }
    totals = [2 * 2.0 - 1.0, 0.0 - 4.0, 2 * 5.0]
    assert total_deviation(config, said) == pytest.approx(statistics.stdev(totals))
    with pytest.raises(ScoringError, match="no spread"):
        total_deviation(config, {"a": said["a"][:1], "b": said["b"][:1]})


def test_a_gate_pays_a_score_by_the_share_to_which_its_text_is_relevant():
    gated = mixture(fact={"weight": 2.0, "center": 0.5, "gate": "rel"}, rel={"weight": 0.0})
    said = {"fact": scores(1.0, 1.0, 0.0, -1.0), "rel": scores(1.0, -1.0, 0.0, 0.5)}
    assert gated.mix(said).shares["fact"].values == pytest.approx([2 * 0.5, 0.0, 2 * 0.5 * -0.5, 2 * 0.75 * -1.5])


def test_a_gate_of_finer_segments_counts_by_the_characters_that_they_share():
    gated = mixture(fact={"gate": "rel"}, rel={})
    sentence = SegmentScores((SegmentScore(Span(0, 10), 1.0), SegmentScore(Span(10, 14), 1.0)))
    clauses = SegmentScores((SegmentScore(Span(0, 4), 1.0), SegmentScore(Span(4, 10), -1.0)))
    shares = gated.mix({"fact": sentence, "rel": clauses}).shares["fact"].values
    assert shares == pytest.approx([0.4, 1.0]), "four of ten characters are relevant; of the last four nothing is said"


def test_a_gate_beyond_its_range_neither_turns_nor_magnifies_a_score():
    gated = mixture(fact={"gate": "rel"}, rel={})
    assert gated.mix({"fact": scores(1.0, 1.0), "rel": scores(-3.0, 7.0)}).shares["fact"].values == (0.0, 1.0)


def test_a_gate_that_could_not_judge_is_a_gap_even_at_weight_0():
    gated = mixture(fact={"gate": "rel", "missing": "mask"}, rel={"weight": 0.0})
    mixed = gated.mix({"fact": scores(1.0), "rel": scores(Unscored("too long"))})
    assert mixed.dropped == Unscored("too long")


@pytest.mark.parametrize("gate", ["fact", "style"])
def test_a_gate_that_is_no_other_source_is_refused(gate):
    with pytest.raises(ConfigError, match=r"sources\.fact\.gate"):
        mixture(fact={"gate": gate}, rel={})
