import itertools
import math
from collections import Counter

import pytest
from doubles.feedback import patient, small_record
from hypothesis import given
from hypothesis import strategies as st

from spanwise.feedback.schema import Preference, Response
from spanwise.feedback.statistics import describe
from spanwise.feedback.statistics.preferences import decided, fair_coin_z

PAIRS = list(itertools.combinations(range(4), 2))


def compared(winners, texts=("a", "a b", "a b c", "a b c d"), pairs=PAIRS, references=()):
    preferences = tuple(Preference(first=i, second=j, winner=w) for (i, j), w in zip(pairs, winners, strict=True))
    responses = tuple(Response(text=text) for text in texts)
    return small_record(responses=responses, preferences=preferences, references=references)


@patient
@given(st.permutations([0, 1, 1, 2]))
def test_what_comes_from_a_ranking_is_never_contradictory(ranks):
    outcome = {True: "first", False: "second"}
    winners = ["tie" if ranks[i] == ranks[j] else outcome[ranks[i] < ranks[j]] for i, j in PAIRS]
    found = describe([compared(winners)]).preferences
    assert (found.cyclic_items, found.intransitive_items) == (0, 0)


@patient
@given(st.lists(st.sampled_from(["first", "second", "tie"]), min_size=6, max_size=6))
def test_contradictory_is_what_no_ranking_explains(winners):
    def explains(ranks):
        signs = {"first": -1, "second": 1, "tie": 0}
        return all(
            (ranks[i] > ranks[j]) - (ranks[i] < ranks[j]) == signs[w] for (i, j), w in zip(PAIRS, winners, strict=True)
        )

    rankable = any(explains(ranks) for ranks in itertools.product(range(4), repeat=4))
    assert describe([compared(winners)]).preferences.intransitive_items == (not rankable)


def test_a_strict_cycle_is_found():
    found = describe([compared(["first", "second", "first"], "abc", [(0, 1), (0, 2), (1, 2)])]).preferences
    assert (found.cyclic_items, found.intransitive_items) == (1, 1)


def test_incomplete_comparisons_contradict_nothing():
    found = describe([compared(["first", "first"], "abc", [(0, 1), (1, 2)])]).preferences
    assert (found.cyclic_items, found.intransitive_items) == (0, 0)


def test_positions_lengths_and_ties_by_hand():
    #                    01       02        03     12       13     23
    record = compared(["first", "second", "tie", "first", "tie", "second"])
    found = describe([record]).preferences
    assert list(decided(record)) == [(0, 1), (2, 0), (1, 2), (3, 2)]
    assert (found.first, found.second, found.tie) == (2, 2, 2)
    assert (found.first_listed_win_rate, found.first_listed_z) == (0.5, 0)
    assert found.win_rate_by_position == [1 / 2, 1 / 2, 1 / 3, 1]
    assert (found.longer_preferred, found.shorter_preferred, found.equal_length_preferred) == (2, 2, 0)
    assert (found.ties.mean, found.items_without_ties, found.items_all_ties) == (2, 0, 0)


def test_shown_first_counts_and_not_the_place_in_the_record():
    found = describe([compared(["first"], "ab", [(1, 0)])]).preferences
    assert (found.first_listed_win_rate, found.win_rate_by_position) == (1, [0, 1])


def test_overlap_is_with_the_best_reference():
    found = describe([compared(["tie"], ("A b", "x"), [(0, 1)], ("a b c d", "y"))]).preferences
    assert found.reference_overlap_by_position == [pytest.approx(2 * 2 / 6), 0]


@pytest.mark.parametrize(("heads", "throws", "z"), [(50, 100, 0), (60, 100, 2), (0, 4, -2), (0, 0, None)])
def test_z_of_a_fair_coin(heads, throws, z):
    assert fair_coin_z(Counter([1] * heads + [-1] * (throws - heads))) == z


def test_preferences_among_the_same_answers_count_as_one_throw():
    """Six pairs of four answers, ranked as they were listed or the other way round, as often by chance."""
    rankings = [compared(["first"] * 6)] * 14 + [compared(["second"] * 6)] * 6
    found = describe(rankings).preferences
    assert found.first_listed_win_rate == 0.7
    assert found.first_listed_z == pytest.approx((14 - 6) / math.sqrt(20))
    assert found.longer_z == -found.first_listed_z
