"""Reads comments with the characters that readers found toxic: the CSV files of the shared task on toxic spans.

A file has the columns `spans`, a list of character offsets, and `text`. Neighbouring offsets become one mark of the
category "toxic"; a comment is a response without a prompt. All comments of these files were found toxic as a whole,
so one without a mark is not a clean one: nobody could point at its toxic words.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from spanwise.core import BadJSONError, DataError, parse, read_text
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.problems import Place, Problem
from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.text import Span, normalize_newlines, unstorable

CATEGORY = "toxic"
"""The one category of marks."""

_COLUMNS = {"spans", "text"}


def read(path: Path, _reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """The records of a file, plain or .gz; DataError when it is no such file."""
    reader = csv.DictReader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""))
    if _COLUMNS - set(reader.fieldnames or ()):
        raise DataError(f"{path}: a CSV file with the columns spans and text was expected; check the path.")
    line = reader.line_num + 1
    try:
        for item, row in enumerate(reader):
            offsets, text = row["spans"] or "", row["text"]
            place = Place(str(path), line, f"{offsets},{text}".encode(errors="surrogatepass"), item)
            yield place, _record(offsets, text, place)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: cannot be read as CSV ({error}); mend the file.") from error


def runs_of(offsets: Sequence[int]) -> list[Span]:
    """The spans that ascending offsets make up."""
    runs: list[Span] = []
    for offset in offsets:
        if runs and runs[-1].end == offset:
            runs[-1] = Span(runs[-1].start, offset + 1)
        else:
            runs.append(Span(offset, offset + 1))
    return runs


def _record(listed: str, text: str | None, place: Place) -> FeedbackRecord | list[Problem]:
    if not text:
        return [Problem(place, "text", "is empty or missing; remove the row.")]
    if reason := unstorable(text):
        return [Problem(place, "text", f"{reason}; remove it from the text.")]
    offsets = _offsets(listed, len(text))
    if isinstance(offsets, str):
        return [Problem(place, "spans", offsets)]
    kept = normalize_newlines(text)
    spans = runs_of(offsets if kept == text else _moved(offsets, text))
    return FeedbackRecord(
        id=f"{Path(place.file).name.split('.')[0]}-{place.item:06d}",
        prompt="",
        responses=(Response(text=kept, marked=True, spans=tuple(mark(kept, s.start, s.end, CATEGORY) for s in spans)),),
        provenance={"format": "toxic-spans", "file": Path(place.file).name, "item": place.item},
    )


def _offsets(listed: str, length: int) -> list[int] | str:
    """The offsets, or what is wrong with them."""
    try:
        offsets = parse(listed)
    except BadJSONError as error:
        return f"must be a list of offsets ({error})."
    if not isinstance(offsets, list) or not all(type(offset) is int for offset in offsets):
        return "must be a list of whole numbers."
    if any(first >= second for first, second in pairwise(offsets)):
        return "must ascend, each offset once; sort the list."
    if offsets and not 0 <= offsets[0] <= offsets[-1] < length:
        wrong = offsets[0] if offsets[0] < 0 else offsets[-1]
        return f"names character {wrong} of a text of {length}; correct the offsets."
    return offsets


def _moved(offsets: Sequence[int], text: str) -> list[int]:
    """The offsets after CRLF has become LF; both characters of a marked line break fall on one."""
    moved = [offset - text.count("\r\n", 0, offset + 1) for offset in offsets]
    return sorted(set(moved))
