import pytest

from spanwise.evals.report.report import render_report
from spanwise.evals.statistics.pairwise import JudgedPair, Judgements
from spanwise.evals.win_rate.judged_results import against_reference, side_by_side
from spanwise.evals.win_rate.summary import summarise
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.schema import Passage
from spanwise.feedback.scores import Unscored

SHARES = (1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 0.0, 1.0, Unscored("the judge said nothing"), 1.0)


def judged(shares=SHARES, model="ours"):
    pairs = [JudgedPair(f"q{n}", "r" * (n + 1), f"{model} {n}", share) for n, share in enumerate(shares)]
    return Judgements(tuple(pairs), model, "theirs", "judge")


def test_a_win_rate_stands_beside_the_half_that_it_must_beat(tmp_path):
    summary = summarise(judged(), resamples=200)
    asked = {"q0": PromptRecord(prompt="why?", passages=(Passage(title="Oslo", sentences=("Cold.",)),))}
    found = against_reference(summary, command="c", seed=0, resamples=200, notes=["Said."], asked=asked)
    own = found.arms["model"].metrics["win_rate"]
    assert own.mean == pytest.approx(6.5 / 9)
    assert (own.n, own.unscored, own.low) == (9, 1, pytest.approx(summary.low / 100))
    difference = next(one for one in found.comparisons if one.metric == "win_rate").difference
    assert difference.mean == pytest.approx(6.5 / 9 - 0.5)
    assert difference.n == 9
    assert found.arms["reference"].metrics["length_controlled"].mean == 0.5
    assert (found.examples[0].prompt, found.examples[0].passages) == ("why?", asked["q0"].passages)
    found.save(tmp_path)
    page = render_report([tmp_path])
    assert "ours against theirs, judged by judge" in page
    assert "1 could not be scored" in page
    assert "Said." in page


def test_models_are_compared_with_the_first_on_what_they_share():
    second = judged((0.0, 0.0, 0.5, 0.0), model="other")
    found = side_by_side({"ours": judged(), "other": second}, command="c", seed=0, resamples=200, notes=[])
    difference = next(one for one in found.comparisons if one.metric == "win_rate").difference
    assert difference.mean == pytest.approx((0.5 - 2.5) / 4)
    assert found.arms["other"].metrics["win_rate"].n == 4
    assert found.examples[0].answers["other"].response == "other 0"
    assert len(found.examples) == 4
