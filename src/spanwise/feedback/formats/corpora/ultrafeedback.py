"""UltraFeedback: an instruction with several completions, each rated by a model in four aspects.

The ratings stand at the responses; which of two is better is what the mean of the aspects says (`fine-grained_score`),
because the overall score of the set is known to be 10 where the critique means 1. The binarised set has TRL's columns
and is read as `trl-preference`.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import Row, preferences_by, ratings_of, record_of, row_of, text_of
from spanwise.feedback.problems import Place
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.text import normalize_newlines

_WHOLE = ("fine-grained_score", "overall_score")


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per instruction, with a preference for every two completions that were rated."""
    return converted(path, _record, reading)


def _record(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    completions: list[Row] = row["completions"]
    responses = [_response(completion) for completion in completions]
    critiques = [completion.get("critique") or "" for completion in completions]
    scores = [response.ratings.get("fine-grained_score", _mean(response.ratings)) for response in responses]
    if len(completions) > 1:
        reading.lost("completions without a score", scores.count(None))
    yield record_of(
        "ultrafeedback",
        place,
        row,
        responses,
        known=("instruction", "completions", "models"),
        asked=text_of(row, "instruction"),
        annotator="gpt-4",
        preferences=preferences_by(scores),
        provenance={"critiques": critiques, "completions": [_rest(completion) for completion in completions]},
    )


def _response(completion: Row) -> Response:
    aspects = completion.get("annotations") or {}
    rated = {name: _rating(found) for name, found in aspects.items() if isinstance(found, dict | list) and found}
    ratings = {name: rating for name, rating in rated.items() if rating is not None}
    model = completion.get("model")
    return Response(
        text=text_of(completion, "response"),
        model=model if isinstance(model, str) else None,
        ratings=ratings | ratings_of(completion, _WHOLE),
    )


def _rating(found: Any) -> float | None:
    """The rating of an aspect; some releases list one entry for each of their rounds, the first is the rating."""
    first = found[0] if isinstance(found, list) else found
    return ratings_of(first, ("Rating",)).get("Rating")


def _mean(ratings: dict[str, float]) -> float | None:
    aspects = [rating for name, rating in ratings.items() if name not in _WHOLE]
    return mean(aspects) if aspects else None


def _rest(completion: Row) -> Row:
    """What no field holds: principles, system prompts and the words of the annotations."""
    kept = {key: value for key, value in completion.items() if key not in ("response", "model", "critique")}
    return {key: normalize_newlines(value) if isinstance(value, str) else value for key, value in kept.items()}
