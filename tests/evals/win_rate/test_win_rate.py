import pytest

from spanwise.core.errors import DataError
from spanwise.evals.statistics.pairwise import JudgedPair, Judgements, common, joined
from spanwise.evals.win_rate.summary import win_rate
from spanwise.feedback.scores import Unscored


def judged(*shares, model="ours"):
    pairs = tuple(JudgedPair(f"q{place}", "ref", f"a{place}", share) for place, share in enumerate(shares))
    return Judgements(pairs, model, "theirs", "judge")


def test_the_rate_and_its_error_are_those_of_a_worked_example():
    found = win_rate(judged(1.0, 0.0, 0.5, 0.75, Unscored("prose")))
    assert (found.n, found.wins, found.losses, found.draws) == (4, 2, 1, 1)
    assert found.win_rate == pytest.approx(56.25)
    # deviations .4375, -.5625, -.0625, .1875: squares sum to .546875
    assert found.standard_error == pytest.approx(100 * (0.546875 / 3) ** 0.5 / 2)
    assert found.discrete_win_rate == pytest.approx(100 * 2.5 / 4)


def test_one_pair_has_no_standard_error():
    assert win_rate(judged(1.0)).standard_error is None


def test_nothing_decided_is_an_error_that_tells_the_reasons():
    with pytest.raises(DataError, match=r"prose \(2\)"):
        win_rate(judged(Unscored("prose"), Unscored("prose")))


def test_doubled_judgements_of_one_pair_count_as_their_mean():
    pairs, doubled = joined(
        [JudgedPair("q", "r", "a", 1.0), JudgedPair("q", "r", "a", 0.5), JudgedPair("q", "r", "a", Unscored("x"))]
    )
    assert (pairs[0].share, len(pairs), doubled) == (0.75, 1, 2)


def test_two_answers_to_one_instruction_are_refused():
    with pytest.raises(DataError, match="different answers"):
        joined([JudgedPair("q", "r", "a", 1.0), JudgedPair("q", "r", "b", 1.0)])


def test_common_joins_by_instruction_and_counts_what_is_alone():
    first, second = judged(1.0, 0.0, 0.5), judged(0.0, 1.0, model="other")
    swapped = Judgements(second.pairs[::-1], "other", "theirs", "judge")
    one, other = common(first, swapped)
    assert [pair.instruction for pair in one.pairs] == [pair.instruction for pair in other.pairs] == ["q0", "q1"]
    assert [pair.share for pair in other.pairs] == [0.0, 1.0]
    assert (one.mismatch, other.mismatch) == ({"only in this file": 1}, {})


def test_nothing_in_common_is_refused():
    with pytest.raises(DataError, match="no common instruction"):
        common(judged(1.0), Judgements((JudgedPair("x", "", "", 1.0),), "other"))
