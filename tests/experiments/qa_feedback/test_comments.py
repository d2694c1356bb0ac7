"""Comments that are written by rule say what the marks say, as far as words go."""

from recipes.qa_feedback.comments import comment_on, understood
from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Response, mark

TEXT = "The mill was red. It was tall and it was made of stone. The mill was red."


def record():
    gap = MissingInfo(category="Missing-Answer", evidence=Evidence(passage=0, sentences=(0,)))
    spans = (mark(TEXT, 25, 29, "Wrong-Grounding"), mark(TEXT, 56, 73, "Redundant"))
    return FeedbackRecord(
        id="r", prompt="p", passages=(Passage(title="Brack", sentences=("It had two doors.",)),),
        responses=(Response(text=TEXT, marked=True, spans=spans, missing=(gap,)), Response(text="Fine.", marked=True)),
    )  # fmt: skip


def test_a_comment_names_sentences_and_its_reader_marks_them():
    marked, fine = record().responses
    said = comment_on(marked, record(), "sentence")
    assert said == (
        "The second sentence contradicts the sources. The third sentence says again what was said before. "
        "You left out an answer, see Brack."
    )
    assert comment_on(fine, record(), "sentence") == "Nothing is wrong with this answer."
    assert [one.quote.strip() for one in understood(marked, "sentence").spans] == [
        "It was tall and it was made of stone.", "The mill was red."
    ]  # fmt: skip


def test_a_comment_that_names_words_is_read_at_their_first_occurrence():
    marked, _ = record().responses
    assert 'begins with "The mill" and ends with' in comment_on(marked, record(), "words")
    first, second = understood(marked, "words").spans
    assert (first.quote, second.start) == ("tall", 0)
