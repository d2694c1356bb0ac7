"""Solutions judged step by step: PRM800K, where people rated each step, and Math-Shepherd, where a model did.

A step rated -1 is wrong; 0 and 1 are not. The steps that led on are the first response of a record, and each
alternative that was rated at some place is a response of its own, up to and with that step. What nobody rated ends the
response before it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import Row, record_of, row_of, text_of
from spanwise.feedback.formats.steps import stepped
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.text import normalize_newlines

Step = tuple[str, bool | None]
_TAG = "\u043a\u0438"
"""The word by which Math-Shepherd ends a step."""
_FIRST_STEP = re.compile(r"\s*(?=Step 1\b)")


def read_prm800k(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per labelled solution."""
    return converted(path, _solution, reading)


def read_math_shepherd(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row of input and label."""
    return converted(path, _estimated, reading)


def _solution(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    question: Row = row["question"]
    label: Row = row["label"]
    steps: list[Row] = label["steps"]
    if not isinstance(label["steps"], list) or not steps:
        raise FieldError("label.steps", "holds no step; leave the row out.")
    led_on, made, provenance = list[Step](), list[tuple[Response, list[list[int]]]](), {"question": question}
    for number, step in enumerate(steps):
        chosen, others = _of_step(step)
        reading.lost("steps written beside one that led on", _shown(step) - len(others) - (chosen is not None))
        made += [_stepped([*led_on, other], reading) for other in others if other[1] is not None]
        reading.lost("steps without a rating", sum(right is None for _, right in others))
        if chosen is None or chosen[1] is None:
            reading.lost("steps without a rating", chosen is not None)
            reading.lost("steps behind one without a rating", sum(map(_shown, steps[number + 1 :])))
            break
        led_on.append(chosen)
    if led_on:
        made.insert(0, _stepped(led_on, reading))
    if not made:
        raise FieldError("label.steps", "holds no rated step; leave the row out.")
    labeler = row.get("labeler")
    yield record_of(
        "prm800k",
        place,
        row,
        [response for response, _ in made],
        known=("question",),
        asked=text_of(question, "problem"),
        references=tuple(_references(question)),
        annotator=labeler if isinstance(labeler, str) else None,
        provenance={**provenance, "steps": [places for _, places in made]},
    )


def _stepped(steps: list[Step], reading: Reading) -> tuple[Response, list[list[int]]]:
    return stepped([text for text, _ in steps], [right for _, right in steps], reading)


def _of_step(step: Row) -> tuple[Step | None, list[Step]]:
    """The step that led on, if one did, and the rated others; without a choice all are others."""
    rated = [(_text(part), _right(part.get("rating"))) for part in cast("list[Row]", step.get("completions") or [])]
    human, number = step.get("human_completion"), step.get("chosen_completion")
    if type(number) is int and 0 <= number < len(rated):
        return rated[number], [other for k, other in enumerate(rated) if k != number]
    if human:
        return (_text(human) if isinstance(human, dict) else normalize_newlines(str(human)), True), rated
    return None, rated


def _shown(step: Row) -> int:
    """How many steps were shown at a place, or written by a person."""
    return len(step.get("completions") or ()) + bool(step.get("human_completion"))


def _text(part: Row) -> str:
    return text_of(part, "text")


def _right(rating: Any) -> bool | None:
    if rating is None or rating in (-1, 0, 1):
        return None if rating is None else rating >= 0
    raise FieldError("label.steps", f"holds the rating {rating!r:.40}; ratings are -1, 0 and 1.")


def _references(question: Row) -> Iterator[str]:
    answer = question.get("ground_truth_answer")
    if isinstance(answer, str) and answer:
        yield normalize_newlines(answer)


def _estimated(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    """The question stands before "Step 1"; behind each step of the input stands the tag, in the label + or -."""
    row = row_of(value)
    tagged, label = text_of(row, "input"), text_of(row, "label")
    pieces = [piece.strip() for piece in tagged.split(_TAG)]
    signs = _signs(pieces, label) if len(pieces) > 1 else None
    if signs is None:
        raise FieldError("label", "is not the input with + or - in place of each step's tag.")
    begin = _FIRST_STEP.search(pieces[0])
    if begin is None:
        raise FieldError("input", 'has no "Step 1" behind its question.')
    question, first = pieces[0][: begin.start()], pieces[0][begin.end() :]
    response, places = stepped([first, *pieces[1:-1]], signs, reading)
    yield record_of(
        "math-shepherd",
        place,
        row,
        [response],
        known=("input", "label"),
        asked=question.strip(),
        annotator="model",
        provenance={"steps": [places]},
    )


def _signs(pieces: list[str], label: str) -> list[bool | None] | None:
    """The sign behind each piece but the last, or None where the label is another text."""
    signs, at = list[bool | None](), 0
    for piece in pieces[:-1]:
        label_rest = label[at:].lstrip()
        at = len(label) - len(label_rest)
        sign = label_rest[len(piece) :].lstrip()[:1]
        if not label_rest.startswith(piece) or sign not in ("+", "-"):
            return None
        at = label.index(sign, at + len(piece)) + 1
        signs.append(sign == "+")
    return signs if label[at:].strip() == pieces[-1] else None
