"""Feedback to test with: one small record and one small QA-Feedback item, hypothesis strategies of hostile ones."""

import functools
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from spanwise.feedback.formats.registry import read_feedback
from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Preference, Response, mark

QA_FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "qa_feedback"


def qa_file(name: str) -> Path:
    """The path of a real QA-Feedback file; skips the test where it is absent."""
    path = QA_FOLDER / name
    if not path.exists():
        pytest.skip(f"the real data file {name} is not at hand")
    return path


@functools.cache
def real_records() -> tuple[FeedbackRecord, ...]:
    """The 500 records of the development set; skips the test where the file is absent."""
    return tuple(read_feedback(qa_file("dev_feedback.json.gz"), "qa-feedback").records)


TEXT = "Ada was born in Oslo. Ada was born in Oslo. She had a cat."


def small_record(record_id: str = "r0", **changes) -> FeedbackRecord:
    """Two responses, two spans, one gap, a correction and a preference."""
    spans = (
        mark(TEXT, 0, 21, "Wrong-Grounding", evidence=(Evidence(passage=0, sentences=(0,)),)),
        mark(TEXT, 22, 43, "Redundant", antecedent="Ada was born in Oslo."),
    )
    missing = (MissingInfo(category="Missing-Answer", evidence=Evidence(passage=0, sentences=(1,), title=True)),)
    first = Response(text=TEXT, marked=True, spans=spans, missing=missing, correction="Ada was born in Rome.")
    values = {
        "id": record_id,
        "prompt": "Where was Ada born?",
        "passages": (Passage(title="Ada", sentences=("Ada was born in Rome.", "She died in Bonn.")),),
        "responses": (first, Response(text="In Rome.")),
        "preferences": (Preference(first=0, second=1, winner="second"),),
        "references": ("Rome.",),
    }
    return FeedbackRecord(**(values | changes))


def small_item() -> dict:
    """A QA-Feedback item as the authors write it."""
    explanation = '{"passage_id":1,"sentence_id":[1]}'
    errors = [
        {"error type": "Redundant", "explanation": "Ada was born in Oslo. ", "start": 22, "end": 43},
        {"error type": "Wrong-Grounding", "explanation": explanation, "start": 0, "end": 21},
        {"error type": "Irrelevant", "explanation": "", "start": 44, "end": 58},
    ]
    missing = [{"error type": "Missing-Answer", "passage_id": 1, "sentence_id": [0, 2]}]
    return {
        "question": "Where was Ada born?",
        "passages": [["Ada", "Ada was born in Rome.", "She died in Bonn."]],
        "gold": "Rome. ",
        "prediction 1": TEXT,
        "prediction 2": "In Rome.",
        "prediction 3": "In Oslo.",
        "prediction 4": "I do not know.",
        "feedback": {"errors": errors, "missing-info": missing, "corrected-prediction": "Ada was born in Rome."},
        "preference": [2, 1, 0, 1, 1, 0],
    }


HOSTILE = [
    "👩‍👩‍👧", "🇪🇺", "e\u0301", "\u202eabc", "\u2028", "\u2029", "\x85", "\ufeff", "\u200b", "\t", "\n", "\x1b[31m",
    "مرحبا", "שלום", "漢字", "\U0010ffff", '"', "\\", "\\ud800", "{}", "]", "<b>", "[bold]", " ", "a", ", ", ".",
]  # fmt: skip

joined = st.lists(st.sampled_from(HOSTILE), max_size=8).map("".join)
texts = joined | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)
"""What a stored text may be."""
foreign_texts = joined | st.lists(st.sampled_from([*HOSTILE, "\r\n", "\r"]), max_size=8).map("".join)
"""The same with carriage returns, as a foreign file may hold it."""
patient = settings(deadline=None)
"""For machines that do other work at the same time."""
thorough = settings(
    patient, max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
"""For records, which take long to make up."""


@st.composite
def passages(draw) -> tuple[Passage, ...]:
    return tuple(draw(st.lists(st.builds(Passage, title=texts, sentences=st.lists(texts, max_size=3)), max_size=2)))


@st.composite
def evidence(draw, among: tuple[Passage, ...]) -> Evidence:
    number = draw(st.integers(0, len(among) - 1))
    count = len(among[number].sentences)
    sentences = draw(st.lists(st.integers(0, count - 1), max_size=3)) if count else []
    return Evidence(passage=number, sentences=tuple(sentences), title=draw(st.booleans()))


@st.composite
def responses(draw, among: tuple[Passage, ...]) -> Response:
    text = draw(texts)
    if not draw(st.booleans()):
        return Response(text=text, model=draw(st.none() | texts))
    spans = []
    for _ in range(draw(st.integers(0, 3)) if text else 0):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        proofs = tuple(draw(st.lists(evidence(among), max_size=2))) if among else ()
        more = {"evidence": proofs, "antecedent": draw(st.none() | texts), "note": draw(texts)}
        spans.append(mark(text, start, end, draw(texts), **more))
    gaps = st.builds(MissingInfo, category=texts, evidence=evidence(among)) if among else st.nothing()
    missing = tuple(draw(st.lists(gaps, max_size=2))) if among else ()
    correction = draw(st.none() | texts)
    return Response(text=text, marked=True, spans=tuple(spans), missing=missing, correction=correction)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)


@st.composite
def records(draw) -> FeedbackRecord:
    """Any record that the schema allows."""
    among = draw(passages())
    answers = draw(st.lists(responses(among), min_size=1, max_size=3))
    pairs = list(itertools.permutations(range(len(answers)), 2))
    winners = st.sampled_from(["first", "second", "tie"])
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=4)) if pairs else []
    return FeedbackRecord(
        id=draw(texts.filter(bool)),
        prompt=draw(texts),
        passages=among,
        responses=tuple(answers),
        preferences=tuple(Preference(first=a, second=b, winner=draw(winners)) for a, b in chosen),
        references=tuple(draw(st.lists(texts, max_size=2))),
        annotator=draw(st.none() | texts),
        provenance=draw(st.dictionaries(texts, json_values, max_size=3)),
    )


@st.composite
def items(draw) -> dict:
    """Any QA-Feedback item whose spans do not split a CR LF."""
    filled = foreign_texts.filter(str.strip)
    text = draw(filled)
    among = draw(st.lists(st.lists(foreign_texts, min_size=1, max_size=4), max_size=3))
    whole = [i for i in range(len(text) + 1) if text[max(0, i - 1) : i + 1] != "\r\n"]
    ids = st.integers(1, len(among)) if among else st.nothing()
    named = ids.flatmap(
        lambda p: st.fixed_dictionaries(
            {"passage_id": st.just(p), "sentence_id": st.lists(st.integers(0, len(among[p - 1]) - 1), max_size=3)}
        )
    )
    spelled = st.builds(json.dumps, named, separators=st.sampled_from([None, (",", ":")])) if among else st.just("{}")
    spans = st.lists(st.sampled_from(whole), min_size=2, max_size=2, unique=True).map(sorted)
    kinds = st.sampled_from(["Irrelevant", "Redundant", "Incoherent", "Wrong-Grounding", "Unverifiable"])
    errors = st.builds(
        lambda kind, why, span: {"error type": kind, "explanation": why, "start": span[0], "end": span[1]},
        kinds, foreign_texts | spelled, spans,
    )  # fmt: skip
    gaps = st.builds(
        lambda kind, where: {"error type": kind, **where},
        st.sampled_from(["Missing-Answer", "Missing-Major-Auxiliary", "Missing-Minor-Auxiliary"]), named,
    )  # fmt: skip
    feedback = {
        "errors": draw(st.lists(errors, max_size=3)) if len(whole) > 1 else [],
        "missing-info": draw(st.lists(gaps, max_size=3)) if among else [],
        "corrected-prediction": draw(foreign_texts),
    }
    predictions = {"prediction 1": text} | {f"prediction {k}": draw(filled) for k in (2, 3, 4)}
    head = {"question": draw(filled), "passages": among, "gold": draw(foreign_texts)}
    preference = draw(st.lists(st.integers(0, 2), min_size=6, max_size=6))
    return {**head, **predictions, "feedback": feedback, "preference": preference}
