"""Reads the QA-Feedback files of Wu et al. 2023 into our records; `qa_feedback_export.py` writes them back.

Nothing is lost: what our fields do not hold in the same spelling (carriage returns, odd explanations) lies in
the provenance as deviations. Their ids of passages and sentences count from 1, ours from 0.
"""

from pathlib import Path
from typing import Any

from spanwise.feedback.importers.deviations import deviations
from spanwise.feedback.importers.json_list import read_items
from spanwise.feedback.importers.qa_feedback_export import canonical_item
from spanwise.feedback.importers.qa_feedback_item import PAIRS, WINNERS, Error, Item, WrongGrounding
from spanwise.feedback.problems import Place, Problem, ReadResult, validated
from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Preference, Response, SpanMark
from spanwise.text.spans import normalize_newlines


def import_records(path: Path) -> ReadResult[FeedbackRecord]:
    """The records of a `*_feedback.json` file and the problems of the items that are none.

    Raises DataError when the file cannot be read or holds no JSON list.
    """
    result: ReadResult[FeedbackRecord] = ReadResult([], [])
    for item in read_items(path):
        outcome = [item] if isinstance(item, Problem) else _imported(*item)
        if isinstance(outcome, FeedbackRecord):
            result.records.append(outcome)
        else:
            result.problems.extend(outcome)
    return result


def record_from_item(item: dict[str, Any], *, record_id: str) -> FeedbackRecord:
    """The record of one QA-Feedback item; raises ValueError (pydantic's ValidationError) when it is malformed."""
    record = _record(Item.model_validate(item), record_id)
    kept = deviations(canonical_item(record), item)
    provenance = {"format": "qa-feedback", **({"deviations": kept} if kept else {})}
    return record.model_copy(update={"provenance": provenance})


def _imported(place: Place, value: Any) -> FeedbackRecord | list[Problem]:
    item = validated(Item, value, place)
    if isinstance(item, list):
        return item
    name = Path(place.file).name
    record = record_from_item(value, record_id=f"{name.split('.')[0]}-{place.item:06d}")
    return record.model_copy(update={"provenance": {**record.provenance, "file": name, "item": place.item}})


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
