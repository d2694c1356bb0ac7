import pytest

from spanwise.feedback.edits import Editor, edit_pair
from spanwise.feedback.statistics.edits import describe_pairs


def test_figures_by_hand():
    pairs = [
        edit_pair("a b c d e", "a x c d e", editor=Editor(kind="human", name="ann")),
        edit_pair("a b c d", "a b c d e f", editor=Editor(kind="human", name="ann")),
        edit_pair("a b", "a b"),
    ]
    found = describe_pairs(pairs)
    assert (found.pairs, found.identical, found.only_insertions, found.only_deletions) == (3, 1, 1, 0)
    assert found.changes == {"insert": 1, "delete": 0, "replace": 1}
    assert found.editors == {"human ann": 2, "unknown": 1}
    assert found.changed_share.mean == pytest.approx((1 / 5 + 0 + 0) / 3)
    assert found.length_ratio.mean == pytest.approx((1 + 1.5 + 1) / 3)
    assert found.kept_words == pytest.approx(10 / 11)


def test_no_pairs():
    found = describe_pairs([])
    assert (found.pairs, found.kept_words, found.changed_share) == (0, None, None)
