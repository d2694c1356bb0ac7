import pytest
from doubles.feedback import small_record

from spanwise.feedback.schema import Preference, Response
from spanwise.feedback.statistics.records import describe


def preferring(first, second, texts=("a b", "a")):
    """Records of two responses, `first` of them preferring the first listed and `second` the second."""
    winners = ["first"] * first + ["second"] * second
    responses = tuple(Response(text=text, marked=True) for text in texts)
    pairs = [(Preference(first=0, second=1, winner=winner),) for winner in winners]
    return [small_record(str(i), responses=responses, preferences=pair) for i, pair in enumerate(pairs)]


@pytest.mark.parametrize(
    ("first", "second", "warned"), [(66, 34, True), (64, 36, False), (34, 66, True), (2, 0, False)]
)
def test_order_effect_is_told_when_chance_cannot_be_the_reason(first, second, warned):
    found = describe(preferring(first, second)).warnings
    assert any(text.startswith("The answer listed first wins") for text in found) == warned
    assert any(text.startswith("The longer answer wins") for text in found) == warned


def test_clean_feedback_has_no_warnings():
    assert describe(preferring(50, 50)).warnings == []


def test_empty_and_unmarked_responses_are_told():
    responses = (Response(text=" ", marked=True), Response(text="x"))
    found = describe([small_record(responses=responses, preferences=())]).warnings
    assert found == [
        "1 of 2 responses (50.0%) were never marked: no span there means unknown, not perfect.",
        "Empty responses: 1. They have no segment that a span reward could judge.",
    ]
