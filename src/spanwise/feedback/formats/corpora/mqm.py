"""MQM ratings of translations, the TSV files of WMT: one row an error, marked by <v> and </v> in source or target.

All rows of one translation by one rater are a record: the source is the prompt, the translation the response, the
severity goes with each mark. A row of "No-error" says that a rater finished without a finding. Errors that are marked
in the source (omissions, errors of the source itself) have no place in the response; they are counted and kept in the
provenance. Rows of the system HOTW-test are checks of the raters' attention, not ratings.
"""

import csv
import io
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from spanwise.core import DataError, read_text
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.problems import FieldError, Place, Problem
from spanwise.feedback.schema import FeedbackRecord, Response, SpanMark, mark

NO_ERROR = "no-error"
_COLUMNS = {"system", "rater", "source", "target", "category", "severity"}
_SEGMENTS = ("globalSegId", "seg_id", "docSegId")
_CHECKS = "HOTW-test"
_OPEN, _CLOSE = "<v>", "</v>"
Row = dict[Any, Any]


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per translation and rater, plain or .gz; DataError when the file has other columns."""
    text = read_text(path).removeprefix("\ufeff")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    names = set(rows.fieldnames or ())
    if _COLUMNS - names or not names & set(_SEGMENTS):
        raise DataError(f"{path}: a TSV of MQM with system, rater, source, target, category and severity was expected.")
    numbered = ((number, row) for number, row in enumerate(rows, 2))
    for key, group in groupby(numbered, lambda numbered_row: _key(numbered_row[1])):
        yield from _of_one(key, list(group), path, reading)


def _key(row: Row) -> tuple[str, ...]:
    segment = next((row[name] for name in _SEGMENTS if row.get(name)), "")
    return tuple(str(part) for part in (row["system"], row.get("doc") or "", segment, row["rater"]))


def _of_one(
    key: tuple[str, ...], rows: list[tuple[int, Row]], path: Path, reading: Reading
) -> Iterator[Outcome[FeedbackRecord]]:
    """The record of one rater's rows about one translation."""
    if key[0] == _CHECKS:
        reading.lost("checks of attention", len(rows))
        return
    raw = "\n".join("\t".join(str(cell) for cell in row.values()) for _, row in rows)
    place = Place(str(path), rows[0][0], raw.encode(errors="surrogatepass"))
    lost = Reading()
    try:
        yield place, _record(key, [row for _, row in rows], lost)
        reading.unread.update(lost.unread)
    except FieldError as error:
        yield place, [Problem(place, error.place, error.reason)]
    except ValueError as error:
        yield place, [Problem(place, "", " ".join(str(error).split())[:300])]


def _record(key: tuple[str, ...], rows: list[Row], lost: Reading) -> FeedbackRecord:
    if any(value is None or not isinstance(name, str) for row in rows for name, value in row.items()):
        raise FieldError("", "has more or fewer cells than the head of the table; mend the row.")
    targets = {_plain(row["target"]) for row in rows}
    sources = {_plain(row["source"]) for row in rows}
    if len(targets) > 1 or len(sources) > 1:
        raise FieldError("target", "differs between rows of one translation and one rater; part them.")
    marks, elsewhere = list[SpanMark](), list[Row]()
    for row in rows:
        if row["category"].lower() == NO_ERROR:
            continue
        marked = _marked(row)
        marks += marked
        if not marked:
            elsewhere.append({name: row[name] for name in ("category", "severity", "source")})
    lost.lost("errors without a place in the translation", len(elsewhere))
    system, document, segment, rater = key
    response = Response(text=targets.pop(), marked=True, spans=tuple(marks), model=system)
    if not marks and elsewhere:
        response = Response(text=response.text, model=system)  # there is an error, though not at a place
    return FeedbackRecord(
        id=f"{system}/{document}/{segment}#{rater}",
        prompt=sources.pop(),
        responses=(response,),
        annotator=rater,
        provenance={
            "format": "mqm",
            "annotation": {"item": f"{system}/{document}/{segment}"},
            "document": document,
            "segment": segment,
            **({"errors elsewhere": elsewhere} if elsewhere else {}),
        },
    )


def _plain(text: str) -> str:
    return text.replace(_OPEN, "").replace(_CLOSE, "")


def _marked(row: Row) -> list[SpanMark]:
    """The pieces between <v> and </v> in the target; FieldError where they do not pair."""
    plain, spans, rest = "", list[tuple[int, int]](), row["target"]
    while _OPEN in rest:
        before, _, rest = rest.partition(_OPEN)
        inside, closed, rest = rest.partition(_CLOSE)
        if not closed or _CLOSE in before or _OPEN in inside:
            raise FieldError("target", "has <v> and </v> that do not pair; mend the row.")
        spans.append((len(plain + before), len(plain + before + inside)))
        plain += before + inside
    if _CLOSE in rest:
        raise FieldError("target", "has <v> and </v> that do not pair; mend the row.")
    text = plain + rest
    return [
        mark(text, start, end, row["category"], severity=row["severity"] or None) for start, end in spans if start < end
    ]
