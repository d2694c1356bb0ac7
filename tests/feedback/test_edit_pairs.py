import json

import pytest
from doubles.feedback import patient, small_record
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spanwise.feedback.edits import EditPair, edit_pair, pairs_of_corrections
from spanwise.feedback.files import read_records, write_records
from spanwise.text.edits import apply_edit

texts = st.text(st.sampled_from("ab .\n😀"), max_size=25)


@patient
@given(texts, texts)
def test_spans_say_the_edit_and_survive_the_file(tmp_path_factory, original, edited):
    pair = edit_pair(original, edited, id="p", prompt="q")
    changes = [(span.original_span, span.edited_span.of(edited)) for span in pair.spans]
    assert apply_edit(original, changes) == edited
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    write_records(path, [pair])
    assert read_records(path, EditPair).records == [pair]


def test_three_columns_are_enough():
    pair = EditPair.model_validate(json.loads('{"prompt": "q", "original": "a b", "edited": "a c"}'))
    assert (pair.spans, pair.editor.kind) == (None, "unknown")
    assert [part.kind for part in pair.aligned().changes] == ["replace"]


SPAN = {"start": 2, "end": 3, "edited_start": 2, "edited_end": 3}


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        ([SPAN | {"end": 9}], r"spans\.0.*outside"),
        ([SPAN, SPAN], r"spans\.1.*before the span ahead"),
        ([SPAN | {"start": 3, "edited_start": 3}], r"spans\.0.*a change is missing"),
        ([], r"spans: has texts at the end|spans: leave texts at the end"),
    ],
)
def test_spans_that_do_not_make_the_edit_are_refused(spans, reason):
    with pytest.raises(ValidationError, match=reason):
        EditPair.model_validate({"original": "a b c", "edited": "a x c", "spans": spans})


def test_every_correction_is_a_pair():
    record = small_record()
    pairs = list(pairs_of_corrections([record]))
    corrected = [response for response in record.responses if response.correction is not None]
    assert [(pair.original, pair.edited) for pair in pairs] == [(r.text, r.correction) for r in corrected]
    assert pairs[0].prompt == record.prompt
    assert pairs[0].provenance == {"record": record.id, "response": 0}
