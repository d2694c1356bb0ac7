"""RAGTruth and what is laid out like it: an answer with `labels`, spans that people found to have no ground.

Everybody's answers were read to their end, so one without labels is clean. Prompts and sources of RAGTruth stand in
`source_info.jsonl`; where that lies beside the file, they are read as well. `implicit_true` and `due_to_null` are kept
in the provenance: such a span is marked, though it may be true.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from spanwise.core import BadJSONError, DataError, parse, read_lines
from spanwise.feedback.formats.carried import Answer, Foreign, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import Row, passage_of, row_of
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord

_ANSWERS = ("response", "answer", "output")
_SOURCES = "source_info.jsonl"


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per answer; DataError where the sources beside it cannot be read."""
    sources = _sources(path.with_name(_SOURCES))
    return converted(path, lambda value, place, reading: _record(value, place, reading, sources), reading)


def _record(value: Any, place: Place, reading: Reading, sources: dict[str, Row]) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    key = next((name for name in _ANSWERS if isinstance(row.get(name), str)), None)
    if key is None:
        raise FieldError("response", "is missing; an answer stands under response, answer or output.")
    labels: list[Row] = row["labels"]
    spans = tuple((label["start"], label["end"], _name(label)) for label in labels)
    if any(type(border) is not int for start, end, _ in spans for border in (start, end)):
        raise FieldError("labels", "must have whole numbers for start and end.")
    source = sources.get(str(row.get("source_id")), {})
    known = {key, "labels", "id", "prompt", "query", "question", "model"}
    rest = {name: value for name, value in row.items() if name not in known}
    more = any(set(label) - {"start", "end", "text", "label_type", "meta"} for label in labels)
    flags = {"labels": labels} if more else {}
    record = unpacked(
        Foreign(
            id=str(row.get("id") or place.line),
            prompt=_asked(row, source),
            responses=(row[key],),
            answers={0: Answer(spans, tuple(_quote(label) for label in labels), tuple(map(_note, labels)))},
            provenance={"format": "ragtruth", **flags, **({"fields": rest} if rest else {})},
        ),
        reading.unit,
    )
    model = row.get("model")
    response = record.responses[0].model_copy(update={"model": model if isinstance(model, str) else None})
    passages = passage_of(_grounds(source) or row.get("context"))
    yield FeedbackRecord.model_validate(dict(record) | {"responses": (response,), "passages": passages})


def _asked(row: Row, source: Row) -> str:
    """The question alone where the source tells it from its passages, else the prompt as it was given."""
    info = source.get("source_info")
    alone: Any = cast("Row", info).get("question") if isinstance(info, dict) else None
    asked = [alone, *(row.get(name) for name in ("prompt", "query", "question")), source.get("prompt")]
    return next((text for text in asked if isinstance(text, str)), "")


def _grounds(source: Row) -> Any:
    """The passages of a question; of other tasks the source stands in the prompt already."""
    info = source.get("source_info")
    return cast("Row", info).get("passages") if isinstance(info, dict) else None


def _name(label: Row) -> str:
    name = label.get("label_type", label.get("label"))
    if not isinstance(name, str) or not name:
        raise FieldError("labels", "must each have a label_type, or a label.")
    return name


def _quote(label: Row) -> str | None:
    quote = label.get("text")
    return quote if isinstance(quote, str) else None


def _note(label: Row) -> str:
    note = label.get("meta") or label.get("note")
    return note.replace("\r\n", "\n") if isinstance(note, str) else ""


def _sources(path: Path) -> dict[str, Row]:
    """What the answers were made from, by its id."""
    if not path.is_file():
        return {}
    sources: dict[str, Row] = {}
    for number, line in read_lines(path):
        try:
            row = row_of(parse(line.decode()))
        except (BadJSONError, UnicodeDecodeError, FieldError) as error:
            raise DataError(f"{path}:{number}: is no source of an answer ({error}); fetch the file again.") from error
        sources[str(row.get("source_id"))] = row
    return sources
