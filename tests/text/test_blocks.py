from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.core.errors import ConfigError
from spanwise.text.matching import METHODS, aligned_blocks, merged

patient = settings(deadline=None)
ids = st.lists(st.integers(0, 4), max_size=20)


def distance(a, b):
    row = np.arange(len(b) + 1)
    for i, x in enumerate(a):
        before, row[0] = row.copy(), i + 1
        for j, y in enumerate(b):
            row[j + 1] = min(before[j] + (x != y), before[j + 1] + 1, row[j] + 1)
    return int(row[-1])


@patient
@given(ids, ids, st.sampled_from(METHODS), st.integers(0, 3))
def test_blocks_are_common_and_ascending_and_merging_only_drops(a, b, method, gap):
    plain, _ = aligned_blocks(a, b, method, merge_gap=0)
    wide, _ = aligned_blocks(a, b, method, merge_gap=gap)
    at = to = 0
    for i, j, size in plain:
        assert at <= i
        assert to <= j
        assert a[i : i + size] == b[j : j + size]
        at, to = i + size, j + size
    assert set(wide) <= set(plain)
    assert all(size <= gap for *_, size in set(plain) - set(wide))


@patient
@given(ids, ids)
def test_levenshtein_changes_as_little_as_the_distance(a, b):
    blocks, _ = aligned_blocks(a, b, "levenshtein")
    edges = [(0, 0, 0), *blocks, (len(a), len(b), 0)]
    gaps = pairwise(edges)
    assert sum(max(c - i - n, d - j - n) for (i, j, n), (c, d, _) in gaps) == distance(a, b)


def test_positional_compares_equal_indices_as_printed():
    assert aligned_blocks("abcdef", "abXcdef", "positional")[0] == [(0, 0, 2)]
    assert aligned_blocks("abc", "aXc", "positional")[0] == [(0, 0, 1), (2, 2, 1)]


@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        ([(0, 0, 1), (3, 2, 2), (8, 6, 2)], [(0, 0, 1), (8, 6, 2)]),  # two items between changes are chance
        ([(0, 0, 1), (3, 2, 3), (9, 7, 1)], [(0, 0, 1), (3, 2, 3), (9, 7, 1)]),  # three are not, the ends never
        ([(1, 0, 2), (7, 6, 2)], []),  # these have changes on both sides though they begin or end one sequence
        ([(2, 2, 1), (3, 3, 2)], [(2, 2, 3)]),  # neighbours are one block before they are measured
    ],
)
def test_merging_by_hand(blocks, kept):
    assert merged(blocks, 10, 8, 2) == kept


def test_an_unknown_method_is_named():
    with pytest.raises(ConfigError, match="'diff'; use one of matching-blocks, levenshtein, positional"):
        aligned_blocks("a", "b", "diff")
