"""Answers made of steps that somebody judged one by one, as process reward models learn from them.

A response is its steps, parted by empty lines, so that `density: paragraph` cuts it into them again; where the steps
lie stands in the provenance as well, and they are written as they were read. A step that was judged wrong is a mark of
the category "Wrong-Step". Where a step has no judgement the response ends before it: what nobody judged is not right.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from spanwise.feedback.formats.contract import Reading
from spanwise.feedback.problems import FieldError
from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.text import Span, normalize_newlines

WRONG_STEP = "Wrong-Step"
"""The category of steps that were judged wrong."""


def stepped(
    steps: Sequence[str], right: Sequence[bool | None], reading: Reading, **more: Any
) -> tuple[Response, list[list[int]]]:
    """The response made of the judged steps, and where each lies; without any judgement all of them, unmarked."""
    judged = len(list(takewhile(lambda label: label is not None, right)))
    reading.lost("steps without a label", len(steps) - judged)
    text, places = _joined(steps[:judged] if judged else steps)
    wrong = [place for place, label in zip(places, right[:judged], strict=False) if label is False]
    spans = tuple(mark(text, start, end, WRONG_STEP) for start, end in wrong)
    return Response(text=text, marked=judged > 0, spans=spans, **more), places


def label_of(value: Any, key: str) -> bool | None:
    """A judgement as true, false or none; FieldError for anything else."""
    if value is None or value in (True, False):
        return None if value is None else bool(value)
    raise FieldError(key, f"must be true or false (got {value!r:.40}).")


def steps_of(record: FeedbackRecord, position: int) -> list[Span] | None:
    """The steps of a response as they were read; None where it was not made of steps, or was changed since."""
    listed = record.provenance.get("steps")
    try:
        spans = [Span(start, end) for start, end in listed[position]] if isinstance(listed, list) else []
    except (TypeError, ValueError, IndexError):
        return None
    text = record.responses[position].text
    if not spans or spans[-1].end != len(text):
        return None
    return spans if _joined([span.of(text) for span in spans])[0] == text else None


def _joined(steps: Sequence[str]) -> tuple[str, list[list[int]]]:
    """The steps as one text with an empty line between any two, and where each lies."""
    text, places = "", list[list[int]]()
    for number, step in enumerate(map(normalize_newlines, steps)):
        if not step.strip():
            raise FieldError("", f"step {number + 1} of {len(steps)} is empty; remove or mend it.")
        text += "\n" * max(0, 2 - (len(text) - len(text.rstrip("\n")))) if number else ""
        places.append([len(text), len(text) + len(step)])
        text += step
    return text, places
