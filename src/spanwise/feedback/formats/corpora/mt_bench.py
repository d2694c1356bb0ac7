"""Judgements of MT-Bench: which of two models answered better, and grades of single answers.

Human judgements carry both conversations. A first turn is compared as it stands; a second one only where both
conversations asked and answered the same before, because answers to different dialogues cannot be compared: the others
are counted. The files of model judges carry the texts within the judge's prompt, from which they are taken.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import Row, answer_of, lf_only, name_of, record_of, row_of, text_of
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord, Preference, Response

_WINNERS = {"model_a": "first", "model_1": "first", "model_b": "second", "model_2": "second", "tie": "tie"}
_UNDECIDED = ("tie (inconsistent)", "tie (bothbad)", "error")
_GRADED = re.compile(
    r"\[Question\]\n(?P<asked>.*?)\n\n(?:\[The Start of Reference Answer\].*?\[The End of Reference Answer\]\n\n)?"
    r"\[The Start of Assistant's Answer\]\n(?P<answer>.*)\n\[The End of Assistant's Answer\]", re.DOTALL,
)  # fmt: skip
_COMPARED = re.compile(
    r"\[User Question\]\n(?P<asked>.*?)\n\n(?:\[The Start of Reference Answer\].*?\[The End of Reference Answer\]\n\n)?"
    r"\[The Start of Assistant A's Answer\]\n(?P<first>.*?)\n\[The End of Assistant A's Answer\]\n\n"
    r"\[The Start of Assistant B's Answer\]\n(?P<second>.*)\n\[The End of Assistant B's Answer\]", re.DOTALL,
)  # fmt: skip


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per judgement that can be compared or graded by itself."""
    return converted(path, _record, reading)


def _record(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    if "conversation_a" in row:
        yield from _by_people(row, place, reading)
    elif "g1_winner" in row:
        yield from _by_a_model(row, place, reading)
    else:
        yield from _graded(row, place, reading)


def _by_people(row: Row, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    talks = [_turns(row[key], key, row.get("turn")) for key in ("conversation_a", "conversation_b")]
    (before, first), (others, second) = (answer_of(talk, "conversation_a") for talk in talks)
    winner = str(row["winner"])
    if winner not in _WINNERS:
        reading.lost("judgements that decide nothing" if winner in _UNDECIDED else f"the verdict {winner:.30}")
    elif before != others:
        reading.lost("second turns of different conversations")
    else:
        models = _models(row, ("model_a", "model_b"))
        known = ("conversation_a", "conversation_b", "winner", "judge", "model_a", "model_b")
        yield _compared(row, place, (first, second), models, known=known, asked=before, verdict=_WINNERS[winner])


def _turns(talk: Any, key: str, turn: Any) -> list[Row]:
    """The conversation up to the answer that was judged, the first or the second."""
    if not isinstance(talk, list) or turn not in (1, 2) or len(cast("list[Any]", talk)) < 2 * turn:
        raise FieldError(key, "must be a list of turns, with a question and an answer for each turn that was judged.")
    return cast("list[Row]", lf_only(cast("list[Any]", talk)[: 2 * turn]))


def _by_a_model(row: Row, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    """Both orders were judged; they decide where they agree."""
    verdicts = [_WINNERS.get(str(row[key])) for key in ("g1_winner", "g2_winner")]
    found = _COMPARED.search(text_of(row, "g1_user_prompt"))
    if row.get("turn") != 1 or found is None:
        reading.lost("second turns of different conversations" if row.get("turn") != 1 else "judgements without texts")
    elif verdicts[0] is None or verdicts[0] != verdicts[1]:
        reading.lost("judgements that decide nothing")
    else:
        models = _models(row, ("model_1", "model_2"))
        texts = found["first"], found["second"]
        known = ("g1_winner", "g2_winner", "g1_user_prompt", "g2_user_prompt", "judge", "model_1", "model_2")
        yield _compared(row, place, texts, models, known=known, asked=found["asked"], verdict=str(verdicts[0]))


def _graded(row: Row, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    score = row["score"]
    found = _GRADED.search(text_of(row, "user_prompt"))
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise FieldError("score", f"must be a number (got {score!r:.40}).")
    if found is None or row.get("turn") != 1 or score < 0:
        reading.lost("grades that failed" if score < 0 else "grades of second turns" if row.get("turn") != 1 else
                     "judgements without texts")  # fmt: skip
        return
    (model,) = _models(row, ("model",))
    response = Response(text=found["answer"], ratings={"score": float(score)}, model=model)
    yield record_of(
        "mt-bench",
        place,
        {**row, "id": name_of(place)},
        [response],
        known=("user_prompt", "score", "judge", "model"),
        asked=found["asked"],
        annotator=_judge(row),
    )


def _compared(
    row: Row, place: Place, texts: tuple[str, str], models: list[str | None], *, known: Any, asked: Any, verdict: str
) -> FeedbackRecord:
    responses = [Response(text=text, model=model) for text, model in zip(texts, models, strict=True)]
    preference = Preference.model_validate({"first": 0, "second": 1, "winner": verdict})
    row = {**row, "id": name_of(place)}
    return record_of(
        "mt-bench", place, row, responses, known=known, asked=asked, preferences=(preference,), annotator=_judge(row)
    )


def _models(row: Row, keys: tuple[str, ...]) -> list[str | None]:
    return [row[key] if isinstance(row.get(key), str) else None for key in keys]


def _judge(row: Row) -> str | None:
    """Who judged: a person's code name, or the name of a model, which some files give with its prompt."""
    judge = row.get("judge")
    judge = cast("list[Any]", judge)[0] if isinstance(judge, list) and judge else judge
    return judge if isinstance(judge, str) else None
