from pathlib import Path

import pytest
from doubles.feedback import TEXT, records, small_record, thorough
from hypothesis import given
from pydantic import ValidationError

from spanwise.core.errors import SpanError
from spanwise.feedback.schema import Evidence, FeedbackRecord, Passage, Response, SpanMark, mark
from spanwise.text.spans import Span


@thorough
@given(records())
def test_record_survives_its_json_form(record):
    assert FeedbackRecord.model_validate_json(record.model_dump_json()) == record
    assert FeedbackRecord.model_validate(record.model_dump(mode="json")) == record


def test_mark_quotes_the_text_and_refuses_what_lies_outside():
    marked = mark("ab😀d", 1, 3, "x")
    assert (marked.quote, marked.span) == ("b😀", Span(1, 3))
    with pytest.raises(SpanError, match="outside its text"):
        mark("abc", 1, 4, "x")


def test_hash_is_filled_in_and_a_changed_text_is_noticed():
    response = Response(text="abc")
    assert response.text_hash == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(ValidationError, match="belongs to another text"):
        Response(text="abd", text_hash=response.text_hash)


@pytest.mark.parametrize(
    ("start", "end", "quote", "complaint"),
    [
        (50, 99, "x", r"\[50, 99\) is no span of a text of 58"),
        (3, 3, "", r"\[3, 3\) is no span"),
        (5, 3, "x", r"\[5, 3\) is no span"),
        (0, 3, "She", "the text there is 'Ada', not 'She'"),
        (-1, 3, "Ada", "greater than or equal to 0"),
    ],
)
def test_a_span_must_lie_in_its_text_and_quote_it(start, end, quote, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Response(text=TEXT, marked=True, spans=({"start": start, "end": end, "quote": quote, "category": "x"},))


def test_an_unmarked_response_cannot_carry_spans():
    with pytest.raises(ValidationError, match="is false, yet there are spans"):
        Response(text=TEXT, spans=(mark(TEXT, 0, 3, "x"),))


@pytest.mark.parametrize("bad", ["\0", "a\ud800", "\udfff", "a\r\nb", "\r"])
@pytest.mark.parametrize("field", ["prompt", "id", "annotator", "references"])
def test_texts_that_files_or_offsets_do_not_survive_are_refused(bad, field):
    value = (bad,) if field == "references" else bad
    with pytest.raises(ValidationError, match=r"NUL|lone surrogate|carriage return"):
        small_record(**{field: value})
    with pytest.raises(ValidationError, match=r"NUL|lone surrogate|carriage return"):
        Passage(title="t", sentences=("good", bad))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, "\ud800", b"x"])
def test_provenance_holds_only_what_json_gives_back(value):
    with pytest.raises(ValidationError, match="provenance"):
        small_record(provenance={"inner": [value]})


@pytest.mark.parametrize(
    ("first", "second"),
    [(0, 0), (0, 2), (7, 1)],
)
def test_a_preference_compares_two_responses_of_the_record(first, second):
    with pytest.raises(ValidationError, match="preferences"):
        small_record(preferences=({"first": first, "second": second, "winner": "tie"},))


@pytest.mark.parametrize("where", [{"passage": 1, "sentences": ()}, {"passage": 0, "sentences": (0, 2)}])
def test_evidence_names_what_the_record_has(where):
    marked = SpanMark(start=0, end=3, quote="Ada", category="x", evidence=(Evidence(**where),))
    with pytest.raises(ValidationError, match="counted from 0"):
        small_record(responses=(Response(text=TEXT, marked=True, spans=(marked,)),), preferences=())


@pytest.mark.parametrize("value", [1.0, "1", True])
def test_offsets_are_whole_numbers_and_nothing_else(value):
    with pytest.raises(ValidationError, match="valid integer"):
        SpanMark(start=value, end=3, quote="Ada", category="x")


def test_empty_response_is_legal_because_a_model_may_say_nothing():
    assert Response(text="", marked=True, correction="Rome.").spans == ()


def test_the_documented_record_is_a_record():
    page = (Path(__file__).parents[2] / "docs" / "guides" / "feedback.md").read_text(encoding="utf-8")
    example = page.partition("```json\n")[2].partition("```")[0]
    record = FeedbackRecord.model_validate_json(example)
    assert [mark.span.of(record.responses[0].text) for mark in record.responses[0].spans] == [
        "Ada was born in Oslo.",
        "She had a cat.",
    ]
