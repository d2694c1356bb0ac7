"""Records in JSONL files and tables: one per line or row, read one by one, every bad one reported and none in its way.

Generic over the record models (`FeedbackRecord`, `PromptRecord`, `DemonstrationRecord`). It knows how lines
become records and nothing of what the records mean.
"""

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from spanwise.core import BadJSONError, DataError, parse, read_lines, write_lines
from spanwise.feedback.formats.tables import is_table, outcomes_of
from spanwise.feedback.messages import judged_turns
from spanwise.feedback.problems import Place, Problem, ReadResult, RecordT, collected, validated, with_unique_ids
from spanwise.feedback.recognition import or_named
from spanwise.feedback.record import quick_record
from spanwise.feedback.schema import FeedbackRecord

_ASKED = {
    "FeedbackRecord": "spanwise",
    "EditPair": "pairs",
    "DemonstrationRecord": "demonstrations",
    "PromptRecord": "prompts",
    "ResponseRecord": "responses",
}
"""What `recognition` calls a file of these records."""


def iter_records(path: Path, model: type[RecordT]) -> Iterator[tuple[Place, RecordT | list[Problem]]]:
    """Yields the place of every line with its record, or with all that is wrong with it.

    Raises DataError when the file cannot be read at all, is neither JSONL nor a table, or is known to be another kind.
    """
    asked = "table" if is_table(path) else _ASKED.get(model.__name__, model.__name__)
    yield from or_named(with_unique_ids(_records(path, model)), path, asked)


def read_records(path: Path, model: type[RecordT]) -> ReadResult[RecordT]:
    """All good records of `path` and all problems of the others; raises DataError like `iter_records`."""
    return collected(iter_records(path, model))


def load_or_raise(path: Path, model: type[RecordT]) -> list[RecordT]:
    """The records of `path`; raises DataError when one of them is bad or there is none."""
    return all_or_raise(read_records(path, model), path)


def all_or_raise(result: ReadResult[RecordT], path: Path) -> list[RecordT]:
    """The records that were read of `path`; raises DataError when one of them was bad or there is none."""
    if result.problems:
        more = len(result.problems) - 1
        others = f" ({more} more problem{'s' if more > 1 else ''} in this file)" if more else ""
        raise DataError(f"{result.problems[0]}{others}")
    if not result.records:
        raise DataError(f"{path}: holds no records; give a file with one JSON record per line.")
    return result.records


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Writes one record per line, beside-then-rename, and returns how many."""
    return write_lines(path, (record.model_dump_json() for record in records))


def _records(path: Path, model: type[RecordT]) -> Iterator[tuple[Place, RecordT | list[Problem]]]:
    if is_table(path):
        yield from outcomes_of(path, model.__name__, lambda value, place: validated(model, value, place))
        return
    for place, line in _lines(path):
        if isinstance(line, list):
            yield place, line
        else:
            yield from ((place, record) for record in _line_records(line, model, place))


def _lines(path: Path) -> Iterator[tuple[Place, bytes | list[Problem]]]:
    number = 0
    try:
        for number, line in read_lines(path):
            content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            yield Place(str(path), number, content), content
    except DataError as error:
        if not number:
            raise
        place = Place(str(path), number + 1, b"")
        yield place, [Problem(place, "", f"the file breaks off here; fetch it again. ({error})")]


def parse_record(line: bytes, model: type[RecordT], place: Place) -> RecordT | list[Problem]:
    """The record of a line that holds one, or all that is wrong with it; DataError for a file that is no JSONL file."""
    (record,) = _line_records(line, model, place)
    return record


def _line_records(line: bytes, model: type[RecordT], place: Place) -> list[RecordT | list[Problem]]:
    """The record of a line; a conversation with feedback on several turns is a record for each of them."""
    if place.line == 1 and line.lstrip().startswith(b"["):
        raise DataError(
            f"{place.file}: holds one JSON list, not one record per line; write it with `jq -c '.[]'`, or choose "
            "another format."
        )
    if (record := quick_record(model, line)) is not None:
        return [record]
    try:
        value = parse(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 at byte {error.start} of the line; convert the file to UTF-8."
        return [[Problem(place, "", reason)]]
    except BadJSONError as error:
        return [[Problem(place, "", str(error))]]
    split = model is FeedbackRecord and isinstance(value, dict)
    parts = judged_turns(cast("dict[str, Any]", value)) if split else [value]
    return [validated(model, part, place) for part in parts]
