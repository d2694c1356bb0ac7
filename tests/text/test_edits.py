import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.core.errors import ConfigError, SpanError
from spanwise.text.edits import UNITS, Part, align_texts, apply_edit, touched_words
from spanwise.text.matching import METHODS
from spanwise.text.spans import Span

patient = settings(deadline=None)
QA_FEEDBACK = Path(__file__).parents[2] / ".." / "shared" / "data" / "qa_feedback" / "dev_feedback.json.gz"
texts = st.text(st.sampled_from("ab \n😀é"), max_size=30) | st.lists(
    st.sampled_from(["red", "fox", "ran", "off,"]), max_size=14
).map(" ".join)


@patient
@given(texts, texts, st.sampled_from(METHODS), st.sampled_from(UNITS))
def test_parts_partition_both_texts_and_rebuild_the_edited_one(original, edited, method, unit):
    edit = align_texts(original, edited, method=method, unit=unit)
    for side, text in (("original", original), ("edited", edited)):
        spans = [getattr(part, side) for part in edit.parts]
        assert "".join(span.of(text) for span in spans) == text
        assert all(left.end == right.start for left, right in pairwise(spans))
    kept = [part for part in edit.parts if part.kept]
    assert all(part.original.of(original) == part.edited.of(edited) for part in kept)
    assert all(left.kept != right.kept for left, right in pairwise(edit.parts))
    assert apply_edit(original, [(part.original, part.edited.of(edited)) for part in edit.changes]) == edited
    assert bool(edit.changes) == (original != edited)


@pytest.mark.parametrize(
    ("original", "edited", "changes"),
    [
        ("a b c", "a x c", [("replace", "b", "x")]),
        ("a b c", "a c", [("delete", "b ", "")]),
        ("a c", "a b c", [("insert", "", "b ")]),
        ("a b", "a b c.", [("insert", "", " c.")]),
        ("a b", "", [("delete", "a b", "")]),
        ("", "a b", [("insert", "", "a b")]),
        ("a  b", "a b", [("delete", " ", "")]),
        ("one two three four", "1 two three 4", [("replace", "one two three four", "1 two three 4")]),
        ("one a b c four", "1 a b c 4", [("replace", "one", "1"), ("replace", "four", "4")]),
    ],
)
def test_edits_by_hand(original, edited, changes):
    edit = align_texts(original, edited)
    assert [(p.kind, p.original.of(original), p.edited.of(edited)) for p in edit.changes] == changes


def test_words_between_two_changes_stay_apart_when_told_so():
    edit = align_texts("one two three four", "1 two three 4", merge_gap=0)
    assert [part.kind for part in edit.parts] == ["replace", "keep", "replace"]
    assert edit.changed_words() == (2, 2)


def test_equal_texts_are_one_part():
    assert align_texts("same", "same").parts == (Part(Span(0, 4), Span(0, 4), kept=True),)
    assert align_texts("", "").parts == ()


def test_changes_out_of_order_are_refused():
    with pytest.raises(SpanError, match="before the one ahead"):
        apply_edit("abc", [(Span(1, 3), "x"), (Span(2, 3), "y")])
    with pytest.raises(SpanError, match="outside"):
        apply_edit("abc", [(Span(1, 9), "x")])


def test_an_unknown_unit_is_named():
    with pytest.raises(ConfigError, match="'line'; use one of word, character"):
        align_texts("a", "b", unit="line")


def without_overlap(errors):
    """The marked stretches, ascending and disjoint."""
    spans = []
    for start, end in sorted((error["start"], error["end"]) for error in errors):
        begin = max(start, spans[-1].end) if spans else start
        spans += [Span(begin, end)] if begin < end else []
    return spans


def human_agreement(method, merge_gap):
    """(precision, recall, F1) of changed words against words under a human error span, all pairs together."""
    with gzip.open(QA_FEEDBACK, "rt", encoding="utf-8") as stream:
        items = json.load(stream)
    hits = changed = marked = 0
    for item in items:
        text, correction = item["prediction 1"], item["feedback"]["corrected-prediction"]
        if text == correction:
            continue
        edit = align_texts(text, correction, method=method, merge_gap=merge_gap)
        touched = touched_words(text, [part.original for part in edit.changes])
        errors = touched_words(text, without_overlap(item["feedback"]["errors"]))
        hits += sum(a and b for a, b in zip(touched, errors, strict=True))
        changed, marked = changed + sum(touched), marked + sum(errors)
    precision, recall = hits / changed, hits / marked
    return round(precision, 3), round(recall, 3), round(2 * precision * recall / (precision + recall), 3)


@pytest.mark.skipif(not QA_FEEDBACK.exists(), reason="the QA-Feedback data is not beside the checkout")
@pytest.mark.parametrize(
    ("method", "merge_gap", "published"),
    [
        ("matching-blocks", 0, (0.926, 0.907, 0.917)),
        ("matching-blocks", 2, (0.915, 0.945, 0.930)),
        ("positional", 0, (0.662, 0.974, 0.788)),
    ],
)
def test_changed_words_agree_with_human_error_spans_as_measured(method, merge_gap, published):
    assert human_agreement(method, merge_gap) == pytest.approx(published, abs=0.0015)
