import functools

import pytest
from doubles.feedback import patient, small_record
from hypothesis import given
from hypothesis import strategies as st

from spanwise.feedback.schema import Response, mark
from spanwise.feedback.statistics import describe

few_words = st.lists(st.sampled_from("abc"), max_size=7)


def slow_distance(before, after):
    @functools.cache
    def rest(i, j):
        if i == len(before) or j == len(after):
            return len(before) - i + len(after) - j
        change = rest(i + 1, j + 1) + (before[i] != after[j])
        return min(change, rest(i + 1, j) + 1, rest(i, j + 1) + 1)

    return rest(0, 0)


@patient
@given(few_words, few_words)
def test_distance_is_levenshteins(before, after):
    found = describe([corrected(" ".join(before), " ".join(after))]).edits
    assert found.distance.mean == slow_distance(before, after)


def corrected(text, correction, *spans):
    marks = tuple(mark(text, start, end, name) for start, end, name in spans)
    response = Response(text=text, marked=True, spans=marks, correction=correction)
    return small_record(responses=(response,), preferences=(), passages=())


def test_one_edit_by_hand():
    #        deleted: b c, inserted: x, kept: a d e; the span covers b c d.
    found = describe([corrected("a b c d e", "a x d e", (2, 7, "Wrong"))]).edits
    assert (found.corrected, found.identical, found.both, found.blank) == (1, 0, 1, 0)
    assert found.opcodes == {"replace": 1, "delete": 0, "insert": 0}
    assert (found.deleted_words.mean, found.inserted_words.mean, found.distance.mean) == (2, 1, 2)
    assert found.relative_distance.mean == pytest.approx(2 / 5)
    assert found.kept_words == pytest.approx(3 / 5)
    assert found.kept_words_inside_spans == pytest.approx(1 / 3)
    assert found.kept_words_outside_spans == 1
    assert found.surviving_spans == {}


def test_kinds_of_edit_are_told_apart():
    records = [
        corrected("a b c", "a b c", (0, 5, "x"), (0, 3, "y")),
        corrected("a b c", "a c"),
        corrected("a b c", "a b x c"),
        corrected("a b c", " "),
        small_record(responses=(Response(text="never corrected"),), preferences=()),
    ]
    found = describe(records).edits
    counts = (found.corrected, found.identical, found.delete_only, found.insert_only, found.both, found.blank)
    assert counts == (4, 1, 2, 1, 0, 1)
    assert found.surviving_spans == {"x": 1}  # "a b" has two words: too short to tell


def test_an_empty_response_can_be_corrected():
    found = describe([corrected("", "now it says something")]).edits
    assert (found.insert_only, found.kept_words, found.relative_distance) == (1, None, None)
