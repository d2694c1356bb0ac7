"""Lines read by compiled code are read as the careful way reads them, or left to it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from spanwise.core import BadJSONError, parse
from spanwise.feedback import EditPair, FeedbackRecord, PromptRecord
from spanwise.feedback.files import parse_record
from spanwise.feedback.problems import Place, collected, with_unique_ids
from spanwise.feedback.prompts import DemonstrationRecord
from spanwise.feedback.record import quick_record

SPAN = {"start": 0, "end": 2, "quote": "No", "category": "x", "evidence": [{"passage": 0, "sentences": [0]}]}
GOOD = {
    "id": "a", "prompt": "?", "passages": [{"title": "", "sentences": ["s"]}], "provenance": {"a": [{"b": {"c": 1}}]},
    "responses": [{"text": "No: \N{GRINNING FACE}", "marked": True, "spans": [SPAN], "missing": [{"category": "m"}]}],
}  # fmt: skip


def carefully(model, line):
    try:
        return model.model_validate(parse(line))
    except (BadJSONError, ValidationError):
        return None


def test_a_plain_line_is_taken_and_makes_the_same_record():
    for line in (json.dumps(GOOD), json.dumps(GOOD, ensure_ascii=False), json.dumps(GOOD, separators=(",", ":"))):
        record = quick_record(FeedbackRecord, line.encode())
        assert record == carefully(FeedbackRecord, line)
        assert type(record) is FeedbackRecord
        assert record.model_fields_set == FeedbackRecord.model_validate(GOOD).model_fields_set


@pytest.mark.parametrize(("old", "new"), [
    ('"id": "a"', '"id": "b", "id": "a"'), ('"c": 1', '"c": 1, "c": 2'), ('"c": 1', '"c" : 1'),
    ('"c": 1', '"c"  :1, "c":2, "d\\":": 3'),
    ('"c": 1', '"c": NaN'), ('"c": 1', '"c": 1e999'), ('"c": 1', '"c": ' + "9" * 5000),
    ('"title": ""', '"title":"","title": ""'),
    ('"start": 0', '"start": 0.0'), ('"start": 0', '"start": true'), ('"marked": true', '"marked": 1'),
    ('"?"', '"\\u0000"'), ('"?"', '"\\r"'), ('"?"', '"\\ud800"'), ('"?"', '"a\tb"'), ('"?"', "7"), ('"a"', '""'),
    ('"quote": "No"', '"quote": "no"'), ('"passage": 0', '"passage": 1'), ('{"id"', '{"idd": 1, "id"'),
    ("}]}]}", "}]}]}}"),
    ('"prompt": "?"', '"messages": [{"role": "user", "content": "?"}]'),
    ('"prompt": "?"', '"prompt": "?", "messages": []'),
])  # fmt: skip
def test_what_is_not_taken_is_judged_by_the_careful_way(old, new):
    line = json.dumps(GOOD).replace(old, new, 1)
    assert line != json.dumps(GOOD)
    quick = quick_record(FeedbackRecord, line.encode())
    assert quick is None or quick == carefully(FeedbackRecord, line)
    outcome = parse_record(line.encode(), FeedbackRecord, Place("f", 1, b""))
    expected = carefully(FeedbackRecord, line)
    assert (outcome if isinstance(outcome, FeedbackRecord) else None) == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
PATHS = st.sampled_from([
    ("id",), ("prompt",), ("responses",), ("responses", 0, "text"), ("responses", 0, "marked"), ("provenance",),
    ("responses", 0, "spans", 0, "start"), ("responses", 0, "spans", 0, "evidence", 0, "sentences"), ("passages", 0),
    ("schema_version",), ("references",), ("annotator",), ("new",), ("responses", 0, "missing", 0, "note"),
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(PATHS, VALUES, st.booleans())
def test_a_line_is_never_taken_that_the_careful_way_refuses_or_reads_otherwise(path, value, ascii_only):
    changed = json.loads(json.dumps(GOOD))
    part = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    line = json.dumps(changed, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    quick = quick_record(FeedbackRecord, line)
    if quick is not None:
        assert quick == carefully(FeedbackRecord, line.decode())


@pytest.mark.parametrize(("model", "value"), [
    (PromptRecord, {"prompt": "?", "metadata": {"a": {"b": 1}}}),
    (DemonstrationRecord, {"prompt": "?", "completion": "a"}),
    (EditPair, {"prompt": "?", "original": "a b", "edited": "a c"}),
])  # fmt: skip
def test_other_records_are_taken_as_well(model, value):
    line = json.dumps(value)
    assert quick_record(model, line.encode()) == model.model_validate(value)
    twice = line.replace('"prompt": "?"', '"prompt": "?", "prompt": "!"')
    assert quick_record(model, twice.encode()) is None


def test_ids_are_known_again_however_many_there_are():
    records = [FeedbackRecord.model_validate(GOOD | {"id": str(n % 2500)}) for n in range(2600)]
    places = [Place("f", n + 1, b"") for n in range(2600)]
    result = collected(with_unique_ids(zip(places, records, strict=True)))
    assert (len(result.records), len(result.problems)) == (2500, 100)
    assert result.problems[0].reason == "'0' is the id of line 1 already; make ids unique."
    assert result.problems[99].reason == "'99' is the id of line 100 already; make ids unique."
