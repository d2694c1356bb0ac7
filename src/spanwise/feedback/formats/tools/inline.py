"""Corrections written into the text, a text a line: CriticMarkup ({--a--}, {++b++}, {~~a~>b~~}) and wdiff ([-a-]{+b+}).

The response is the text before, the correction the text after. Comments and highlights of CriticMarkup ({>>c<<},
{==a==}) are marks of the category "comment" with the comment as note. A line without any is a text that nobody is
known to have looked at.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from spanwise.core import read_lines
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.problems import FieldError, Place, Problem
from spanwise.feedback.schema import FeedbackRecord, Response, mark

COMMENT = "comment"
"""The category of what was highlighted."""
_CHANGE = re.compile(
    r"\{--(?P<cut>.*?)--\}|\{\+\+(?P<added>.*?)\+\+\}|\{~~(?P<old>.*?)~>(?P<new>.*?)~~\}"
    r"|\{==(?P<shown>.*?)==\}(?:\{>>(?P<why>.*?)<<\})?|\{>>(?P<alone>.*?)<<\}"
    r"|\[-(?P<removed>.*?)-\]|\{\+(?P<put>.*?)\+\}"
)


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per line with text, plain or .gz."""
    stem = path.name.split(".")[0]
    for number, raw in read_lines(path):
        place = Place(str(path), number, raw)
        try:
            line = raw.decode("utf-8-sig").rstrip("\r\n")
            if line.strip():
                yield place, _record(line, f"{stem}-{number:06d}", reading)
        except UnicodeDecodeError as error:
            yield (
                place,
                [Problem(place, "", f"not UTF-8 at byte {error.start}; convert the file to UTF-8.")],
            )
        except FieldError as error:
            yield place, [Problem(place, error.place, error.reason)]
        except ValueError as error:
            yield place, [Problem(place, "", " ".join(str(error).split())[:300])]


def _record(line: str, name: str, reading: Reading) -> FeedbackRecord:
    before, after, at, shown, alone = "", "", 0, list[tuple[int, int, str]](), 0
    for change in _CHANGE.finditer(line):
        part = {key: text for key, text in change.groupdict().items() if text is not None}
        old = part.get("cut") or part.get("old") or part.get("removed") or part.get("shown") or ""
        new = part.get("added") or part.get("new") or part.get("put") or part.get("shown") or ""
        before += line[at : change.start()]
        after += line[at : change.start()] + new
        if part.get("shown"):
            shown.append((len(before), len(before) + len(old), part.get("why", "")))
        alone += "alone" in part
        before += old
        at = change.end()
    reading.lost("comments without a place", alone)
    text, edited = before + line[at:], after + line[at:]
    changed = any(group for group in _CHANGE.findall(line)) and text != edited
    spans = tuple(mark(text, start, end, COMMENT, note=why) for start, end, why in shown)
    response = Response(text=text, marked=bool(spans), spans=spans, correction=edited if changed else None)
    return FeedbackRecord(id=name, prompt="", responses=(response,), provenance={"format": "inline"})
