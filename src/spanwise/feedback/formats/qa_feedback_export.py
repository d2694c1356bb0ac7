"""Writes our records as QA-Feedback items (Wu et al. 2023), byte for byte as the authors' files are laid out.

The format is narrow: four predictions, spans and missing information on the first, all six preferences. A
record that says more is refused with the reason, never cut down. The other direction is `qa_feedback.py`.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spanwise.core import DataError, write_text
from spanwise.feedback.formats.deviations import restored
from spanwise.feedback.formats.qa_feedback_item import PAIRS, PREDICTIONS, WINNERS
from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Preference, SpanMark
from spanwise.feedback.taxonomy import get_taxonomy


def item_from_record(record: FeedbackRecord) -> dict[str, Any]:
    """The QA-Feedback item of `record`; raises DataError that says what the format has no place for.

    An imported record gives back the item it came from, deviations from the canonical spelling included.
    """
    return restored(canonical_item(record), record.provenance.get("deviations"), place=record.id)


def write_items(path: Path, records: Iterable[FeedbackRecord]) -> int:
    """Writes the records as one QA-Feedback file, beside-then-rename, and returns how many."""
    items = [item_from_record(record) for record in records]
    write_text(path, json.dumps(items, indent=2))
    return len(items)


def canonical_item(record: FeedbackRecord) -> dict[str, Any]:
    """The item of `record` in the authors' usual spelling; raises DataError like `item_from_record`."""
    _check_holdable(record)
    first = record.responses[0]
    feedback = {
        "errors": [_error(mark, f"{record.id}: responses.0.spans.{i}") for i, mark in enumerate(first.spans)],
        "missing-info": [_missing(missing) for missing in first.missing],
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
    said = {"antecedent": mark.antecedent or "", "evidence": _evidence_text(mark.evidence), "note": mark.note}
    given = [name for name, text in said.items() if text]
    if len(given) > 1 or len(mark.evidence) > 1:
        raise DataError(f"{place}: QA-Feedback holds one explanation per span, this one has more; keep one.")
    homes = {"antecedent": "Redundant", "evidence": "Wrong-Grounding"}
    if given and homes.get(given[0], mark.category) != mark.category:
        raise DataError(f"{place}: QA-Feedback has no place for {given[0]} on {mark.category}; make it a note.")
    return said[given[0]] if given else ""


def _evidence_text(evidence: tuple[Evidence, ...]) -> str:
    if not evidence:
        return ""
    value = {"passage_id": evidence[0].passage + 1, "sentence_id": _sentence_ids(evidence[0])}
    return json.dumps(value, separators=(",", ":"))


def _missing(missing: MissingInfo) -> dict[str, Any]:
    evidence = missing.evidence
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


def unkept(records: Iterable[FeedbackRecord]) -> dict[str, int]:
    """How many records have what no item can hold though it is no feedback: annotator, model names, own ids."""
    counts = {"id": 0, "annotator": 0, "model": 0, "provenance": 0}
    for record in records:
        imported = record.provenance.get("format") == "qa-feedback"
        counts["id"] += not imported
        counts["provenance"] += bool(record.provenance) and not imported
        counts["annotator"] += record.annotator is not None
        counts["model"] += any(response.model is not None for response in record.responses)
    return {name: count for name, count in counts.items() if count}
