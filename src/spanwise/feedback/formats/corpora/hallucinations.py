"""Sets about hallucinations: FELM (segments), HaluEval (pairs, and answers with quotes), HaluQuestQA (quotes).

Quotes have no offsets there; they are marks where they stand once in the answer, and counted else. In FELM and in the
general part of HaluEval a person judged every answer, so one without a finding is clean; in HaluQuestQA an expert did.
"""

import ast
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from spanwise.core import DataError, read_text
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.json_values import converted, converted_value
from spanwise.feedback.formats.rows import Row, passage_of, record_of, row_of, text_of
from spanwise.feedback.formats.steps import label_of
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord, Preference, Response, SpanMark, mark
from spanwise.text import normalize_newlines

_PAIRS = {
    "hallucinated_answer": ("question", "right_answer", "knowledge"),
    "hallucinated_response": ("dialogue_history", "right_response", "knowledge"),
    "hallucinated_summary": ("", "right_summary", "document"),
}
"""By the key of the hallucinated text: the keys of what was asked, of the right text, and of what it leans on."""
_FIRST = Preference(first=0, second=1, winner="first")
_ASPECTS = ("factuality", "irrelevance", "incomplete_ans", "reference_example")
_ANSWERS = ("ans1_text", "ans2_text")


def read_felm(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per answer; segments without a factual error are right, the others marks with type and comment."""
    return converted(path, _felm, reading)


def read_halueval(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row: the right text preferred to the hallucinated one, or an answer with its quotes."""
    return converted(path, _halueval, reading)


def read_haluquestqa(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row of the tab-separated table: two answers, their marks and which is better."""
    text = read_text(path).removeprefix("\ufeff")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t")
    if {"question_text", *_ANSWERS} - set(rows.fieldnames or ()):
        raise DataError(f"{path}: the tab-separated complete_data.csv of HaluQuestQA was expected; check the file.")
    try:
        for item, row in enumerate(rows):
            raw = "\t".join(map(str, row.values())).encode(errors="surrogatepass")
            place = Place(str(path), rows.line_num, raw, item)
            yield from converted_value(row, place, _haluquestqa, reading)
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: cannot be read as a table ({error}); mend the file.") from error


def _felm(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    text, segments, labels = text_of(row, "response"), row["segmented_response"], row["labels"]
    if not isinstance(segments, list) or not isinstance(labels, list) or len(segments) != len(labels):
        raise FieldError("labels", "must be as many as there are segments.")
    right = [label_of(label, f"labels.{number}") for number, label in enumerate(cast("list[Any]", labels))]
    marks, at, unplaced = list[SpanMark](), 0, 0
    for number, (segment, fine) in enumerate(zip(cast("list[str]", segments), right, strict=True)):
        words = normalize_newlines(segment).strip()
        start = text.find(words, at) if words else -1
        at = start + len(words) if start >= 0 else at
        if fine is False and start >= 0:
            category, note = _entry(row.get("type"), number) or "factual error", _entry(row.get("comment"), number)
            marks.append(mark(text, start, at, category, note=note))
        unplaced += fine is False and start < 0
    reading.lost("segments that are not in the answer", unplaced)
    reading.lost("segments without a label", right.count(None))
    looked = bool(marks) or (None not in right and not unplaced and bool(right))
    response = Response(text=text, marked=looked, spans=tuple(marks))
    row = {**row, "id": row.get("index", row.get("id"))}
    known = ("index", "response", "segmented_response", "labels", "comment", "type")
    yield record_of("felm", place, row, [response], known=known, asked=text_of(row, "prompt"))


def _entry(listed: Any, number: int) -> str:
    """The text at a position of a list; empty where there is none."""
    entries = cast("list[Any]", listed) if isinstance(listed, list) else []
    entry = entries[number] if number < len(entries) else None
    return normalize_newlines(entry) if isinstance(entry, str) else ""


def _halueval(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    wrong = next((name for name in _PAIRS if name in row), None)
    if wrong is not None:
        asked, right, source = _PAIRS[wrong]
        responses = [Response(text=text_of(row, right)), Response(text=text_of(row, wrong))]
        prompt = text_of(row, asked) if asked else "Summarize the document."
        passages, known = passage_of(row.get(source)), (asked, right, wrong, source)
        yield record_of(
            "halueval", place, row, responses, known=known, asked=prompt, passages=passages, preferences=(_FIRST,)
        )
        return
    said = str(row["hallucination"]).strip().lower()
    if said not in ("yes", "no"):
        raise FieldError("hallucination", f"must be yes or no (got {row['hallucination']!r:.40}).")
    text, quotes = text_of(row, "chatgpt_response"), row.get("hallucination_spans") or []
    marks = _quoted(text, quotes if said == "yes" else [], "hallucination", reading)
    reading.lost("hallucinations without a place", said == "yes" and not quotes)
    reading.lost("quotes of answers without a hallucination", len(quotes) if said == "no" else 0)
    response = Response(
        text=text, marked=bool(marks) or (said == "no" and not quotes), spans=tuple(marks), model="chatgpt"
    )
    row = {**row, "id": row.get("ID", row.get("id"))}
    known = ("ID", "user_query", "chatgpt_response", "hallucination", "hallucination_spans")
    yield record_of("halueval", place, row, [response], known=known, asked=text_of(row, "user_query"))


def _quoted(text: str, quotes: Any, category: str, reading: Reading, **more: Any) -> list[SpanMark]:
    """A mark for each quote that stands once in the text; its first letter may have become a capital."""
    if not isinstance(quotes, list):
        raise FieldError("", f"the quotes of {category} must be a list.")
    marks = list[SpanMark]()
    for quote in cast("list[Any]", quotes):
        words = normalize_newlines(str(quote)).strip()
        pattern = f"(?i:{re.escape(words[:1])}){re.escape(words[1:])}"
        found = [match.span() for match in re.finditer(pattern, text)] if words else []
        if len(found) == 1:
            marks.append(mark(text, *found[0], category, **more))
        else:
            reading.lost("quotes that stand several times" if found else "quotes that are not in the answer")
    return marks


def _haluquestqa(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = {key: cell for key, cell in row_of(value).items() if key}
    texts = [text_of(row, name) for name in _ANSWERS]
    marks: list[list[SpanMark]] = [[], []]
    unread = sum(reading.unread.values())
    for aspect in _ASPECTS:
        quotes, labels = _listed(row, f"{aspect}_span"), _listed(row, f"{aspect}_label")
        helpful = _listed(row, "reference_example_helpful") if aspect == "reference_example" else []
        for number, quote in enumerate(quotes):
            label = labels[number] if number < len(labels) else None
            if label not in ("answer1", "answer2"):
                reading.lost("quotes of which no answer is named")
                continue
            praise = number < len(helpful) and helpful[number] is True
            note = _entry(_listed(row, f"{aspect}_reason"), number)
            more = {"note": note, "polarity": "positive" if praise else "negative"}
            position = int(label == "answer2")
            marks[position] += _quoted(texts[position], [quote], aspect, reading, **more)
    complete = sum(reading.unread.values()) == unread
    reading.lost("misconceptions of the question", len(_listed(row, "ques_misconception_span")))
    writers = [row.get(f"ans{number}_label") or None for number in (1, 2)]
    responses = [
        Response(text=text, marked=bool(found) or complete, spans=tuple(found), model=writer)
        for text, found, writer in zip(texts, marks, writers, strict=True)
    ]
    winner = {"answer 1": "first", "answer 2": "second"}.get(str(row.get("ans_preference")).strip().lower())
    reading.lost("preferences for neither answer", winner is None and bool(row.get("ans_preference")))
    preferences = () if winner is None else (Preference.model_validate({"first": 0, "second": 1, "winner": winner}),)
    yield record_of(
        "haluquestqa",
        place,
        {**row, "id": row.get("source_file") or None},
        responses,
        known=("source_file", "question_text", *_ANSWERS),
        asked=text_of(row, "question_text"),
        preferences=preferences,
        annotator=row.get("annotator") or None,
    )


def _listed(row: Row, key: str) -> list[Any]:
    """A cell that holds a list as Python writes it; empty cells hold none."""
    cell = row.get(key)
    if not isinstance(cell, str) or not cell.strip() or cell.strip() == "nan":
        return []
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise FieldError(key, "is no list as Python writes it; mend the cell.") from error
    return cast("list[Any]", value) if isinstance(value, list) else [value]
