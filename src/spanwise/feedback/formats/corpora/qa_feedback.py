"""The QA-Feedback files of Wu et al. 2023, read into our records and written back byte for byte as they are laid out.

On the way in nothing is lost: what our fields do not hold in the same spelling (carriage returns, odd explanations)
lies in the provenance as deviations. Their ids of passages and sentences count from 1, ours from 0. On the way out the
format is narrow: four predictions, spans and missing information on the first, all six preferences. A record that says
more is refused with the reason, never cut down.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.core import DataError, write_text
from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.corpora.deviations import deviations, restored
from spanwise.feedback.formats.corpora.qa_feedback_item import (
    PAIRS,
    PREDICTIONS,
    WINNERS,
    Demonstration,
    Error,
    Item,
    WrongGrounding,
)
from spanwise.feedback.formats.json_values import read_items
from spanwise.feedback.problems import Place, Problem, ReadResult, RecordT, collected, validated
from spanwise.feedback.prompts import DemonstrationRecord
from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Preference, Response, SpanMark
from spanwise.feedback.taxonomy import get_taxonomy
from spanwise.text import normalize_newlines


def read(path: Path, _reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """The records of a `*_feedback.json` file; their offsets are code points.

    Raises DataError when the file cannot be read or holds no JSON list.
    """
    return _converted(path, _imported)


def import_demonstrations(path: Path) -> ReadResult[DemonstrationRecord]:
    """The questions and gold answers of a `dev.json` or `train*.json` file, and the problems of bad items.

    The first gold answer is the one to imitate, all of them are references. Passages are read out of the ready-made
    model input where the file has no field for them. Raises DataError like `read`.
    """
    return collected(_converted(path, _demonstration))


def record_from_item(item: dict[str, Any], *, record_id: str) -> FeedbackRecord:
    """The record of one QA-Feedback item; raises ValueError (pydantic's ValidationError) when it is malformed."""
    record = _record(Item.model_validate(item), record_id)
    kept = deviations(_canonical_item(record), item)
    provenance = {"format": "qa-feedback", **({"deviations": kept} if kept else {})}
    return record.model_copy(update={"provenance": provenance})


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes the records that the format can hold; the others are counted with the reason."""
    items: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for record in records:
        ordered = record.model_copy(update={"preferences": _in_order(record.preferences)})
        try:
            items.append(item_from_record(ordered))
        except DataError as error:
            left_out[str(error).partition(": ")[2]] += 1
    write_text(path, json.dumps(items, indent=2))
    return Written(len(items), dict(left_out))


def item_from_record(record: FeedbackRecord) -> dict[str, Any]:
    """The QA-Feedback item of `record`; raises DataError that says what the format has no place for.

    An imported record gives back the item it came from, deviations from the canonical spelling included.
    """
    return restored(_canonical_item(record), record.provenance.get("deviations"), place=record.id)


def refusal(record: FeedbackRecord) -> str | None:
    """Why no item can hold `record`, or None."""
    try:
        item_from_record(record)
    except DataError as error:
        return str(error)
    return None


def unkept(records: Iterable[FeedbackRecord]) -> dict[str, int]:
    """How many records have what no item can hold though it is no mark: annotator, model names, own ids, ratings."""
    counts = {"id": 0, "annotator": 0, "model": 0, "ratings": 0, "provenance": 0}
    for record in records:
        imported = record.provenance.get("format") == "qa-feedback"
        counts["id"] += not imported
        counts["provenance"] += bool(record.provenance) and not imported
        counts["annotator"] += record.annotator is not None
        counts["model"] += any(response.model is not None for response in record.responses)
        counts["ratings"] += any(response.ratings for response in record.responses)
    return {name: count for name, count in counts.items() if count}


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


def _in_order(preferences: tuple[Preference, ...]) -> tuple[Preference, ...]:
    """The same preferences with the earlier response first, whichever was shown first."""
    turned = {"first": "second", "second": "first", "tie": "tie"}
    straight = [
        p
        if p.first < p.second
        else Preference.model_validate({"first": p.second, "second": p.first, "winner": turned[p.winner]})
        for p in preferences
    ]
    return tuple(sorted(straight, key=lambda p: (p.first, p.second)))


def _canonical_item(record: FeedbackRecord) -> dict[str, Any]:
    """The item of `record` in the authors' usual spelling; raises DataError like `item_from_record`."""
    _check_holdable(record)
    first = record.responses[0]
    feedback = {
        "errors": [_error(mark, f"{record.id}: responses.0.spans.{i}") for i, mark in enumerate(first.spans)],
        "missing-info": [_missing(gap, f"{record.id}: responses.0.missing.{i}") for i, gap in enumerate(first.missing)],
        "corrected-prediction": first.correction,
    }
    return {
        "question": record.prompt,
        "passages": [[passage.title, *passage.sentences] for passage in record.passages],
        "gold": record.references[0] if record.references else "",
        **{name: response.text for name, response in zip(PREDICTIONS, record.responses, strict=True)},
        "feedback": feedback,
        "preference": _preferences(record.preferences),
    }


def _check_holdable(record: FeedbackRecord) -> None:
    first, rest = record.responses[0], record.responses[1:]
    pairs = sorted((preference.first, preference.second) for preference in record.preferences)
    names = {category.name for category in get_taxonomy("qa-feedback").categories}
    categories = {thing.category for thing in (*first.spans, *first.missing)}
    complaints = {
        f"holds exactly 4 responses, this record has {len(record.responses)}": len(record.responses) != 4,
        "needs the first response marked and corrected": not first.marked or first.correction is None,
        "holds feedback on the first response only": any(r.marked or r.correction is not None for r in rest),
        "needs one preference for each pair of responses, the earlier response first": pairs != list(PAIRS),
        f"holds one reference, this record has {len(record.references)}": len(record.references) > 1,
        f"knows no category {', '.join(sorted(categories - names))}": not categories <= names,
    }
    for complaint, applies in complaints.items():
        if applies:
            raise DataError(f"{record.id}: QA-Feedback {complaint}; leave the record out or keep the spanwise format.")


def _error(mark: SpanMark, place: str) -> dict[str, Any]:
    return {"error type": mark.category, "explanation": _explanation(mark, place), "start": mark.start, "end": mark.end}


def _explanation(mark: SpanMark, place: str) -> str:
    texts = {"antecedent": mark.antecedent or "", "evidence": _evidence_text(mark.evidence), "note": mark.note}
    given = [name for name, text in texts.items() if text]
    if len(given) > 1 or len(mark.evidence) > 1:
        raise DataError(f"{place}: QA-Feedback holds one explanation per span, this one has more; keep one.")
    homes = {"antecedent": "Redundant", "evidence": "Wrong-Grounding"}
    if given and homes.get(given[0], mark.category) != mark.category:
        raise DataError(f"{place}: QA-Feedback has no place for {given[0]} on {mark.category}; make it a note.")
    return texts[given[0]] if given else ""


def _evidence_text(evidence: tuple[Evidence, ...]) -> str:
    if not evidence:
        return ""
    value = {"passage_id": evidence[0].passage + 1, "sentence_id": _sentence_ids(evidence[0])}
    return json.dumps(value, separators=(",", ":"))


def _missing(missing: MissingInfo, place: str) -> dict[str, Any]:
    evidence = missing.evidence
    if evidence is None or missing.note:
        what = "a note" if missing.note else "no passage"
        raise DataError(f"{place}: has {what}, for which this format has no place; leave it out.")
    return {
        "error type": missing.category,
        "passage_id": evidence.passage + 1,
        "sentence_id": _sentence_ids(evidence),
    }


def _sentence_ids(evidence: Evidence) -> list[int]:
    return [0] * evidence.title + [number + 1 for number in evidence.sentences]


def _preferences(preferences: tuple[Preference, ...]) -> list[int]:
    winners = {(preference.first, preference.second): preference.winner for preference in preferences}
    return [WINNERS.index(winners[pair]) for pair in PAIRS]
