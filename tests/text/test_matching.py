import difflib
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.text import matching
from spanwise.text.matching import matching_blocks

patient = settings(deadline=None, max_examples=150)
few_letters = st.lists(st.integers(0, 3), max_size=24)
sequences = st.lists(st.integers(0, 12), max_size=60)


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


@patient
@given(few_letters | sequences, few_letters | sequences, st.sampled_from([tuple, str, lambda item: item]))
def test_the_blocks_are_those_of_difflib(a, b, kind):
    left, right = ([kind((str(item),)) if kind is tuple else kind(item) for item in side] for side in (a, b))
    assert matching_blocks(left, right) == (from_difflib(left, right), False)


@pytest.mark.parametrize(("vocabulary", "rate"), [(3, 0.3), (40, 0.1), (5000, 0.05), (5000, 0.9)])
def test_the_blocks_are_those_of_difflib_in_long_random_edits(vocabulary, rate):
    generator = np.random.default_rng(vocabulary)
    ids = (generator.zipf(1.3, 700) % vocabulary).tolist()
    for _ in range(3):
        changed = edited(ids, generator, rate, vocabulary)
        assert matching_blocks(ids, changed) == (from_difflib(ids, changed), False)


def test_ids_beyond_any_vocabulary_and_words_are_matched():
    big = [10**9, 5, 10**12, 7, 5]
    assert matching_blocks(big, big[1:])[0] == [(1, 0, 4)]
    assert matching_blocks(["a", "b", "c", "d"], ["b", "c", "x", "d"])[0] == [(1, 0, 2), (3, 3, 1)]


@pytest.mark.parametrize("pair", [("kitten", "sitting"), ("", "a"), ("abcab", "abxabcab")])
def test_the_blocks_of_strings_are_those_of_difflib(pair):
    assert matching_blocks(*pair)[0] == from_difflib(*pair)


def test_empty_sequences():
    pairs = [([], []), ([1], []), ([], [1]), ([1], [1])]
    assert [matching_blocks(*pair)[0] for pair in pairs] == [[], [], [], [(0, 0, 1)]]


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


def test_sequences_of_one_repeated_item_are_aligned_coarsely():
    with pytest.warns(UserWarning, match="equally often in both"):
        assert matching_blocks([7] * 4000, [7] * 3999) == ([(0, 0, 3999)], True)


@patient
@given(few_letters, few_letters)
def test_coarse_blocks_are_common_and_keep_beginning_and_end(a, b):
    blocks = list(matching.anchored_blocks(a, b))
    assert_common_blocks(a, b, blocks)
    start = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    assert (blocks[0][:2] == (0, 0) and blocks[0][2] >= start) or start == 0
    assert (blocks[-1][0] + blocks[-1][2], blocks[-1][1] + blocks[-1][2]) == (len(a), len(b)) or not blocks[-1][2]
