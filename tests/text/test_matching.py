import difflib
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.text import matching
from spanwise.text.matching import match_id_pairs, match_pairs, matching_blocks

patient = settings(deadline=None, max_examples=150)
few_letters = st.lists(st.integers(0, 3), max_size=24)
sequences = st.lists(st.integers(0, 12), max_size=60)
needs_kernel = pytest.mark.skipif(not matching.kernel_installed(), reason="numba is not installed")


def from_difflib(a, b):
    return [tuple(block) for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()][:-1]


def edited(ids, generator, rate, vocabulary):
    """The ids with some dropped, replaced or preceded by another."""
    fate = generator.random(len(ids))
    new = generator.integers(0, vocabulary, len(ids)).tolist()
    changes = {0: lambda _, x: [x], 1: lambda _, x: [], 2: lambda id_, x: [x, id_]}
    kinds = generator.integers(0, 3, len(ids)).tolist()
    pieces = [changes[k](i, x) if f < rate else [i] for i, f, x, k in zip(ids, fate, new, kinds, strict=True)]
    return list(chain.from_iterable(pieces))


@needs_kernel
@patient
@given(st.lists(st.tuples(few_letters, few_letters) | st.tuples(sequences, sequences), max_size=5))
def test_the_kernel_finds_the_blocks_of_difflib(pairs):
    table = match_id_pairs(pairs)
    assert [table[k] for k in range(len(table))] == [from_difflib(a, b) for a, b in pairs]


@needs_kernel
@pytest.mark.parametrize(("vocabulary", "rate"), [(3, 0.3), (40, 0.1), (5000, 0.05), (5000, 0.9)])
def test_the_kernel_finds_the_blocks_of_difflib_in_long_random_edits(vocabulary, rate):
    generator = np.random.default_rng(vocabulary)
    ids = (generator.zipf(1.3, 700) % vocabulary).tolist()
    pairs = [(ids, edited(ids, generator, rate, vocabulary)) for _ in range(3)]
    table = match_id_pairs(pairs)
    assert [table[k] for k in range(3)] == [from_difflib(a, b) for a, b in pairs]


@needs_kernel
def test_ids_beyond_any_vocabulary_and_words_are_numbered_first():
    big = [10**9, 5, 10**12, 7, 5]
    assert match_id_pairs([(big, big[1:])])[0] == [(1, 0, 4)]
    assert match_pairs([(["a", "b", "c", "d"], ["b", "c", "x", "d"])])[0] == [(1, 0, 2), (3, 3, 1)]


def test_without_the_kernel_the_blocks_are_the_same(monkeypatch):
    pairs = [("kitten", "sitting"), ("", "a"), ("abcab", "abxabcab")]
    found = [match_pairs(pairs)[k] for k in range(3)]
    monkeypatch.setattr(matching, "kernel_installed", lambda: False)
    table = match_pairs(pairs)
    assert [table[k] for k in range(3)] == found == [from_difflib(*pair) for pair in pairs]


def test_no_pairs_and_empty_sequences():
    assert len(match_id_pairs([])) == 0
    table = match_id_pairs([([], []), ([1], []), ([], [1]), ([1], [1])])
    assert [table[k] for k in range(4)] == [[], [], [], [(0, 0, 1)]]


def test_of_equal_blocks_the_first_in_a_then_in_b_is_taken():
    assert matching_blocks("abXab", "ab-ab") == ([(0, 0, 2), (3, 3, 2)], False)
    assert matching_blocks("ab", "ab ab") == ([(0, 0, 2)], False)


def assert_common_blocks(a, b, blocks):
    at = to = 0
    for i, j, size in blocks:
        assert i >= at
        assert j >= to
        assert a[i : i + size] == b[j : j + size]
        at, to = i + size, j + size


def test_beyond_the_bound_the_alignment_is_coarse_says_so_and_is_still_close():
    generator = np.random.default_rng(0)
    ids = (generator.zipf(1.2, 100_000) % 50_000).tolist()
    changed = edited(ids, generator, 0.02, 50_000)
    with pytest.warns(UserWarning, match=r"100,000 and .* equally often in both"):
        blocks, coarse = matching_blocks(ids, changed)
    assert coarse
    assert_common_blocks(ids, changed, blocks)
    assert sum(size for *_, size in blocks) > 0.97 * len(ids)


def test_a_long_text_that_says_everything_twice_is_aligned_all_the_same():
    generator = np.random.default_rng(1)
    ids = (generator.zipf(1.3, 20_000) % 9_000).tolist() * 2
    changed = edited(ids, generator, 0.02, 9_000)
    with pytest.warns(UserWarning, match="equally often in both"):
        blocks, _ = matching_blocks(ids, changed)
    assert_common_blocks(ids, changed, blocks)
    assert sum(size for *_, size in blocks) > 0.95 * len(ids)


def test_a_coarse_pair_in_a_batch_leaves_the_others_exact():
    small = ([1, 2, 3], [1, 9, 3])
    with pytest.warns(UserWarning, match="equally often in both"):
        table = match_id_pairs([small, ([7] * 4000, [7] * 3999), small])
    assert table[0] == table[2] == [(0, 0, 1), (2, 2, 1)]
    assert (table[1], table.coarse) == ([(0, 0, 3999)], {1})


@patient
@given(few_letters, few_letters)
def test_coarse_blocks_are_common_and_keep_beginning_and_end(a, b):
    blocks = list(matching.anchored_blocks(a, b))
    assert_common_blocks(a, b, blocks)
    start = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    assert (blocks[0][:2] == (0, 0) and blocks[0][2] >= start) or start == 0
    assert (blocks[-1][0] + blocks[-1][2], blocks[-1][1] + blocks[-1][2]) == (len(a), len(b)) or not blocks[-1][2]
