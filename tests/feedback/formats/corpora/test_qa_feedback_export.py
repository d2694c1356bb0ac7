import pytest
from doubles.feedback import TEXT, small_item, small_record

from spanwise.core.errors import DataError
from spanwise.feedback.formats.corpora.qa_feedback import item_from_record, record_from_item, unkept
from spanwise.feedback.schema import Evidence, Preference, Response, mark


def imported(**changes):
    return record_from_item(small_item(), record_id="x").model_copy(update=changes)


def with_first(**changes):
    record = imported()
    return imported(responses=(record.responses[0].model_copy(update=changes), *record.responses[1:]))


HERE = Evidence(passage=0, sentences=(0,))
MARKED = Response(text=TEXT, marked=True)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (small_record(), "holds exactly 4 responses, this record has 2"),
        (with_first(correction=None), "needs the first response marked and corrected"),
        (imported(responses=(*imported().responses[:3], MARKED)), "holds feedback on the first response only"),
        (imported(preferences=imported().preferences[:5]), "needs one preference for each pair"),
        (
            imported(preferences=(*imported().preferences[:5], Preference(first=3, second=2, winner="tie"))),
            "the earlier response first",
        ),
        (imported(references=("a", "b")), "holds one reference, this record has 2"),
        (with_first(spans=(mark(TEXT, 0, 3, "Typo"),)), "knows no category Typo"),
        (with_first(spans=(mark(TEXT, 0, 3, "Redundant", antecedent="a", note="b"),)), "one explanation per span"),
        (with_first(spans=(mark(TEXT, 0, 3, "Wrong-Grounding", evidence=(HERE, HERE)),)), "one explanation per span"),
        (with_first(spans=(mark(TEXT, 0, 3, "Irrelevant", antecedent="a"),)), "no place for antecedent on Irrelevant"),
        (with_first(spans=(mark(TEXT, 0, 3, "Unverifiable", evidence=(HERE,)),)), "no place for evidence on Unver"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_with_the_reason(record, reason):
    with pytest.raises(DataError, match=reason):
        item_from_record(record)


def test_preferences_may_stand_in_any_order():
    shuffled = imported(preferences=imported().preferences[::-1])
    assert item_from_record(shuffled)["preference"] == small_item()["preference"]


def test_what_is_left_behind_is_counted():
    foreign = imported(provenance={}, annotator="a3")
    assert unkept([imported(), foreign]) == {"id": 1, "annotator": 1}
    rated = [response.model_copy(update={"ratings": {"helpfulness": 4.0}}) for response in imported().responses]
    assert unkept([imported(responses=tuple(rated))]) == {"ratings": 1}
