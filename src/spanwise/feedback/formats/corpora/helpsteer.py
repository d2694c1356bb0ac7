"""NVIDIA's HelpSteer, 1 to 3: answers with five ratings, preferences between two answers, and edited answers.

HelpSteer 1 and 2 rate one answer a row; neighbouring rows of one prompt become one record, with the preferences that
`helpfulness` says. The preferences of HelpSteer 2 and 3 say how strong they are; strength and reasons are kept in the
provenance. Whether an answer of HelpSteer 3 fulfils a principle is a rating, 1 or 0, under the principle's name. The
edits of HelpSteer 3 are corrections; of its `edit_quality` rows the good edit is one, preferred to the
bad edit.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import (
    Row,
    lf_only,
    preferences_by,
    ratings_of,
    record_of,
    row_of,
    text_of,
)
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord, Preference, Response

ASPECTS = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
"""What every answer of HelpSteer 1 and 2 is rated for, from 0 to 4."""
_PAIR = (("response1", "response2"), ("response_1", "response_2"))
_STRENGTH = ("overall_preference", "preference_strength")


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """The records of any file of the three sets; neighbouring ratings of one prompt are one record."""
    outcomes = converted(path, _record, reading)
    for _, group in groupby(outcomes, _same_question):
        yield from _joined(list(group))


def _record(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    asked = lf_only(row.get("context", row.get("prompt")))
    if not isinstance(asked, str | list):
        raise FieldError("prompt", "is missing; a row has a prompt or a context.")
    pair = next((names for names in _PAIR if set(names) <= set(row)), None)
    if pair is not None:
        yield _compared(row, pair, asked, place, reading)
    elif {"original_response", "edited_response"} <= set(row):
        edited = Response(text=text_of(row, "original_response"), correction=text_of(row, "edited_response"))
        known = ("context", "original_response", "edited_response")
        yield record_of("helpsteer", place, row, [edited], known=known, asked=asked)
    elif {"good_edited_response", "bad_edited_response"} <= set(row):
        yield _edits(row, asked, place)
    elif {"principle", "fulfilment"} <= set(row):
        rated = Response(text=text_of(row, "response"), ratings={text_of(row, "principle"): _fulfilled(row)})
        known = ("context", "response", "principle", "fulfilment")
        yield record_of("helpsteer", place, row, [rated], known=known, asked=asked)
    else:
        rated = Response(text=text_of(row, "response"), ratings=ratings_of(row, ASPECTS))
        yield record_of("helpsteer", place, row, [rated], known=("context", "response", *ASPECTS), asked=asked)


def _fulfilled(row: Row) -> float:
    said = text_of(row, "fulfilment").strip().lower()
    if said not in ("yes", "no"):
        raise FieldError("fulfilment", f"must be Yes or No (got {row['fulfilment']!r:.40}).")
    return float(said == "yes")


def _compared(row: Row, pair: tuple[str, str], asked: Any, place: Place, reading: Reading) -> FeedbackRecord:
    """A negative strength prefers the first answer, 0 neither; files of feedback alone say none."""
    strength = next((row[name] for name in _STRENGTH if name in row), None)
    if strength is not None and (isinstance(strength, bool) or not isinstance(strength, int | float)):
        raise FieldError("overall_preference", f"must be a number from -3 to 3 (got {strength!r:.40}).")
    preferences: tuple[Preference, ...] = ()
    if strength is not None and abs(strength) <= 3:
        preferences = preferences_by((-float(strength), 0.0))
    else:
        reading.lost("pairs without a preference")
    responses = [Response(text=text_of(row, name)) for name in pair]
    return record_of("helpsteer", place, row, responses, known=("context", *pair), asked=asked, preferences=preferences)


def _edits(row: Row, asked: Any, place: Place) -> FeedbackRecord:
    """The good edit before the bad one; the original, where it stands beside them, is corrected by the good one."""
    good, bad = text_of(row, "good_edited_response"), text_of(row, "bad_edited_response")
    known = ["context", "good_edited_response", "bad_edited_response"]
    responses = [Response(text=good), Response(text=bad)]
    if isinstance(row.get("original_response"), str):
        responses.append(Response(text=text_of(row, "original_response"), correction=good))
        known.append("original_response")
    preferences = (Preference(first=0, second=1, winner="first"),)
    return record_of("helpsteer", place, row, responses, known=known, asked=asked, preferences=preferences)


def _same_question(outcome: Outcome[FeedbackRecord]) -> Any:
    """What joins neighbours: the prompt of rated answers; nothing else is joined."""
    place, record = outcome
    if isinstance(record, list) or len(record.responses) != 1 or not set(ASPECTS) & set(record.responses[0].ratings):
        return place
    return record.prompt, record.messages


def _joined(outcomes: list[Outcome[FeedbackRecord]]) -> Iterable[Outcome[FeedbackRecord]]:
    if len(outcomes) == 1:
        return outcomes
    (place, first), *_ = outcomes
    records = [cast("FeedbackRecord", record) for _, record in outcomes]
    responses = tuple(response for record in records for response in record.responses)
    preferences = preferences_by([response.ratings.get("helpfulness") for response in responses])
    rest = [record.provenance.get("fields", {}) for record in records]
    fields = {"fields": rest} if any(rest) else {}
    changes = {"responses": responses, "preferences": preferences, "provenance": {"format": "helpsteer", **fields}}
    return [(place, FeedbackRecord.model_validate(dict(cast("FeedbackRecord", first)) | changes))]
