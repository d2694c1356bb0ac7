import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.feedback.edits import EditPair
from spanwise.llm.answers import UnusableAnswerError
from spanwise.llm.editors.answers import read_operations, read_rewrite

patient = settings(deadline=None)
ORIGINAL = "The mill was made of stone. It burned down twice. It burned down twice."


def operation(find, new, occurrence=1, **more):
    return {"find": find, "occurrence": occurrence, "replace": new, "category": "c", "reason": "r"} | more


def said(*operations):
    return json.dumps({"edits": list(operations)})


def test_operations_are_applied_and_their_spans_are_as_short_as_they_can_be():
    answer = said(operation(" It burned down twice.", "", 2), operation("made of stone", "made of wood"))
    found = read_operations(answer, ORIGINAL)
    assert found.text == "The mill was made of wood. It burned down twice."
    first, second = found.spans
    assert (ORIGINAL[first.start : first.end], found.text[first.edited_start : first.edited_end]) == ("stone", "wood")
    assert ORIGINAL[second.start : second.end] == " It burned down twice."
    assert (first.category, first.reason, second.edited_start == second.edited_end) == ("c", "r", True)


def test_a_fence_around_the_json_is_taken_off_and_no_edits_are_no_change():
    assert read_operations("```json\n" + said() + "\n```\n", ORIGINAL).text == ORIGINAL


@patient
@given(st.text(st.sampled_from("ab c."), min_size=1, max_size=15), st.data())
def test_whatever_is_found_is_replaced_and_makes_a_sound_pair(original, data):
    start = data.draw(st.integers(0, len(original) - 1))
    end = data.draw(st.integers(start + 1, len(original)))
    find, new = original[start:end], data.draw(st.text(st.sampled_from("ab x."), max_size=6))
    occurrence = 1 + sum(original.startswith(find, place) for place in range(start))
    found = read_operations(said(operation(find, new, occurrence)), original)
    assert found.text == original[:start] + new + original[end:]
    EditPair(original=original, edited=found.text, spans=found.spans)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("Sure! I would change stone to wood.", "answered in prose"),
        ("", "answered in prose"),
        ('{"edits": [{"find": "The', "not JSON"),
        ('{"edits": [], "edits": []}', "not JSON"),
        ('{"edits": [{"find": ""}]}', "wrong form"),
        ('{"changes": []}', "wrong form"),
        (said(operation("The mills", "x")), "text not found"),
        (said(operation("The mill", "x", 2)), "text not found"),
        (said(operation("The mill was", "x"), operation("mill", "y")), "overlapping edits"),
        (said(operation("The", "a\x00b")), "unusable text"),
        (said(operation("The", "a\ud800b")), "unusable text"),
    ],
)
def test_what_is_no_list_of_edits_is_named(answer, fault):
    with pytest.raises(UnusableAnswerError) as caught:
        read_operations(answer, ORIGINAL)
    assert caught.value.fault == fault
    assert caught.value.complaint


@pytest.mark.parametrize(
    ("answer", "edited"),
    [
        ("<edited>a c</edited>", " a c\n"),
        ("Here it is:\n<edited>\na c\n</edited>\nI hope it helps.", " a c\n"),
        ("<edited>\r\na\r\nc</edited>", " a\nc\n"),
        ("<edited> </edited>", ""),
    ],
)
def test_a_rewrite_is_what_stands_between_the_marks_with_the_ends_of_the_original(answer, edited):
    assert read_rewrite(answer, " a b\n").text == edited


@pytest.mark.parametrize("answer", ["a c", "<edited>a c", "<edited>a</edited> or <edited>b</edited>", ""])
def test_a_rewrite_without_its_marks_is_prose(answer):
    with pytest.raises(UnusableAnswerError) as caught:
        read_rewrite(answer, "a b")
    assert caught.value.fault == "answered in prose"
