"""Reads the QA-Feedback files of Wu et al. 2023 into our records; `qa_feedback_export.py` writes them back.

Nothing is lost: what our fields do not hold in the same spelling (carriage returns, odd explanations) lies in
the provenance as deviations. Their ids of passages and sentences count from 1, ours from 0.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spanwise.core import DataError
from spanwise.feedback.formats.deviations import deviations
from spanwise.feedback.formats.json_list import read_items
from spanwise.feedback.formats.qa_feedback_export import canonical_item
from spanwise.feedback.formats.qa_feedback_item import PAIRS, WINNERS, Demonstration, Error, Item, WrongGrounding
from spanwise.feedback.problems import Place, Problem, ReadResult, RecordT, collected, validated
from spanwise.feedback.prompts import DemonstrationRecord
from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Preference, Response, SpanMark
from spanwise.text import normalize_newlines


def import_records(path: Path) -> ReadResult[FeedbackRecord]:
    """The records of a `*_feedback.json` file and the problems of the items that are none.

    Raises DataError when the file cannot be read or holds no JSON list.
    """
    return collected(_converted(path, _imported))


def import_demonstrations(path: Path) -> ReadResult[DemonstrationRecord]:
    """The questions and gold answers of a `dev.json` or `train*.json` file, and the problems of bad items.

    The first gold answer is the one to imitate, all of them are references. Passages are read out of the ready-made
    model input where the file has no field for them. Raises DataError like `import_records`.
    """
    return collected(_converted(path, _demonstration))


def record_from_item(item: dict[str, Any], *, record_id: str) -> FeedbackRecord:
    """The record of one QA-Feedback item; raises ValueError (pydantic's ValidationError) when it is malformed."""
    record = _record(Item.model_validate(item), record_id)
    kept = deviations(canonical_item(record), item)
    provenance = {"format": "qa-feedback", **({"deviations": kept} if kept else {})}
    return record.model_copy(update={"provenance": provenance})


Convert = Callable[[Place, Any], RecordT | list[Problem]]


def _converted(path: Path, convert: Convert[RecordT]) -> Iterator[tuple[Place, RecordT | list[Problem]]]:
    for place, value in read_items(path):
        yield place, [value] if isinstance(value, Problem) else convert(place, value)


def _check_kind(value: Any, place: Place, *, wanted: str, other: str) -> None:
    """One sentence instead of thousands of problems when somebody gives the other kind of file."""
    if place.item == 0 and isinstance(value, dict) and other in value and wanted not in value:
        kinds = {"feedback": "feedback (*_feedback.json)", "answer": "demonstrations (dev.json, train*.json)"}
        raise DataError(f"{place.file}: this file holds {kinds[other]}, not {kinds[wanted]}; give the other one.")


def _record_id(place: Place) -> str:
    return f"{Path(place.file).name.split('.')[0]}-{place.item:06d}"


def _imported(place: Place, value: Any) -> FeedbackRecord | list[Problem]:
    _check_kind(value, place, wanted="feedback", other="answer")
    item = validated(Item, value, place)
    if isinstance(item, list):
        return item
    record = record_from_item(value, record_id=_record_id(place))
    origin = {"file": Path(place.file).name, "item": place.item}
    return record.model_copy(update={"provenance": record.provenance | origin})


def _demonstration(place: Place, value: Any) -> DemonstrationRecord | list[Problem]:
    _check_kind(value, place, wanted="answer", other="feedback")
    item = validated(Demonstration, value, place)
    if isinstance(item, list):
        return item
    answers = tuple(normalize_newlines(answer) for answer in item.answer)
    return DemonstrationRecord(
        id=_record_id(place),
        prompt=normalize_newlines(item.question),
        passages=tuple(_passage([page.wikipage, page.content]) for page in item.pages()),
        references=answers,
        completion=answers[0],
        metadata={"format": "qa-feedback", "file": Path(place.file).name, "item": place.item},
    )


def _record(item: Item, record_id: str) -> FeedbackRecord:
    first, *others = item.predictions
    marked = Response(
        text=normalize_newlines(first),
        marked=True,
        spans=tuple(_mark(error, item) for error in item.feedback.errors),
        missing=tuple(
            MissingInfo(category=missing.category, evidence=_evidence(missing.passage_id, missing.sentence_id))
            for missing in item.feedback.missing
        ),
        correction=normalize_newlines(item.feedback.correction),
    )
    return FeedbackRecord(
        id=record_id,
        prompt=normalize_newlines(item.question),
        passages=tuple(_passage(sentences) for sentences in item.passages),
        responses=(marked, *(Response(text=normalize_newlines(other)) for other in others)),
        preferences=tuple(
            Preference(first=first, second=second, winner=WINNERS[number])
            for (first, second), number in zip(PAIRS, item.preference, strict=True)
        ),
        references=(normalize_newlines(item.gold),) if item.gold else (),
    )


def _passage(parts: list[str]) -> Passage:
    title, *sentences = (normalize_newlines(part) for part in parts)
    return Passage(title=title, sentences=tuple(sentences))


def _mark(error: Error, item: Item) -> SpanMark:
    start, end = item.offsets(error)
    explanation = normalize_newlines(error.explanation)
    evidence, antecedent, note = (), None, ""
    grounding = WrongGrounding.parse(explanation) if error.category == "Wrong-Grounding" else None
    if grounding:
        evidence = (_evidence(grounding.passage_id, grounding.sentence_id),)
    elif error.category == "Redundant":
        antecedent = explanation or None
    else:
        note = explanation
    return SpanMark(
        start=start,
        end=end,
        quote=normalize_newlines(item.prediction_1)[start:end],
        category=error.category,
        evidence=evidence,
        antecedent=antecedent,
        note=note,
    )


def _evidence(passage_id: int, sentence_id: list[int]) -> Evidence:
    sentences = tuple(number - 1 for number in sentence_id if number)
    return Evidence(passage=passage_id - 1, sentences=sentences, title=0 in sentence_id)
