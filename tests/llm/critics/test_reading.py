"""Quotes stand exactly where the reply says, or the reply is none."""

import json

import pytest
from doubles.critic_server import critic_config
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.feedback.schema import Passage
from spanwise.feedback.scores import Sample
from spanwise.llm.answers import UnusableAnswerError
from spanwise.llm.critics.reading import read_critique

CONFIG = critic_config(errors={"bad": "b", "worse": "w"}, merits={"good": "g"}, omissions={"gap": "o"})
PRAISE, BLAME = {"category": "good", "polarity": "positive"}, {"category": "bad", "polarity": "negative"}


def mark(quote, occurrence=1, **more):
    return {"quote": quote, "occurrence": occurrence, **BLAME, "severity": "major", "confidence": 0.5} | more


def read(text, *marks, passages=(), **more):
    reply = json.dumps({"critique": "c", "marks": list(marks), **more})
    return read_critique(reply, Sample("p", text, passages=passages), CONFIG)


def spans(critique):
    return [(mark.start, mark.end) for mark in critique.marks]


def test_the_hand_examples_of_quotes():
    assert spans(read("the cat saw the cat run", mark("the cat", 2))) == [(12, 19)]
    blanks = "First line.\n\n\n\nSecond word bad here now"
    assert spans(read(blanks, mark("bad"))) == [(27, 30)]
    both = read("a good thing and a good day", mark("a good", 2), mark("a good", 1, **PRAISE))
    assert [(m.start, m.end, m.polarity) for m in both.marks] == [(0, 6, "positive"), (17, 23, "negative")]


@pytest.mark.parametrize(
    ("text", "quote", "occurrence", "count"),
    [
        ("the cat saw the cat run", "the cat", 3, 2),
        ("The tower is 300 m tall and was built in 1889.", "finished in 1890", 1, 0),
    ],
)
def test_a_quote_that_is_not_there_is_no_place(text, quote, occurrence, count):
    with pytest.raises(UnusableAnswerError, match=f"text not found: The answer holds '{quote}' {count} times") as said:
        read(text, mark(quote, occurrence))
    assert said.value.fault == "text not found"


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("It is fine.", "answered in prose"),
        ('{"critique": "c", "marks": [{"quote": "th', "not JSON"),
        ('{"marks": []}', "wrong form"),
        ('{"critique": "c"}', "wrong form"),
        ('{"critique": "c", "marks": null}', "wrong form"),
        (json.dumps({"critique": "c", "marks": [mark("a", confidence=1.5)]}), "wrong form"),
        (json.dumps({"critique": "c", "marks": [mark("a", confidence=float("nan"))]}), "not JSON"),
        (json.dumps({"critique": "c", "marks": [mark("a", 0)]}), "wrong form"),
        (json.dumps({"critique": "c", "marks": [mark("a", category="dull")]}), "wrong form"),
        (json.dumps({"critique": "c", "marks": [mark("a", polarity="positive")]}), "wrong form"),
        (json.dumps({"critique": "c", "marks": [mark("a", severity="huge")]}), "wrong form"),
        (json.dumps({"critique": "c", "marks": [mark(" ")]}), "wrong form"),
    ],
)
def test_what_cannot_be_read_is_no_critique(reply, fault):
    with pytest.raises(UnusableAnswerError) as said:
        read_critique(reply, Sample("p", "a b"), CONFIG)
    assert said.value.fault == fault


@pytest.mark.parametrize("text", ["a\0b", "a\rb", "a\ud800b"])
def test_a_quote_that_no_record_keeps_is_a_fault_of_the_reply_and_ends_nothing(text):
    with pytest.raises(UnusableAnswerError):
        read(text, mark(text))
    assert spans(read(text, mark("b"))) == [(2, 3)]


def test_no_marks_are_a_finding_and_a_mark_said_twice_is_one():
    assert read("a b").marks == ()
    assert spans(read("a b a", mark("a"), mark("a"), mark("a", 2))) == [(0, 1), (4, 5)]


def test_an_omission_is_where_the_sources_say_it():
    passages = (Passage(title="T", sentences=("One.", "Two is here.", "Three.")), Passage(title="U", sentences=("X.",)))
    said = read("a", passages=passages, omissions=[{"category": "gap", "source": "is here. Three"}])
    (gap,) = said.omissions
    assert (gap.category, gap.evidence.passage, gap.evidence.sentences) == ("gap", 0, (1, 2))
    with pytest.raises(UnusableAnswerError, match="sources do not hold 'Four'"):
        read("a", passages=passages, omissions=[{"category": "gap", "source": "Four"}])


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("ab \n\u0301\U0001f600."), min_size=1, max_size=20), st.data())
def test_located_quotes_equal_their_spans(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    quote = text[start:end]
    place, number = -1, 0
    while place < start:
        place, number = text.find(quote, place + 1), number + 1
    occurrence = data.draw(st.sampled_from([number, number + 1, 7]))
    try:
        (found,) = read(text, mark(quote, occurrence)).marks
    except UnusableAnswerError:
        assert not quote.strip() or occurrence != number
        return
    assert found.quote == quote == text[found.start : found.end]
    assert occurrence != number or (found.start, found.end) == (start, end)
