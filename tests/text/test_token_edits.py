import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.core.errors import ConfigError, DataError
from spanwise.text.matching import METHODS
from spanwise.text.token_edits import align_token_pairs, align_tokens

patient = settings(deadline=None)
EOS = 9
ids = st.lists(st.integers(0, 4), max_size=20)


@patient
@given(ids, ids, st.sampled_from(METHODS), st.booleans())
def test_what_is_left_after_the_changes_is_the_same_on_both_sides(original, edited, method, with_end):
    edit = align_tokens(original, edited, eos=EOS if with_end else None, method=method, gap_anchor="none")
    left = np.array(edit.original)[~edit.original_changed]
    right = np.array(edit.edited)[~edit.edited_changed]
    assert left.tolist() == right.tolist()
    pairs = edit.unchanged_pairs
    assert [edit.original[a] for a, _ in pairs] == [edit.edited[b] for _, b in pairs]
    assert len(pairs) == len(left)
    assert edit.original == (*original, EOS)[: len(original) + with_end]


@patient
@given(ids, st.integers(0, 3), st.integers(0, 3))
def test_there_is_exactly_one_end_on_each_side_and_it_stays(body, before, after):
    edit = align_tokens([*body, *[EOS] * before], [*body[1:], *[EOS] * after], eos=EOS)
    assert edit.original == (*body, EOS)
    assert edit.edited == (*body[1:], EOS)
    assert not edit.edited_changed[-1]


@patient
@given(st.lists(st.tuples(ids, ids), max_size=4), st.sampled_from(["end", "all", "none"]))
def test_many_pairs_are_aligned_like_each(pairs, anchor):
    many = align_token_pairs(pairs, eos=EOS, gap_anchor=anchor)
    assert many == [align_tokens(*pair, eos=EOS, gap_anchor=anchor) for pair in pairs]


# The rewards and losses of the hand examples of xu2024.md 1.5; beta = 1.
def losses(edit, r_original, r_edited):
    """(equation 2, equation 3, equation 4): the arguments of the sigmoid."""
    ri, rj = np.array(r_edited), np.array(r_original)
    ti, tj = len(ri), len(rj)
    u1i, u1j = edit.edited_changed, edit.original_changed
    edited = ri[u1i].sum() / ti - rj[u1j].sum() / tj
    kept = rj[edit.unchanged_pairs[:, 0]].sum()
    return ri.mean() - rj.mean(), (1 / ti - 1 / tj) * kept + edited, edited


def test_the_substitution_of_the_hand_example():
    edit = align_tokens([1, 2, 3], [1, 5, 3], eos=EOS)
    full, printed, edited = losses(edit, [0.1, -0.4, 0.2, 0], [0.1, 0.6, 0.2, 0])
    assert (full, printed, edited) == (pytest.approx(0.25), pytest.approx(0.25), pytest.approx(0.25))
    assert np.log1p(np.exp(-edited)) == pytest.approx(0.575939, abs=1e-6)


def test_the_insertion_of_the_hand_example():
    edit = align_tokens([1, 2], [1, 7, 2], eos=EOS)
    full, printed, edited = losses(edit, [0.1, 0.2, 0], [0.1, 0.5, 0.2, 0])
    assert (full, printed, edited) == (pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.125))
    assert np.log1p(np.exp(-full)) == pytest.approx(0.644397, abs=1e-6)
    assert np.log1p(np.exp(-edited)) == pytest.approx(0.632599, abs=1e-6)


@pytest.mark.parametrize(
    ("original", "edited", "anchor", "anchors"),
    [
        ([1, 2], [1, 2, 3], "end", (2,)),  # content added at the end: the early stop was the mistake
        ([1, 2], [1, 7, 2], "end", ()),
        ([1, 2], [1, 7, 2], "all", (1,)),  # token 2 was said where 7 should have been
        ([1, 2], [1, 2, 3], "none", ()),
        ([1, 2], [1], "all", ()),  # deletions need none
        ([1, 2], [1, 5], "all", ()),
    ],
)
def test_insertions_blame_the_token_said_in_their_place(original, edited, anchor, anchors):
    edit = align_tokens(original, edited, eos=EOS, gap_anchor=anchor)
    assert edit.anchors == anchors
    assert all(edit.original_changed[k] for k in anchors)
    assert not set(edit.unchanged_pairs[:, 0].tolist()) & set(anchors)


def test_an_insertion_at_the_end_without_end_token_blames_nothing():
    assert align_tokens([1, 2], [1, 2, 3], gap_anchor="all").anchors == ()


@pytest.mark.parametrize(("window", "cut"), [(2, True), (3, True), (4, False), (9, False)])
def test_a_window_that_ends_before_the_last_change_cuts_the_pair(window, cut):
    assert align_tokens([1, 2, 3, 4, 5, 6], [1, 2, 8, 8, 4, 5, 6], eos=EOS, merge_gap=0).cut_by(window) == cut


def test_an_unchanged_pair_is_never_cut():
    assert not align_tokens([1, 2, 3], [1, 2, 3], eos=EOS).cut_by(1)


def test_padding_and_unknown_anchors_are_refused():
    with pytest.raises(DataError, match="id -100 is negative"):
        align_tokens([1, -100], [1])
    with pytest.raises(ConfigError, match="'start'; use one of end, all, none"):
        align_tokens([1], [1], gap_anchor="start")
