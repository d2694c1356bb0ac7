"""Label Studio's JSON-MIN: one object an annotation, each answer under the name of its tag, data beside it.

Regions carry no name of the text that they lie on, so it is the one that holds their words. Nothing says whether a
person finished, or that an answer without a region was looked at, so such a text is unmarked. Text areas called
correction are corrections; every other answer is counted.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from spanwise.feedback.formats.carried import Answer, Foreign, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import Row, row_of
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord

_PROMPTS = ("prompt", "question", "instruction")
_TEXTS = ("text", "response", "answer", "output", "completion")
_OWN = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per annotation."""
    return converted(path, _records, reading)


def _records(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    if "annotations" in row or "data" in row:
        raise FieldError("", "is a task of Label Studio's full JSON; read that with the format label-studio.")
    regions = {name: _regions(found) for name, found in row.items() if _regions(found)}
    texts = {name: said for name, said in row.items() if isinstance(said, str) and name not in _OWN}
    name = _text_of(regions, texts)
    correction = next((said for key, said in texts.items() if key.startswith("correction") and key != name), None)
    labelled = [
        (region["start"], region["end"], label, region.get("text"))
        for listed in regions.values()
        for region in listed
        for label in map(str, region["labels"])
    ]
    reading.lost("regions without a label", sum(not r["labels"] for listed in regions.values() for r in listed))
    for key, said in row.items():
        if key not in {*_OWN, *texts, *regions} and said not in (None, [], {}):
            reading.lost(f"answers to {key:.40}")
    prompt = next((texts[key] for key in _PROMPTS if key in texts and key != name), "")
    rest = {key: said for key, said in row.items() if key not in {*regions, name, *_PROMPTS}}
    several = row.get("annotation_id")
    yield unpacked(
        Foreign(
            id=str(row.get("id") or f"{place.line}-{place.item}"),
            prompt=prompt,
            responses=(texts[name],),
            answers={0: _answer(labelled, correction)},
            annotator=None if row.get("annotator") is None else str(row["annotator"]),
            among_several=None if several is None else str(several),
            provenance={"format": "label-studio-min", "fields": rest},
        ),
        reading.unit,
    )


def _answer(labelled: list[tuple[int, int, str, Any]], correction: str | None) -> Answer:
    if not labelled:
        return Answer(correction=correction)
    quotes = tuple(quote if isinstance(quote, str) else None for *_, quote in labelled)
    return Answer(tuple((start, end, label) for start, end, label, _ in labelled), quotes, correction=correction)


def _regions(value: Any) -> list[Row]:
    """The labelled pieces of a text that an answer is; empty where it is another kind of answer."""
    if not isinstance(value, list) or not value:
        return []
    listed = [row for row in cast("list[Any]", value) if isinstance(row, dict)]
    placed = [r for r in cast("list[Row]", listed) if type(r.get("start")) is int and isinstance(r.get("labels"), list)]
    return placed if len(placed) == len(cast("list[Any]", value)) else []


def _text_of(regions: dict[str, list[Row]], texts: dict[str, str]) -> str:
    """The name of the text that is annotated: the one that holds all quoted words, where several could be meant."""
    quotes = [r["text"] for listed in regions.values() for r in listed if isinstance(r.get("text"), str)]
    names = [name for name in texts if name not in _PROMPTS and not name.startswith("correction")] or list(texts)
    holding = [name for name in names if all(quote in texts[name] for quote in quotes)] if quotes else names
    usual = [name for name in _TEXTS if name in holding]
    if not holding or (len(holding) > 1 and not usual):
        raise FieldError("", "holds no text, or several, so that it is not known which one is annotated.")
    return (usual or holding)[0]
