"""Marks of a critic as suggestions: for the items with the same answers, once, and what does not fit is counted."""

from doubles.annotation import TEXT

from spanwise.annotate.work.suggestions import suggest_marks, suggestions_for
from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Response, mark

PASSAGES = (Passage(title="Ada", sentences=("Ada was born in Rome.", "She died in Bonn.")),)


def record(text, *marks, prompt="Where was Ada born?", missing=(), annotator="critique: m-1"):
    return FeedbackRecord(
        id="c", prompt=prompt, passages=PASSAGES, annotator=annotator,
        responses=(Response(text=text, marked=True, spans=marks, missing=missing),),
    )  # fmt: skip


def test_marks_are_proposed_for_the_same_answers(world):
    first, second = world.items(2)
    gap = MissingInfo(category="Missing-Answer", evidence=Evidence(passage=0, sentences=(1,)))
    marks = (mark(TEXT, 0, 21, "Wrong-Grounding", note="Rome"), mark(TEXT, 22, 43, "Dull"))
    done = suggest_marks(world.database, world.project, [record(TEXT, *marks, missing=(gap,)), record("Unknown.")])
    assert (done.items, done.marks, done.unknown_answers, done.unknown_categories) == (2, 2, 1, {"Dull": 1})
    for item_id in (first, second):
        (suggestion,) = suggestions_for(world.database, item_id)
        (span,) = suggestion.body.spans
        assert (span.start, span.end, span.quote, span.comment) == (0, 21, TEXT[:21], "Rome")
        assert (span.origin, span.suggestion_id, suggestion.source) == ("model", suggestion.id, "critique: m-1")
        assert [one.category for one in suggestion.body.missing] == ["Missing-Answer"]


def test_what_was_proposed_is_proposed_once_and_a_new_opinion_again(world):
    world.items(1)
    said = [record(TEXT, mark(TEXT, 0, 21, "Wrong-Grounding"))]
    suggest_marks(world.database, world.project, said)
    again = suggest_marks(world.database, world.project, said)
    assert (again.items, again.already) == (0, 1)
    other = suggest_marks(world.database, world.project, [record(TEXT, mark(TEXT, 4, 7, "Wrong-Grounding"))])
    assert (other.items, other.already) == (1, 0)
    assert suggest_marks(world.database, world.project, [record(TEXT, prompt="Who?")]).unknown_answers == 1


def test_an_answer_of_the_second_place_keeps_its_place(world):
    (item_id,) = world.items(1)
    suggest_marks(world.database, world.project, [record("In Rome.", mark("In Rome.", 3, 7, "Irrelevant"))])
    (suggestion,) = suggestions_for(world.database, item_id)
    assert [(span.target, span.quote) for span in suggestion.body.spans] == [("r2", "Rome")]
